"""Answers of DICOMweb servers that are cut, or say wrong lengths: the right frame or a typed error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.request import Request, urlopen

import numpy as np
import pytest

from loadstone import LoadstoneError, Session
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.server import DicomWebServer
from tests.builders import ct_slice, part10

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = np.arange(60, dtype=np.uint16).reshape(6, 10)
INSTANCE = "/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.2.3.4"
MULTIPART = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
FRAMINGS: tuple[Literal["length", "chunked", "close"], ...] = ("length", "chunked", "close")


@dataclass(frozen=True)
class Recorded:
    """What a good server answers."""

    metadata: bytes
    """Of the instance."""
    frame: bytes
    """In a multipart body."""
    content_type: str
    """Of the frame."""


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    """Record the answers about one slice."""
    content = part10(ct_slice(VALUES, SOPInstanceUID="1.2.3.4"))
    with DicomWebServer(content) as server:
        place = server.url.removesuffix("/dicomweb") + INSTANCE
        with urlopen(f"{place}/metadata") as answer:
            metadata = answer.read()
        with urlopen(Request(f"{place}/frames/1", headers={"Accept": MULTIPART})) as answer:
            return Recorded(metadata, answer.read(), answer.headers["Content-Type"])


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Return a server that answers what a test tells it, and 404 to everything else."""
    with FaultServer() as running:
        yield running


def outcome(server: FaultServer) -> str:
    """Load the frame once; say "right", or the class of the error. Wrong pixels are what must never come."""
    with Session(attempts=1) as session:
        try:
            image = session.load_image(f"wadors:{server.url(INSTANCE)}/frames/1")
        except LoadstoneError as error:
            return type(error).__name__ if error.source else "an error that names nothing"
        finally:
            stats = session.cache.stats()
            assert stats.reserved == stats.pinned == 0
    np.testing.assert_array_equal(image.pixels, VALUES.astype(int) - 1024)
    return "right"


def planned(server: FaultServer, recorded: Recorded, metadata: Answer, frame: Answer) -> str:
    """Load from a server with these two answers."""
    server.plan(f"{INSTANCE}/metadata", metadata)
    server.plan(f"{INSTANCE}/frames/1", frame)
    return outcome(server)


def framed(body: bytes, recorded: Recorded, framing: Literal["length", "chunked", "close"]) -> Answer:
    """Return a multipart answer."""
    return Answer(body, headers={"Content-Type": recorded.content_type}, framing=framing)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_multipart_body_that_ends_anywhere(
    server: FaultServer, recorded: Recorded, framing: Literal["length", "chunked", "close"]
) -> None:
    """Only the end of the last boundary may be missing, of a part that says its length."""
    good = Answer(recorded.metadata)
    size = len(recorded.frame)
    boundary = recorded.frame.rfind(b"\r\n--")

    assert planned(server, recorded, good, framed(recorded.frame, recorded, framing)) == "right"
    for length in {*range(0, boundary, 13), boundary - 1}:
        assert planned(server, recorded, good, framed(recorded.frame[:length], recorded, framing)) != "right"
    for length in range(boundary, size, 7):
        ended = planned(server, recorded, good, framed(recorded.frame[:length], recorded, framing))

        assert ended in {"right", "IntegrityError", "FetchError"}


def test_metadata_that_end_anywhere(server: FaultServer, recorded: Recorded) -> None:
    """Half of a JSON document is none."""
    frame = framed(recorded.frame, recorded, "length")
    for length in range(1, len(recorded.metadata), 61):
        cut = Answer(recorded.metadata[:length], framing="close")

        assert planned(server, recorded, cut, frame) in {"DecodeError", "FetchError"}


@pytest.mark.parametrize("length", ["0", "119", "121", "99999999999", "-1", "x", "120, 120"])
def test_a_part_of_a_wrong_length(server: FaultServer, recorded: Recorded, length: str) -> None:
    """A length that is another one than that of the bytes is an error; what is no length is not believed."""
    body = recorded.frame.replace(b"Content-Length: 120", f"Content-Length: {length}".encode())
    ended = planned(server, recorded, Answer(recorded.metadata), framed(body, recorded, "length"))

    assert body != recorded.frame
    if length.isdigit():
        assert ended in {"IntegrityError", "LimitError", "FetchError"}
    else:
        assert ended == "right"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("00280010", 60000),
        ("00280011", 60000),
        ("00280010", 0),
        ("00280010", "many"),
        ("00280008", 2**31),
        ("00280100", 24),
        ("00280101", 77),
        ("00280002", 3),
        ("00281053", "steep"),
    ],
)
def test_metadata_that_lie(server: FaultServer, recorded: Recorded, attribute: str, value: object) -> None:
    """Attributes that the pixels do not bear out are an error, whatever kind of value they have."""
    (document,) = json.loads(recorded.metadata)
    document[attribute] = {"vr": "US", "Value": [value]}
    metadata = Answer(json.dumps([document]).encode())
    frame = framed(recorded.frame, recorded, "length")

    assert planned(server, recorded, metadata, frame) in {
        "IntegrityError",
        "LimitError",
        "MetadataError",
        "UnsupportedError",
    }


@pytest.mark.parametrize("levels", [100, 100_000])
def test_metadata_that_are_nested_too_deeply(server: FaultServer, recorded: Recorded, levels: int) -> None:
    """No recursion ends a load."""
    (document,) = json.loads(recorded.metadata)
    inner = '{"00081115":{"vr":"SQ","Value":[' * levels + "]}}" * levels
    text = json.dumps([document]).replace("}]", f',"00081115":{{"vr":"SQ","Value":[{inner}]}}}}]', 1)
    frame = framed(recorded.frame, recorded, "length")

    assert planned(server, recorded, Answer(text.encode()), frame) in {"LimitError", "DecodeError"}
