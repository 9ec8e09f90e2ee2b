from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, LoadstoneError, Session
from loadstone.errors import DecodeError, IntegrityError, UnsupportedError
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import identity, part10
from plugins.wado.tests.studies import (
    SERIES,
    STUDY,
    ct_slice,
    enhanced,
    kept_port,
    modality_values,
    stored_values,
    uid,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[DicomWebServer]:
    with DicomWebServer([part10(enhanced(5)), part10(ct_slice(9))]) as running:
        yield running


def query(server: DicomWebServer, number: int, more: str = "") -> str:
    return (
        f"wadouri:{server.wado_uri_url}?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}"
        f"&objectUID={uid(number)}{more}"
    )


def plain(server: DicomWebServer, number: int) -> str:
    return f"wadouri:{server.file_url(uid(number))}"


@pytest.mark.parametrize("form", [query, plain])
def test_both_forms(server: DicomWebServer, form: Any) -> None:
    """An object is had from a WADO-URI service and from a plain URL."""
    with Session() as session:
        found = session.load_image(form(server, 9))

    assert np.array_equal(found.pixels, stored_values(9).astype(np.int16) - 1024)
    assert found.units == "HU"
    assert found.header().SOPInstanceUID == uid(9)


def test_a_plain_url_needs_no_scheme(server: DicomWebServer) -> None:
    """The plain URL of a DICOM file is an id as it is."""
    with Session() as session:
        found = session.load_image(server.file_url(uid(9)))

    assert found.image_id == plain(server, 9)


def test_the_service_is_asked_for_the_object(server: DicomWebServer) -> None:
    """A service sends a picture unless told otherwise: the content type is added where it is missing."""
    with Session() as session:
        session.load_image(query(server, 9))
        session.load_image(query(server, 0, "&contentType=application%2Fdicom"))
        session.load_image(plain(server, 9))
    targets = [request.target.partition("objectUID=")[2] for request in server.requests]

    assert targets == [
        f"{uid(9)}&contentType=application/dicom",
        f"{uid(0)}&contentType=application%2Fdicom",
        "",
    ]


@pytest.mark.parametrize(("form", "mark"), [(query, "&"), (plain, "?")])
def test_frames_share_one_object(server: DicomWebServer, form: Any, mark: str) -> None:
    """The object is fetched once for all its frames, also by loads that run at the same time."""
    ids = [f"{form(server, 0)}{mark}frame={number}" for number in (5, 4, 3, 2, 1)]
    with Session() as session, ThreadPoolExecutor(5) as threads:
        found = list(threads.map(session.load_image, ids))
        positions = [each.plane.image_position_patient for each in found]
        session.load_volume(form(server, 0))

    assert np.array_equal(np.stack([each.pixels for each in found]), modality_values(5))
    assert positions == [(-10, 20, 2.5 * number) for number in range(5)]
    assert len(server.requests) == 1


@pytest.mark.parametrize(("form", "mark"), [(query, "&"), (plain, "?")])
def test_a_volume(server: DicomWebServer, form: Any, mark: str) -> None:
    """A multi-frame object is a volume; the ids of its slices work."""
    with Session() as session:
        volume = session.load_volume(form(server, 0))
        first = session.load_image(volume.image_ids[0])

    assert np.array_equal(volume.array, modality_values(5))
    assert volume.image_ids[0] == f"{form(server, 0)}{mark}frame=5"
    assert np.array_equal(first.pixels, volume.array[0])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("frame", "error"), [("0", InvalidIdError), ("6", InvalidIdError), ("x", InvalidIdError)]
)
def test_no_such_frame(server: DicomWebServer, frame: str, error: type[LoadstoneError]) -> None:
    """A frame that is not there is a typed error."""
    with Session() as session, pytest.raises(error):
        session.load_image(query(server, 0, f"&frame={frame}"))


@pytest.mark.parametrize("rest", ["", "/data/x.dcm", "ftp://h/x.dcm", "//h/x.dcm", "http://"])
def test_no_url(rest: str) -> None:
    """Only http and https URLs are fetched."""
    with Session() as session, pytest.raises(InvalidIdError):
        session.load_image(f"wadouri:{rest}")


def test_not_found(server: DicomWebServer) -> None:
    """An object that is not there is an error with its status; the next load works."""
    with Session() as session:
        with pytest.raises(FetchError) as caught:
            session.load_image(query(server, 77))
        assert caught.value.status == 404
        assert session.load_image(query(server, 9)).pixels.shape == (4, 6)


