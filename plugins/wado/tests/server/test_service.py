from __future__ import annotations

import struct
import warnings
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from loadstone_wado.server import DicomWebServer
from plugins.wado.tests.server.builders import ask, instance_path, native

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = native(2, SOPInstanceUID="1.2.3.4")
NAMES = "studyUID=1.2.3&seriesUID=1.2.3.1&objectUID=1.2.3.4"


@pytest.fixture(scope="module")
def server() -> Iterator[DicomWebServer]:
    with DicomWebServer(CONTENT) as running:
        yield running


def test_a_plain_address_of_a_file(server: DicomWebServer) -> None:
    """A Part-10 file has a plain address, and a piece of it can be asked for."""
    whole = ask(server.file_url("1.2.3.4"))
    piece = ask(server.file_url("1.2.3.4"), Range="bytes=128-131")

    assert (whole.status, whole.headers["content-type"], whole.body) == (200, "application/dicom", CONTENT)
    assert (piece.status, piece.body) == (206, b"DICM")


@pytest.mark.parametrize(
    "extra", ["", "&contentType=application/dicom", "&contentType=application%2Fdicom&transferSyntax=*"]
)
def test_wado_uri_sends_what_is_stored(server: DicomWebServer, extra: str) -> None:
    """WADO-URI sends the stored object unless another syntax is named."""
    assert ask(f"{server.wado_uri_url}?requestType=WADO&{NAMES}{extra}").body == CONTENT


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        (NAMES, 400, "requestType"),
        ("requestType=WADO&studyUID=1.2.3&seriesUID=1.2.3.1", 400, "objectUID"),
        (f"requestType=WADO&{NAMES}9", 404, "1.2.3.49"),
        (f"requestType=WADO&{NAMES}&contentType=image/jpeg", 406, "application/dicom"),
        (f"requestType=WADO&{NAMES}&transferSyntax=1.2.840.10008.1.2.4.50", 406, "1.2.840.10008.1.2.1"),
        (f"requestType=WADO&{NAMES}&frameNumber=1", 400, "frameNumber"),
    ],
)
def test_wado_uri_refuses(server: DicomWebServer, query: str, status: int, word: str) -> None:
    """What is missing, unknown or impossible is answered by the right status and a text that names it."""
    answer = ask(f"{server.wado_uri_url}?{query}")

    assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert word in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading(server: DicomWebServer, method: str) -> None:
    """Nothing but GET and HEAD is served, and the answer says so."""
    answer = ask(f"{server.url}/studies", method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/studies", f"{instance_path('1.2.3.4')}/frames/1", instance_path("1.2.3.4"), "/nothing"]
)
def test_head_is_get_without_a_body(server: DicomWebServer, path: str) -> None:
    """HEAD has the status and the length of GET, and no body."""
    got, head = ask(server.url + path), ask(server.url + path, method="HEAD")

    assert head.body == b""
    assert (head.status, head.headers["content-length"]) == (got.status, got.headers["content-length"])


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/files/..%2f..%2fetc%2fpasswd.dcm",
        "/files//etc/passwd.dcm",
        "/dicomweb/studies/%2e%2e",
        "/",
        "//",
    ],
)
def test_nothing_in_an_address_becomes_a_path(server: DicomWebServer, path: str) -> None:
    """An address that tries to leave the served objects finds nothing."""
    assert ask(server.url.removesuffix("/dicomweb") + path).status == 404


def test_accept_in_the_query(server: DicomWebServer) -> None:
    """What is accepted may stand in the query, where no header can be set."""
    answer = ask(
        f"{server.url}{instance_path('1.2.3.4')}/frames/2?accept=application/octet-stream", "text/html"
    )

    assert answer.body == b"\x02\x00" * 24


def decode_png(data: bytes) -> np.ndarray:
    """Decode the plain PNG that the server writes: one IDAT, no filters."""
    columns, rows, _, colour = struct.unpack(">LLBB", data[16:26])
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">L", data[start - 8 : start - 4])
    lines = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8).reshape(rows, -1)
    return lines[:, 1:].reshape((rows, columns, 3) if colour == 2 else (rows, columns))


@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_rle.dcm", "examples_palette.dcm"])
def test_pictures(name: str) -> None:
    """A rendered frame is a PNG of its size, with its colours, using the whole range of grey."""
    place = str(get_testdata_file(name, read=False))
    dataset = dcmread(place)
    where = instance_path(
        dataset.SOPInstanceUID, study=dataset.StudyInstanceUID, series=dataset.SeriesInstanceUID
    )
    with DicomWebServer(place) as running:
        answer = ask(f"{running.url}{where}/rendered", "image/png")
        same = ask(f"{running.url}{where}/frames/1/rendered")
        refused = ask(f"{running.url}{where}/rendered", "image/jpeg")
    picture = decode_png(answer.body)

    assert answer.body == same.body
    assert refused.status == 406
    assert picture.shape[:2] == (dataset.Rows, dataset.Columns)
    assert picture.max() > 200
    if name == "SC_rgb_rle.dcm":
        assert np.array_equal(picture, dataset.pixel_array)


def test_wado_uri_renders(server: DicomWebServer) -> None:
    """WADO-URI gives a picture of the asked frame, and says when there is none."""
    url = f"{server.wado_uri_url}?requestType=WADO&{NAMES}&contentType=image/png"

    assert decode_png(ask(f"{url}&frameNumber=2").body).shape == (4, 6)
    assert ask(f"{url}&frameNumber=3").status == 404
    assert ask(f"{url}&frameNumber=x").status == 400


def test_a_file_that_vanished(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that is gone is an error of the server, said in words without its place; others are served."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "a.dcm").write_bytes(CONTENT)
    (folder / "b.dcm").write_bytes(native(SOPInstanceUID="1.2.3.5"))
    with DicomWebServer(folder) as running:
        (folder / "a.dcm").unlink()
        gone, there = ask(running.file_url("1.2.3.4")), ask(running.file_url("1.2.3.5"))
        frame, metadata = (
            ask(f"{running.url}{instance_path('1.2.3.4')}/{what}") for what in ("frames/1", "metadata")
        )

    assert [gone.status, frame.status, metadata.status, there.status] == [500, 500, 500, 200]
    assert str(folder) not in gone.text


def test_values_that_warn_are_served() -> None:
    """A file whose reading warns is served as the others are; no warning escapes into a thread."""
    place = str(get_testdata_file("SC_rgb_jpeg.dcm", read=False))
    with DicomWebServer(place) as running, warnings.catch_warnings(record=True) as seen:
        found = ask(f"{running.url}/instances").json[0]
        where = instance_path(
            found["00080018"]["Value"][0],
            study=found["0020000D"]["Value"][0],
            series=found["0020000E"]["Value"][0],
        )
        answer = ask(f"{running.url}{where}/metadata")

    assert answer.json[0]["00280010"]["Value"] == found["00280010"]["Value"]
    assert seen == []
