from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.server.builders import (
    MULTIPART_DICOM,
    MULTIPART_PLAIN,
    MULTIPART_STORED,
    ask,
    encapsulated,
    instance_path,
    native,
)

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

EXPLICIT = "1.2.840.10008.1.2.1"
PATH = instance_path("1.2.3.4")


def bundled(name: str) -> tuple[str, FileDataset, str]:
    """Return the place of a bundled file, its dataset, and the path under which it is served."""
    place = str(get_testdata_file(name, read=False))
    dataset = dcmread(place)
    where = instance_path(
        dataset.SOPInstanceUID, study=dataset.StudyInstanceUID, series=dataset.SeriesInstanceUID
    )
    return place, dataset, where


def test_a_list_of_frames() -> None:
    """A list gives a part a frame, in the asked order, each with its syntax and its address."""
    with DicomWebServer(native(5, SOPInstanceUID="1.2.3.4")) as server:
        answer = ask(f"{server.url}{PATH}/frames/4,1,5", MULTIPART_STORED)
        url = server.url

    assert [part.content for part in answer.parts] == [bytes([n, 0]) * 24 for n in (4, 1, 5)]
    assert {part.headers["content-type"] for part in answer.parts} == {
        f"application/octet-stream; transfer-syntax={EXPLICIT}"
    }
    assert answer.parts[0].headers["content-location"] == f"{url}{PATH}/frames/4"


@pytest.mark.parametrize(
    ("numbers", "status"),
    [("0", 400), ("1,,2", 400), ("one", 400), ("-1", 400), ("9" * 5000, 400), ("3", 404), ("1,3", 404)],
)
def test_frames_that_cannot_be(numbers: str, status: int) -> None:
    """A malformed list is a bad request, a frame beyond the last one is not found; the others stay unsent."""
    with DicomWebServer(native(2, SOPInstanceUID="1.2.3.4")) as server:
        assert ask(f"{server.url}{PATH}/frames/{numbers}", MULTIPART_STORED).status == status