def test_a_server_that_is_gone() -> None:
    """Nobody answers: an error that can be retried; when the server is back the same load works."""
    with kept_port() as port, Session(attempts=2, backoff_seconds=0) as session:
        image_id = f"wadouri:http://127.0.0.1:{port}/files/{uid(9)}.dcm"
        with pytest.raises(FetchError) as caught:
            session.load_image(image_id)
        with DicomWebServer([part10(ct_slice(9))], port=port):
            found = session.load_image(image_id)

    assert caught.value.retryable
    assert found.pixels.shape == (4, 6)


GOOD = part10(ct_slice(9))
BAD = {
    "page": (
        Answer(b"<html>please log in</html>", headers={"Content-Type": "text/html"}),
        DecodeError,
        "text/html",
    ),
    "unlabelled page": (Answer(b"<html>please log in</html>" * 9), DecodeError, "DICOM"),
    "empty": (Answer(b""), DecodeError, "DICOM"),
    "truncated politely": (Answer(GOOD[:-2], framing="close", end="close"), IntegrityError, "truncated"),
    "truncated": (Answer(GOOD, body_cut=len(GOOD) - 2, end="close"), FetchError, "connection ended"),
    "report": (Answer(part10(identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"))), UnsupportedError, "SR"),
    "picture": (Answer(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(300)), UnsupportedError, "a JPEG image"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_answers(kind: str) -> None:
    """What is no whole DICOM image is a typed error without secrets; nothing is kept of it."""
    answer, error, words = BAD[kind]
    with FaultServer() as faulty, Session(attempts=1) as session:
        image_id = f"wadouri:{faulty.plan('/x', answer)}?token=secret"
        with pytest.raises(error, match=words) as caught:
            session.load_image(image_id)
        faulty.plan("/x", Answer(GOOD))
        found = session.load_image(image_id)

    assert "secret" not in str(caught.value)
    assert np.array_equal(found.pixels, stored_values(9).astype(np.int16) - 1024)


def test_a_multipart_answer() -> None:
    """An object that is packed as WADO-RS packs it is unpacked."""
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + GOOD + b"\r\n--B--\r\n"
    packed = Answer(body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'})
    with FaultServer() as server, Session() as session:
        found = session.load_image(f"wadouri:{server.plan('/instances/1', packed)}")

    assert np.array_equal(found.pixels, stored_values(9).astype(np.int16) - 1024)


def test_a_body_that_was_cut_is_fetched_again() -> None:
    """A connection that ends in the middle costs a retry, not the load."""
    with FaultServer() as faulty, Session(backoff_seconds=0) as session:
        url = faulty.plan("/x", Answer(GOOD, body_cut=400, end="reset"), Answer(GOOD))
        found = session.load_image(f"wadouri:{url}")

    assert found.pixels.shape == (4, 6)
    assert len(faulty.requests) == 2


def test_truncation_at_any_byte() -> None:
    """Wherever an answer of unknown length is cut, it is an error or, behind the pixels, whole."""
    with FaultServer() as faulty, Session(attempts=1) as session:
        for cut in range(0, len(GOOD), 7):
            url = faulty.plan(f"/{cut}", Answer(GOOD[:cut], framing="close", end="close"))
            with pytest.raises(LoadstoneError):
                session.load_image(f"wadouri:{url}")


def test_too_large() -> None:
    """An answer beyond the limit is refused."""
    with FaultServer() as faulty, Session(max_response_bytes=500) as session:
        url = faulty.plan("/x", Answer(GOOD))
        with pytest.raises(LoadstoneError, match="limit"):
            session.load_image(f"wadouri:{url}")


def test_credentials(server: DicomWebServer) -> None:
    """Credentials given for the origin are sent, and without them the error says so."""
    from loadstone.transport import BasicAuth

    behaviour = ServerBehaviour(basic_auth=("jane", "secret"))
    with DicomWebServer([GOOD], behaviour=behaviour) as guarded:
        origin = guarded.url.removesuffix("/dicomweb")
        with Session(auth={origin: BasicAuth("jane", "secret")}) as session:
            found = session.load_image(plain(guarded, 9))
        with Session() as session, pytest.raises(FetchError) as caught:
            session.load_image(plain(guarded, 9))

    assert found.pixels.shape == (4, 6)
    assert caught.value.status == 401
