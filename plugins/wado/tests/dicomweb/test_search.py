from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstone import InvalidIdError, LimitError, LoadstoneError, Session
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado import DicomWeb
from loadstone_wado.dicomweb import search as searching
from loadstone_wado.dicomweb.search import Filter, parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.testing.faults import Received

JSON_TYPE = {"Content-Type": "application/dicom+json"}


def study(number: int) -> dict[str, object]:
    return {"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}}


def answer(numbers: range | list[int], **headers: str) -> Answer:
    if not numbers:
        return Answer(status=204)
    return Answer(json.dumps([study(each) for each in numbers]).encode(), headers={**JSON_TYPE, **headers})


def asked(request: Received, name: str) -> int | None:
    values = parse_qs(request.target.partition("?")[2]).get(name)
    return int(values[0]) if values else None


def archive(
    total: int, *, cap: int | None = None, offsets: bool = True, limits: bool = True
) -> Callable[[Received], Answer]:
    """Answer like a server with so many studies."""

    def reply(request: Received) -> Answer:
        first = (asked(request, "offset") or 0) if offsets else 0
        most = asked(request, "limit") if limits else None
        stop = min(each for each in (total, *(first + n for n in (cap, most) if n is not None)))
        return answer(range(first, max(first, stop)))

    return reply


def found(
    reply: Callable[[Received], Answer] | Answer, *, limit: int | None = None, offset: int = 0
) -> tuple[list[str], list[str]]:
    """Search for studies; return their UIDs and what was asked for."""
    with FaultServer() as server, Session() as session:
        server.plan("/studies", reply)
        rows = DicomWeb(server.url(""), session).studies(limit=limit, offset=offset)
        return [row.study_instance_uid for row in rows], [each.target for each in server.requests]


def uids(numbers: range) -> list[str]:
    return [f"1.2.{number}" for number in numbers]


@settings(max_examples=25, deadline=None)
@given(
    total=st.integers(0, 9),
    cap=st.none() | st.integers(1, 4),
    limit=st.none() | st.integers(0, 10),
    offset=st.integers(0, 10),
)
def test_pages(total: int, cap: int | None, limit: int | None, offset: int) -> None:
    """Whatever a server gives at a time, all that is wanted is found, once and in order."""
    stop = total if limit is None else min(total, offset + limit)
    rows, _ = found(archive(total, cap=cap), limit=limit, offset=offset)

    assert rows == uids(range(offset, stop))


@pytest.mark.parametrize("limit", [None, 3, 9])
def test_a_server_that_ignores_offset(limit: int | None) -> None:
    """A server that repeats its first page is asked twice at most."""
    rows, targets = found(archive(5, offsets=False), limit=limit)

    assert rows == uids(range(5))[:limit]
    assert len(targets) <= 2


def test_a_server_that_ignores_limit() -> None:
    """Not more is returned than was wanted."""
    rows, targets = found(archive(5, limits=False), limit=2)

    assert rows == uids(range(2))
    assert len(targets) == 1


def test_pages_that_overlap() -> None:
    """A study that is there twice, because the archive changed between two pages, is one row."""
    pages = iter([[0, 1, 2], [2, 3], []])
    rows, _ = found(lambda _: answer(next(pages)))

    assert rows == uids(range(4))


def test_an_endless_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that invents ever more is given up."""
    monkeypatch.setattr(searching, "MOST_ROWS", 50)
    with pytest.raises(LimitError, match="more than 50"):
        found(
            lambda request: answer(range(asked(request, "offset") or 0, 20 + (asked(request, "offset") or 0)))
        )


@pytest.mark.parametrize("status", [200, 206])
def test_an_incomplete_page(status: int) -> None:
    """A page that says there is more, by its status or a warning, is followed by the next one."""
    said = {"Warning": '299 server "There are 2 additional results that can be requested"'}
    first = Answer(json.dumps([study(0)]).encode(), status=status, headers={**JSON_TYPE, **said})
    pages = iter([first, answer([1, 2]), answer([])])
    rows, _ = found(lambda _: next(pages))

    assert rows == uids(range(3))


def test_nothing() -> None:
    """204 and an empty list are no rows."""
    assert found(Answer(status=204))[0] == []
    assert found(Answer(b"[]", headers=JSON_TYPE))[0] == []


def test_rows_without_uid() -> None:
    """What cannot be named cannot be loaded: it is left out."""
    body = json.dumps([{"00080060": {"vr": "CS", "Value": ["CT"]}}, study(1)]).encode()
    rows, _ = found(Answer(body, headers=JSON_TYPE))

    assert rows == ["1.2.1"]


def test_a_server_that_knows_json_only() -> None:
    """406 for one media type leads to the next, which is remembered."""

    def reply(request: Received) -> Answer:
        plain = request.headers["Accept"] == "application/json"
        return archive(3)(request) if plain else Answer(status=406)

    rows, targets = found(reply)

    assert rows == uids(range(3))
    assert len(targets) == 3


def test_a_refused_question() -> None:
    """400 is about the question: it is not asked in another way."""
    with FaultServer() as server, Session() as session:
        server.plan("/studies", Answer(status=400))
        with pytest.raises(LoadstoneError, match="400"):
            DicomWeb(server.url(""), session).studies()

        assert len(server.requests) == 1


def test_filters() -> None:
    """Keywords, tags and paths of them are named as the server knows them; values become text."""
    given_filters: dict[str, Filter] = {
        "PatientName": "Doe*",
        "(0010,0020)": 4711,
        "StudyDate": dt.date(2024, 2, 1),
        "RequestAttributesSequence.0040a30a": 1.5,
        "SeriesInstanceUID": ["1.2", "1.3"],
    }

    assert parameters(given_filters, ["all", "00081030"], fuzzy=True) == [
        ("PatientName", "Doe*"),
        ("00100020", "4711"),
        ("StudyDate", "20240201"),
        ("RequestAttributesSequence.0040A30A", "1.5"),
        ("SeriesInstanceUID", "1.2,1.3"),
        ("includefield", "all"),
        ("includefield", "00081030"),
        ("fuzzymatching", "true"),
    ]


@pytest.mark.parametrize("wrong", [None, [1, 2], b"CT"])
def test_a_value_of_no_kind(wrong: Any) -> None:
    """What no search can ask for is refused before anything is sent."""
    with pytest.raises(LoadstoneError, match="Modality"):
        parameters({"Modality": wrong})


def test_an_unknown_attribute() -> None:
    """A misspelt filter is refused before anything is asked, with what may be meant."""
    with pytest.raises(InvalidIdError, match="Did you mean PatientID"):
        DicomWeb("http://127.0.0.1:9").studies({"PatientId": "1"})
    with pytest.raises(InvalidIdError, match="no DICOM attribute"):
        parameters({"xyzzy": "1"})


def test_numbers_below_zero() -> None:
    """Neither limit nor offset is negative."""
    for limit, offset in ((-1, 0), (None, -1)):
        with pytest.raises(LoadstoneError, match="count from 0"):
            DicomWeb("http://127.0.0.1:9").studies(limit=limit, offset=offset)


def test_values_are_escaped() -> None:
    """No value can add a parameter."""
    with FaultServer() as server, Session() as session:
        server.plan("/studies", Answer(status=204))
        DicomWeb(server.url(""), session).studies({"PatientName": "a&limit=1#x ü?"})

        assert parse_qs(server.requests[0].target.partition("?")[2]) == {"PatientName": ["a&limit=1#x ü?"]}