@pytest.mark.parametrize("syntax", [EXPLICIT, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_uncompressed_frames_in_explicit_little_endian(syntax: str) -> None:
    """Whatever the order of bytes in the file, who asks for nothing particular gets little endian."""
    with DicomWebServer(native(2, syntax, SOPInstanceUID="1.2.3.4")) as server:
        (part,) = ask(f"{server.url}{PATH}/frames/2", MULTIPART_PLAIN).parts

    assert part.content == b"\x02\x00" * 24
    assert part.headers["content-type"].endswith(f"transfer-syntax={EXPLICIT}")


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "SC_rgb_rle_2frame.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_compressed_frames_in_explicit_little_endian(name: str) -> None:
    """Decoded frames equal pydicom's, in the colours of the codestream; `*` gives the codestream itself."""
    place, dataset, where = bundled(name)
    with DicomWebServer(place) as server:
        (decoded,) = ask(f"{server.url}{where}/frames/1", MULTIPART_PLAIN).parts
        (stored,) = ask(f"{server.url}{where}/frames/1", MULTIPART_STORED).parts
    dataset.decompress(as_rgb=False)
    expected = dataset.PixelData[: len(decoded.content)]

    assert decoded.content == expected
    assert len(decoded.content) >= dataset.Rows * dataset.Columns
    assert stored.content != decoded.content
    assert decoded.headers["content-type"].endswith(f"transfer-syntax={EXPLICIT}")


def test_many_decoded_frames_are_streamed() -> None:
    """Several frames that must be decoded come one by one, chunked, and are all there."""
    place, dataset, where = bundled("SC_rgb_rle_2frame.dcm")
    with DicomWebServer(place) as server:
        answer = ask(f"{server.url}{where}/frames/1,2", MULTIPART_PLAIN)
    dataset.decompress(as_rgb=False)

    assert answer.headers["transfer-encoding"] == "chunked"
    assert b"".join(part.content for part in answer.parts) == dataset.PixelData


def test_what_has_no_decoder_is_not_acceptable() -> None:
    """A codestream without a decoder is refused in explicit little endian, and sent as it is stored."""
    place, _, where = bundled("MR_small_jpeg_ls_lossless.dcm")
    with DicomWebServer(place) as server:
        decoded = ask(
            f"{server.url}{where}/frames/1", f"{MULTIPART_PLAIN}; transfer-syntax=1.2.840.10008.1.2.4.50"
        )
        stored = ask(f"{server.url}{where}/frames/1", "*/*")

    assert decoded.status == 406
    assert "1.2.840.10008.1.2.4.80" in decoded.text
    assert stored.parts[0].headers["content-type"] == "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"


def test_a_frame_without_multipart_and_a_piece_of_it() -> None:
    """A plain octet stream is the frame alone; a range of it is answered by 206."""
    with DicomWebServer(native(3, SOPInstanceUID="1.2.3.4")) as server:
        url, accept = f"{server.url}{PATH}/frames/2", "application/octet-stream; transfer-syntax=*"
        whole, piece = ask(url, accept), ask(url, accept, Range="bytes=10-19")
        outside = ask(url, accept, Range="bytes=48-")

    assert whole.body == b"\x02\x00" * 24
    assert (piece.status, piece.body) == (206, whole.body[10:20])
    assert piece.headers["content-range"] == "bytes 10-19/48"
    assert (outside.status, outside.headers["content-range"]) == (416, "bytes */48")


@pytest.mark.parametrize("level", ["", "/series/1.2.3.1"])
def test_whole_series_and_studies(level: str) -> None:
    """A series or study comes as its files, unchanged, one a part."""
    contents = [native(SOPInstanceUID=f"1.2.3.{number}") for number in (4, 5, 6)]
    with DicomWebServer(contents) as server:
        answer = ask(f"{server.url}/studies/1.2.3{level}", MULTIPART_DICOM)

    assert [part.content for part in answer.parts] == contents
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_a_large_file_is_sent_whole(tmp_path: Any) -> None:
    """What goes from file to socket within the kernel arrives unchanged, alone and in a series."""
    values = np.random.default_rng(1).integers(0, 65536, 700 * 800, np.uint16)
    content = native(SOPInstanceUID="1.2.3.4", Rows=700, Columns=800)
    dataset = dcmread(BytesIO(content))
    dataset.PixelData = values.astype("<u2").tobytes()
    dataset.save_as(tmp_path / "large.dcm")
    with DicomWebServer(tmp_path) as server:
        (part,) = ask(f"{server.url}/studies/1.2.3", MULTIPART_DICOM).parts
        (frame,) = ask(f"{server.url}{PATH}/frames/1", MULTIPART_STORED).parts

    assert part.content == (tmp_path / "large.dcm").read_bytes()
    assert frame.content == values.tobytes()


def test_an_instance_rewritten() -> None:
    """An instance stored otherwise comes in explicit little endian when nothing else is asked for."""
    place, dataset, where = bundled("MR_small_RLE.dcm")
    with DicomWebServer([place, native(2, ImplicitVRLittleEndian, SOPInstanceUID="1.2.3.4")]) as server:
        alone = ask(f"{server.url}{where}", "application/dicom")
        (implicit,) = ask(f"{server.url}{PATH}", 'multipart/related; type="application/dicom"').parts
    decoded = dcmread(BytesIO(alone.body))

    assert decoded.file_meta.TransferSyntaxUID == EXPLICIT
    assert np.array_equal(decoded.pixel_array, dataset.pixel_array)
    assert decoded.SOPInstanceUID == dataset.SOPInstanceUID
    assert dcmread(BytesIO(implicit.content)).file_meta.TransferSyntaxUID == EXPLICIT


def test_series_that_must_be_rewritten_are_streamed() -> None:
    """Several instances to rewrite come one by one; all are there."""
    contents = [native(1, ImplicitVRLittleEndian, SOPInstanceUID=f"1.2.3.{number}") for number in (4, 5)]
    with DicomWebServer(contents) as server:
        answer = ask(f"{server.url}/studies/1.2.3", 'multipart/related; type="application/dicom"')

    assert [dcmread(BytesIO(part.content)).SOPInstanceUID for part in answer.parts] == ["1.2.3.4", "1.2.3.5"]


def test_an_instance_without_pixels_has_no_frames() -> None:
    """A frame of a structured report is not found."""
    place, _, where = bundled("test-SR.dcm")
    with DicomWebServer(place) as server:
        answer = ask(f"{server.url}{where}/frames/1", MULTIPART_STORED)

    assert (answer.status, answer.text) == (404, "this instance has no pixel data\n")


def test_parts_in_reverse_and_bare() -> None:
    """A behaviour turns the order around, and leaves out syntax and address of the parts."""
    behaviour = ServerBehaviour(reverses_parts=True, names_transfer_syntax=False, content_location=False)
    with DicomWebServer(native(3, SOPInstanceUID="1.2.3.4"), behaviour=behaviour) as server:
        parts = ask(f"{server.url}{PATH}/frames/1,2,3", MULTIPART_STORED).parts

    assert [part.content[0] for part in parts] == [3, 2, 1]
    assert parts[0].headers.keys() == {"content-type", "content-length"}
    assert parts[0].headers["content-type"] == "application/octet-stream"


def test_no_final_boundary() -> None:
    """A behaviour leaves out the last boundary, and the length says so."""
    with DicomWebServer(
        native(SOPInstanceUID="1.2.3.4"), behaviour=ServerBehaviour(final_boundary=False)
    ) as server:
        answer = ask(f"{server.url}{PATH}/frames/1", MULTIPART_STORED)

    assert answer.body.endswith(b"\x01\x00\r\n")
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_a_frame_that_fails_to_decode() -> None:
    """A codestream that the decoders refuse is not acceptable in explicit little endian; the text says it."""
    broken = encapsulated([b"not a JPEG at all."], frames=1, SOPInstanceUID="1.2.3.4")
    with DicomWebServer(broken) as server:
        frame = ask(f"{server.url}{PATH}/frames/1", MULTIPART_PLAIN)
        instance = ask(f"{server.url}{PATH}", "application/dicom")
        picture = ask(f"{server.url}{PATH}/rendered", "image/png")

    assert [frame.status, instance.status, picture.status] == [406, 406, 406]
    assert "cannot be decoded" in frame.text
