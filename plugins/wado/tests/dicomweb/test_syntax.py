from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from loadstone import IntegrityError, Settings
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.dicomweb.parts import Part
from loadstone_wado.dicomweb.syntax import syntax_of
from loadstone_wado.instance import Instance
from plugins.wado.tests.builders import image

PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
LAYOUT = Instance.from_dataset(image(PIXELS), Settings()).layout
NATIVE = PIXELS.tobytes()

CODESTREAMS = {
    ts.JPEG_BASELINE: imagecodecs.jpeg8_encode((PIXELS & 255).astype(np.uint8)),
    ts.JPEG_LOSSLESS: imagecodecs.ljpeg_encode(PIXELS),
    ts.JPEG_LS_LOSSLESS: imagecodecs.jpegls_encode(PIXELS),
    ts.JPEG_2000_LOSSLESS: imagecodecs.jpeg2k_encode(PIXELS, codecformat="j2k", reversible=True),
    ts.JPEG_XL_LOSSLESS: imagecodecs.jpegxl_encode(PIXELS, lossless=True),
}


def syntax(body: bytes | bytearray, part_type: str = "", response_type: str = "") -> str:
    return syntax_of(Part({"content-type": part_type}, memoryview(body)), response_type, LAYOUT)


@pytest.mark.parametrize("uid", [*CODESTREAMS, ts.RLE_LOSSLESS])
def test_the_part_says_it(uid: str) -> None:
    """What the header of the part names is taken, whatever the answer around it names."""
    named = f"application/octet-stream; transfer-syntax={uid}"

    assert syntax(b"whatever", named, "multipart/related; transfer-syntax=1.2.840.10008.1.2.5") == uid


def test_the_answer_says_it() -> None:
    """What the part does not say is looked up around it, within the quoted type too."""
    around = (
        'multipart/related; type="application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5"; boundary=x'
    )

    assert syntax(b"whatever", "application/octet-stream", around) == ts.RLE_LOSSLESS
    assert syntax(b"whatever", "application/octet-stream; transfer-syntax=*", around) == ts.RLE_LOSSLESS


@pytest.mark.parametrize("said", ["", "application/octet-stream", "image/jp2"])
@pytest.mark.parametrize("uid", CODESTREAMS)
def test_the_bytes_say_it(uid: str, said: str) -> None:
    """Where no transfer syntax is named the codestream is looked at, before what the media type may mean."""
    assert syntax(CODESTREAMS[uid], said) == uid


@pytest.mark.parametrize("uid", CODESTREAMS)
def test_a_codestream_labelled_native(uid: str) -> None:
    """Servers that call a codestream uncompressed are not believed."""
    named = f"application/octet-stream; transfer-syntax={ts.EXPLICIT_VR_LITTLE_ENDIAN}"
    expected = uid if uid != ts.JPEG_XL_LOSSLESS else syntax(CODESTREAMS[uid], named)

    assert syntax(CODESTREAMS[uid], named) == expected


def test_native_samples_that_look_like_a_codestream() -> None:
    """Samples that are called native, and are as many as they must be, are native whatever they look like."""
    named = f"application/octet-stream; transfer-syntax={ts.EXPLICIT_VR_LITTLE_ENDIAN}"
    lookalike = CODESTREAMS[ts.JPEG_LS_LOSSLESS].ljust(len(NATIVE), b"\0")[: len(NATIVE)]

    assert syntax(lookalike, named) == ts.EXPLICIT_VR_LITTLE_ENDIAN


def test_unnamed_native_samples() -> None:
    """Nothing is said and nothing seen: as many bytes as an uncompressed frame has are one."""
    assert syntax(NATIVE) == ts.EXPLICIT_VR_LITTLE_ENDIAN
    assert syntax(b"\xff\x0a" + NATIVE[2:]) == ts.EXPLICIT_VR_LITTLE_ENDIAN
    assert syntax(b"\xff\xd8\xff" + NATIVE[3:]) == ts.EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("body", [b"", NATIVE[:-1], NATIVE + b"\0\0", b"<html></html>"])
def test_nothing_says_it(body: bytes) -> None:
    """Nothing is assumed about other bytes."""
    with pytest.raises(IntegrityError, match="does not say"):
        syntax(body)


def test_big_endian_is_refused() -> None:
    """DICOMweb does not allow big endian in frames, and 8-bit samples may or may not be swapped."""
    named = f"application/octet-stream; transfer-syntax={ts.EXPLICIT_VR_BIG_ENDIAN}"

    with pytest.raises(IntegrityError, match="big endian"):
        syntax(NATIVE, named)


def test_a_media_type_means_a_syntax() -> None:
    """An image type stands for its usual syntax where neither parameter nor bytes tell more."""
    assert syntax(b"\0" * 10, "image/x-dicom-rle") == ts.RLE_LOSSLESS
    assert syntax(b"\0" * 10, "", 'multipart/related; type="image/dicom-rle"; boundary=x') == ts.RLE_LOSSLESS
