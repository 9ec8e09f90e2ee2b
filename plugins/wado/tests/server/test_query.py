from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadstone_wado.server import DicomWebServer
from plugins.wado.tests.server.builders import ask, native

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = "application/dicom+json"


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    """Two studies: CT in two series (2 and 1 instances), MR in one with one instance."""
    ct = [
        native(
            SOPInstanceUID=f"1.2.3.{number}",
            SeriesInstanceUID=series,
            InstanceNumber=number,
            SliceLocation=number,
        )
        for number, series in ((1, "1.2.3.1"), (2, "1.2.3.1"), (3, "1.2.3.2"))
    ]
    mr = native(
        SOPInstanceUID="1.2.9.1",
        SeriesInstanceUID="1.2.9.0",
        StudyInstanceUID="1.2.9",
        Modality="MR",
        PatientName="Roe^Richard",
        PatientID="P2",
        StudyDate="20240320",
    )
    with DicomWebServer([*ct, mr]) as server:
        yield server.url


def values(found: list[Any], tag: str) -> list[Any]:
    return [dataset[tag]["Value"][0] for dataset in found]


@pytest.mark.parametrize(
    ("path", "tag", "expected"),
    [
        ("/studies", "0020000D", ["1.2.3", "1.2.9"]),
        ("/series", "0020000E", ["1.2.3.1", "1.2.3.2", "1.2.9.0"]),
        ("/instances", "00080018", ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.9.1"]),
        ("/studies/1.2.3/series", "0020000E", ["1.2.3.1", "1.2.3.2"]),
        ("/studies/1.2.3/instances", "00080018", ["1.2.3.1", "1.2.3.2", "1.2.3.3"]),
        ("/studies/1.2.3/series/1.2.3.1/instances", "00080018", ["1.2.3.1", "1.2.3.2"]),
        ("/studies?PatientName=ROE*", "0020000D", ["1.2.9"]),
        ("/studies?00100020=P1", "0020000D", ["1.2.3"]),
        ("/studies?StudyDate=20240301-", "0020000D", ["1.2.9"]),
        ("/studies?StudyInstanceUID=1.2.9,1.2.3", "0020000D", ["1.2.3", "1.2.9"]),
        ("/studies?ModalitiesInStudy=MR", "0020000D", ["1.2.9"]),
        ("/studies?Modality=CT", "0020000D", ["1.2.3"]),
        ("/instances?SliceLocation=2", "00080018", ["1.2.3.2"]),
        ("/instances?limit=2&offset=1", "00080018", ["1.2.3.2", "1.2.3.3"]),
        ("/series?NumberOfSeriesRelatedInstances=2", "0020000E", ["1.2.3.1"]),
    ],
)
def test_what_a_search_finds(root: str, path: str, tag: str, expected: list[str]) -> None:
    """Levels, filters on indexed, computed and other attributes, and paging find exactly these, in order."""
    answer = ask(root + path, JSON)

    assert (answer.status, answer.headers["content-type"]) == (200, JSON)
    assert values(answer.json, tag) == expected


def test_pages_make_up_the_whole(root: str) -> None:
    """Pages of one, put together, are the whole in the same order; all but the last say that more is left."""
    pages = [ask(f"{root}/instances?limit=1&offset={offset}", JSON) for offset in range(4)]

    assert [page.json[0] for page in pages] == ask(f"{root}/instances", JSON).json
    assert ["warning" in page.headers for page in pages] == [True, True, True, False]


def test_computed_attributes(root: str) -> None:
    """A search says how much there is, of which modality, and where."""
    study = ask(f"{root}/studies?StudyInstanceUID=1.2.3", JSON).json[0]

    assert study["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert study["00201206"]["Value"] == [2]
    assert study["00201208"]["Value"] == [3]
    assert study["00081190"]["Value"] == [f"{root}/studies/1.2.3"]
    series = ask(f"{root}/studies/1.2.3/series", JSON).json
    assert values(series, "00201209") == [2, 1]


def test_included_fields(root: str) -> None:
    """Further attributes come when they are asked for, empty where there is none."""
    plain = ask(f"{root}/instances", JSON).json[0]
    more = ask(f"{root}/instances?includefield=SliceLocation&includefield=00104000,PixelSpacing", JSON).json[
        0
    ]
    everything = ask(f"{root}/instances?includefield=all", JSON).json[0]

    assert "00201041" not in plain
    assert more["00201041"]["Value"] == [1.0]
    assert more["00104000"] == {"vr": "LT"}
    assert everything["00280102"]["Value"] == [15]


def test_nothing_found_is_no_content(root: str) -> None:
    """A search without matches is answered by 204 and no body."""
    answer = ask(f"{root}/studies?PatientID=nobody", JSON)

    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("path", "accept", "status", "word"),
    [
        ("/studies?NoSuchThing=1", JSON, 400, "NoSuchThing"),
        ("/studies?limit=-1", JSON, 400, "limit"),
        ("/studies?offset=many", JSON, 400, "offset"),
        ("/studies/9.9/series", JSON, 404, "9.9"),
        ("/studies/1.2.3/series/9.9/instances", JSON, 404, "9.9"),
        ("/studies", "application/dicom+xml", 406, JSON),
    ],
)
def test_what_cannot_be_answered(root: str, path: str, accept: str, status: int, word: str) -> None:
    """A refusal has the right status, and its text names what is wrong."""
    answer = ask(root + path, accept)

    assert answer.status == status
    assert word in answer.text


def test_fuzzy_matching_is_declined(root: str) -> None:
    """The answer to a fuzzy search says that matching was literal."""
    assert (
        "fuzzymatching" in ask(f"{root}/studies?PatientName=Doe*&fuzzymatching=true", JSON).headers["warning"]
    )
