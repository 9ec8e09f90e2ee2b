from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import IntegrityError, LoadstoneError, UnsupportedError
from loadstone_web.formats import looks_like
from plugins.web.tests.builders import by_pillow, header_of, photo, pixels_of, shared

OTHERS = {
    "GIF": b"GIF89a\1\0\1\0",
    "WebP": b"RIFF\1\0\0\0WEBPVP8 ",
    "TIFF": b"II*\0\x08\0\0\0",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "PDF": b"%PDF-1.7\n",
    "Photoshop": b"8BPS\0\1",
    "FITS": b"SIMPLE  =                    T",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n",
    "JPEG XL": b"\xff\x0a\0",
    "AVIF": b"\0\0\0\x20ftypavif",
    "DICOM": bytes(128) + b"DICM\2\0",
    "gzip": b"\x1f\x8b\x08\0",
    "ZIP": b"PK\3\4",
    "HTML": b"<!-- moved -->\n<!DOCTYPE html><html><title>Sign in</title>",
    "SVG": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "XML": b"<?xml version='1.0'?><error/>",
    "JSON": b'{"error": "not found"}',
    "text": b"Not Found",
    "unknown, begins with 00 01": b"\0\1\2\3",
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_format_is_refused_by_name(name: str) -> None:
    """Only PNG and JPEG are opened; the message says what it looks like instead."""
    with pytest.raises(UnsupportedError, match=name):
        header_of(OTHERS[name])


def test_no_word_of_a_text_is_in_the_message() -> None:
    """What is no image may be a report about somebody."""
    with pytest.raises(UnsupportedError) as caught:
        header_of(b"Doe^Jane has a tumour")

    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP", "PPM", "WEBP"])
def test_what_pillow_could_open_is_not_opened(kind: str) -> None:
    """Formats that Pillow knows are refused before Pillow sees them."""
    data = by_pillow(photo(), kind)

    with pytest.raises(UnsupportedError):
        header_of(data)


def test_an_svg_of_nested_doctypes_is_recognised_at_once() -> None:
    """What it looks like is told in linear time: no pattern backtracks."""
    assert looks_like(b"<!doctype svg>" * 70 + b">" * 30) != "an SVG drawing"


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_a_beginning_is_no_file(size: int) -> None:
    """An empty file, or the first bytes of a signature, is called short and not another format."""
    for data in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        if size < len(data):
            with pytest.raises(IntegrityError):
                header_of(data[:size])


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_header_or_a_typed_error(data: bytes) -> None:
    """Arbitrary bytes never raise anything but ours."""
    try:
        header_of(data)
    except LoadstoneError:
        return


def test_every_shared_file_is_right_or_refused() -> None:
    """Of odd files in the wild, those that fail on purpose are refused; the others have their size."""
    fails = {
        "broken.png",
        "broken_data_stream.png",
        "corrupt-header.jpg",
        "truncated.jpg",
        "truncated.png",
        "truncated_end_chunk.png",
        "truncated_image.png",
        "truncated_jpeg.jpg",
        "monkey16.pgm",
        "png_decompression_dos.png",
        "testorig.ppm",
    }
    for path in sorted(shared("misc").iterdir()):
        data = path.read_bytes()
        if path.name in fails:
            with pytest.raises(LoadstoneError):
                pixels_of(data)
            continue
        header, pixels = header_of(data), pixels_of(data)

        assert pixels.shape == header.shape, path.name
