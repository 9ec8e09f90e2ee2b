from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import ImageId, InvalidIdError, VolumeId
from loadstone.ids import lane_of, path_of, rest_of, scheme_of

PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("wadors:x", "wadors"),
        ("myCustomLoader:x", "mycustomloader"),
        ("a-b.c:x", "a-b.c"),
        ("C:\\x.nii", None),
        ("c:/x.nii", None),
        ("no scheme", None),
        (":x", None),
        ("1a:x", None),
        ("ä:x", None),
        ("a" * 64 + ":x", None),
        ("a" * 63 + ":x", "a" * 63),
    ],
)
def test_schemes(text: str, scheme: str | None) -> None:
    """Two to 63 characters in front of the first colon, in lower case; a drive letter is none."""
    assert scheme_of(text) == scheme


def test_an_id_is_its_text() -> None:
    """It compares, hashes and prints as what the user gave."""
    image_id = ImageId("dicomFile:/data/x.dcm?frame=3")

    assert image_id == "dicomFile:/data/x.dcm?frame=3"
    assert hash(image_id) == hash(str(image_id))
    assert type(str(image_id)) is str
    assert (image_id.scheme, image_id.rest) == ("dicomfile", "/data/x.dcm?frame=3")
    assert (image_id.locator, image_id.frame) == ("/data/x.dcm", 3)
    assert ImageId(image_id) is image_id


def test_without_a_scheme_there_are_no_parts() -> None:
    """The error says what to write."""
    with pytest.raises(InvalidIdError, match="scheme:rest"):
        _ = ImageId("/data/x.dcm").rest


@pytest.mark.parametrize("frame", ["x", "-1", "1.5", "", "²"])
def test_a_frame_that_is_no_number_is_refused(frame: str) -> None:
    """Only ASCII digits count."""
    with pytest.raises(InvalidIdError, match="frame="):
        _ = ImageId(f"dicomfile:/x?frame={frame}").frame


def test_without_a_frame_there_is_none() -> None:
    """Only a trailing one counts; the rest is literal."""
    assert ImageId("wadouri:http://h/w?frame=2&x=1").frame is None
    assert ImageId("wadouri:http://h/w?x=1&frame=2").locator == "http://h/w?x=1"


def test_selections_are_taken_off_the_end() -> None:
    """Only those that are asked for, each once, in any order."""
    volume_id = VolumeId("dicomfile:/data?stack=2&series=1.2&stack=3")

    assert volume_id.selections("stack", "series") == ("/data?stack=2", {"series": "1.2", "stack": "3"})
    assert volume_id.selections("other") == ("/data?stack=2&series=1.2&stack=3", {})
    assert volume_id.number("stack", "3", least=1) == 3
    with pytest.raises(InvalidIdError, match="at least 4"):
        volume_id.number("stack", "3", least=4)


@given(PATHS)
def test_a_path_comes_back_from_its_id(path: str) -> None:
    """Whatever stands in it, nothing of it is taken for a selection."""
    if scheme_of(path) == "file" or path.startswith("//"):
        return
    rest = rest_of(path)

    assert path_of(rest) == path
    assert ImageId(f"nifti:{rest}?frame=7").locator == rest


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ("file:///data/my%20scan.nii", "/data/my scan.nii"),
        ("file://localhost/data/x", "/data/x"),
        ("//localhost/data/x", "/data/x"),
        ("///data/x", "/data/x"),
        ("file:/data/x", "/data/x"),
    ],
)
def test_file_urls(rest: str, path: str) -> None:
    """They are decoded as URLs."""
    assert path_of(rest) == path


@pytest.mark.parametrize("rest", ["", "file://other/data/x", "a\0b", "file:"])
def test_what_names_no_local_path(rest: str) -> None:
    """Another host, or nothing."""
    with pytest.raises(InvalidIdError):
        path_of(rest)


@pytest.mark.parametrize(
    ("text", "lane"),
    [
        ("wadors:https://user:pw@PACS.example.org:8042/x", "pacs.example.org:8042"),
        ("web:http://host/x", "host"),
        ("nifti:/data/x", "file"),
    ],
)
def test_the_lane_is_the_host_without_credentials(text: str, lane: str) -> None:
    """What an id queues for carries no secret."""
    assert lane_of(ImageId(text)) == lane
