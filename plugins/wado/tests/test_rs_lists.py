from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import IntegrityError, LoadstoneError, Session
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.dicomweb import frame_lists as lists
from loadstone_wado.dicomweb.frame_lists import frame_lists
from loadstone_wado.ids import RsUrl
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.studies import contents, enhanced, instance_path, modality_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.testing.faults import Received

COUNT = 20
"""Frames of the object; fewer than half of them are asked for."""


def serving(**behaviour: Any) -> DicomWebServer:
    return DicomWebServer(contents([enhanced(COUNT)]), behaviour=ServerBehaviour(**behaviour))


def ids(root: str, numbers: Sequence[int]) -> list[str]:
    return [f"wadors:{root}{instance_path(0)}/frames/{number}" for number in numbers]


def slices(session: Session, root: str, numbers: Sequence[int]) -> Any:
    """Load frames as a volume; return its array, sorted by position."""
    return session.load_volume("streaming:some", image_ids=ids(root, numbers), errors="raise").array


def expected(numbers: Sequence[int]) -> Any:
    # Frame n is slice COUNT - n, so positions ascend as numbers descend.
    return modality_values(COUNT)[[COUNT - number for number in sorted(numbers, reverse=True)]]


def regular(first: int, count: int, step: int = 2) -> list[int]:
    return list(range(first, first + count * step, step))


def frames_asked(server: DicomWebServer) -> list[str]:
    return [each.path.rpartition("/")[2] for each in server.requests if "/frames/" in each.path]


@pytest.mark.parametrize(
    "behaviour",
    [{}, {"content_location": False}, {"reverses_parts": True}, {"names_transfer_syntax": False},
     {"final_boundary": False}],
    ids=["plain", "unnamed parts", "other order", "no syntax", "no final boundary"],
)  # fmt: skip
def test_several_frames_are_one_request(behaviour: dict[str, Any]) -> None:
    """Frames of a large object come with one request, and each is itself."""
    numbers = regular(2, 8)
    with serving(**behaviour) as server, Session() as session:
        array = slices(session, server.url, numbers)

        assert np.array_equal(array, expected(numbers))
        assert frames_asked(server) == [",".join(map(str, numbers))]


def test_most_of_an_object() -> None:
    """From half of the frames on, the whole object is asked for instead."""
    with serving() as server, Session() as session:
        slices(session, server.url, range(1, 13))

        assert frames_asked(server) == []


def test_lists_refused() -> None:
    """A server without lists is asked for frames one by one, and not for a list again."""
    numbers = regular(2, 6)
    with serving(refuses_frame_lists=True) as server, Session() as session:
        array = slices(session, server.url, numbers)
        first = frames_asked(server)
        slices(session, server.url, regular(3, 4))

        assert np.array_equal(array, expected(numbers))
        assert sum("," in each for each in frames_asked(server)) == sum("," in each for each in first)
        assert sorted(int(each) for each in first if "," not in each) == numbers


@pytest.mark.parametrize("numbers", [range(1, 400), range(100_000, 100_400)])
def test_urls_are_short(numbers: range) -> None:
    """No URL is longer than servers take, no list longer than can be held, and no frame is lost."""
    url = RsUrl("https://pacs/dw", "1." * 20 + "1", "1." * 20 + "2", "1." * 20 + "3", query="?imageSetId=7")
    found = list(frame_lists(url, numbers))
    written = [f"{url.instance_url}/frames/{','.join(map(str, some))}{url.query}" for some in found]

    assert [number for some in found for number in some] == list(numbers)
    assert max(map(len, written)) <= lists.LONGEST_URL
    assert max(map(len, found)) <= lists.MOST_FRAMES


def tampered(real: DicomWebServer, session: Session, change: Any) -> Any:
    """Answer as the real server, lists changed."""

    def reply(request: Received) -> Answer:
        found = session.transport.fetch(f"{real.url}{request.target}", headers=dict(request.headers))
        body, kind = found.body, found.headers["Content-Type"]
        return Answer(change(body) if "," in request.target else body, headers={"Content-Type": kind})

    return reply


def without_last(body: bytes) -> bytes:
    """Take the last part out of a multipart body."""
    boundary = body[: body.index(b"\r\n")]
    return body[: body.rindex(boundary, 0, body.rindex(boundary))] + boundary + b"--\r\n"


@pytest.mark.parametrize("location", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        without_last,
        lambda body: body[: len(body) // 2],
        lambda _: b"",
        lambda body: body.replace(b"/frames/2", b"/frames/19"),
    ],
    ids=["fewer parts", "cut", "empty", "another frame"],
)
def test_damaged_lists(location: bool, change: Any) -> None:
    """What a list does not bring is asked for by itself, and nothing is taken for another frame."""
    numbers = regular(2, 6, 1)
    with serving(content_location=location) as real, FaultServer() as server, Session() as session:
        reply = tampered(real, session, change)
        path = instance_path(0)
        server.plan(f"{path}/metadata", reply)
        server.plan(f"{path}/frames/{','.join(map(str, numbers))}", reply)
        for number in range(1, COUNT + 1):
            server.plan(f"{path}/frames/{number}", reply)
        array = slices(session, server.url(""), numbers)

        assert np.array_equal(array, expected(numbers))


def test_one_frame_of_several_cannot_be_had() -> None:
    """A frame that nobody can give fails by itself, named; the others of its list are there."""
    numbers = regular(2, 6, 1)
    with serving() as real, FaultServer() as server, Session(attempts=1) as session:
        reply = tampered(real, session, without_last)
        path = instance_path(0)
        server.plan(f"{path}/metadata", reply)
        server.plan(f"{path}/frames/{','.join(map(str, numbers))}", reply)
        with pytest.raises(LoadstoneError) as caught:
            slices(session, server.url(""), numbers)

        assert len(caught.value.missing) == 1
        assert not isinstance(caught.value, IntegrityError)
