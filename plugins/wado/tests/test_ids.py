from __future__ import annotations

import pytest

from loadstone import ImageId, InvalidIdError, VolumeId
from loadstone_wado.ids import RsUrl, Selection, frame_of

SERIES = "https://pacs.example.org/dw/studies/1.2/series/3.4"
INSTANCE = f"{SERIES}/instances/5.6"


@pytest.mark.parametrize(
    ("rest", "frame", "query"),
    [
        (f"{INSTANCE}/frames/7", 7, ""),
        (f"{INSTANCE}/frames/7/", 7, ""),
        (f"{INSTANCE}/frames/7?imageSetId=9&x=%2F", 7, "?imageSetId=9&x=%2F"),
        (INSTANCE, 1, ""),
        (f"{INSTANCE}?frame=2", 2, ""),
        (f"{INSTANCE}?imageSetId=9&frame=2", 2, "?imageSetId=9"),
        (f"HTTPS{INSTANCE.removeprefix('https')}/frames/7", 7, ""),
    ],
)
def test_a_frame(rest: str, frame: int, query: str) -> None:
    """A frame is named in the path or behind it; the rest of the query goes along."""
    url = RsUrl.of_image(ImageId(f"wadors:{rest}"))

    assert (url.study, url.series, url.instance) == ("1.2", "3.4", "5.6")
    assert (url.frame, url.query) == (frame, query)
    assert url.frame_url.lower() == f"{INSTANCE}/frames/{frame}"


def test_a_root_that_looks_like_a_study() -> None:
    """The root may hold the words of the path."""
    url = RsUrl.of_image(ImageId("wadors:http://h/series/studies-of/x/dw/studies/1/series/2/instances/3"))

    assert url.root == "http://h/series/studies-of/x/dw"
    assert url.series_url == "http://h/series/studies-of/x/dw/studies/1/series/2"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "https://pacs.example.org/dw",
        "ftp://pacs/studies/1/series/2/instances/3",
        f"{SERIES}/instances",
        f"{SERIES}/frames/1",
        f"{INSTANCE}/frames/one",
        f"{INSTANCE}/frames/1,2",
        f"{INSTANCE}/frames/{'9' * 5000}",
        f"{INSTANCE}/frames/1/rendered",
        f"{INSTANCE}/frames/1#x",
        SERIES,
        f"{INSTANCE}/frames/0",
        f"{INSTANCE}?frame=0",
        f"{INSTANCE}?frame=x",
        f"{INSTANCE}/frames/1?frame=2",
    ],
)
def test_no_frame(rest: str) -> None:
    """What names no frame, or two, is refused."""
    with pytest.raises(InvalidIdError):
        RsUrl.of_image(ImageId(f"wadors:{rest}"))


def test_a_secret_in_an_id_is_not_told() -> None:
    """Messages about ids keep neither user nor query."""
    with pytest.raises(InvalidIdError) as caught:
        RsUrl.of_image(ImageId("wadors:https://jane:secret@pacs/dw?token=secret"))

    assert "secret" not in str(caught.value)
    assert "https://pacs/dw" in str(caught.value)


def test_a_volume() -> None:
    """A series or an instance is a volume, a frame is none."""
    series = RsUrl.of_volume(VolumeId(f"wadors:{SERIES}"), SERIES)

    assert (series.series, series.instance, series.frame) == ("3.4", "", 0)
    assert RsUrl.of_volume(VolumeId(f"wadors:{INSTANCE}"), INSTANCE).instance_url == INSTANCE
    with pytest.raises(InvalidIdError, match="load_image"):
        RsUrl.of_volume(VolumeId(f"wadors:{INSTANCE}/frames/1"), f"{INSTANCE}/frames/1")


@pytest.mark.parametrize(
    ("text", "rest", "selection"),
    [
        ("dicomfile:/a", "/a", Selection()),
        ("dicomfile:/a?series=1.2", "/a", Selection("1.2")),
        ("dicomfile:/a?stack=2&series=1.2", "/a", Selection("1.2", 2)),
        ("dicomfile:/a?x=1&stack=3", "/a?x=1", Selection(stack=3)),
    ],
)
def test_a_selection(text: str, rest: str, selection: Selection) -> None:
    """Selections are taken off the end, in any order; what is unknown stays."""
    assert Selection.of(VolumeId(text), "series", "stack") == (rest, selection)


@pytest.mark.parametrize(
    "text", ["/a?stack=0", "/a?stack=x", "/a?stack=", "/a?frame=1", "/a?series=1&frame=1"]
)
def test_no_selection(text: str) -> None:
    """Stacks count from 1, and a frame is no volume."""
    with pytest.raises(InvalidIdError):
        Selection.of(VolumeId(f"dicomfile:{text}"), "series", "stack")


def test_the_frame_of_a_file() -> None:
    """Frames count from 1; without a number it is the first."""
    assert frame_of(ImageId("dicomfile:/a")) == 1
    assert frame_of(ImageId("dicomfile:/a?frame=12")) == 12
    with pytest.raises(InvalidIdError, match="count from 1"):
        frame_of(ImageId("dicomfile:/a?frame=0"))
