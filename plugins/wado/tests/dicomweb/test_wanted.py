from __future__ import annotations

from loadstone import ImageId
from loadstone_wado.dicomweb.wanted import wanted_by_series

SERIES = "wadors:http://h/dw/studies/1/series"


def test_frames_by_series() -> None:
    """Frames are put together by series and by the query that goes along."""
    texts = [
        f"{SERIES}/2/instances/3/frames/1",
        f"{SERIES}/2/instances/3/frames/2",
        f"{SERIES}/2/instances/4",
        f"{SERIES}/2/instances/4?x=1",
        f"{SERIES}/7/instances/4",
    ]
    found = list(wanted_by_series([ImageId(text) for text in texts]))

    assert [len(each) for each in found] == [3, 1, 1]
    assert [each.instances for each in found] == [["3", "4"], ["4"], ["4"]]


def test_what_was_given_is_wanted_no_more() -> None:
    """All ids of a frame are given at once."""
    one, other = ImageId(f"{SERIES}/2/instances/3"), ImageId(f"{SERIES}/2/instances/3/frames/1")
    (wanted,) = wanted_by_series([one, other])

    assert wanted.frames("3") == {1: [one, other]}
    assert wanted.frames("4") == {}
    wanted.got("3", 1)
    assert len(wanted) == 0
    assert list(wanted) == []
