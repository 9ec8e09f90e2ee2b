"""Time points as Cornerstone3D finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadstone_wado.series import TimePointGroups, split_by_4d_tags
from plugins.wado.tests.series.builders import in_time
from plugins.wado.tests.series.test_dimensions import heart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydicom.dataset import Dataset


def split(datasets: Iterable[Dataset]) -> TimePointGroups:
    """Divide images that are named after their number."""
    return split_by_4d_tags({f"x:{each.InstanceNumber}": each for each in datasets})


def by_number(groups: TimePointGroups) -> list[list[int]]:
    """Return the numbers in each group, sorted."""
    return [sorted(int(image_id.partition(":")[2]) for image_id in group) for group in groups.groups]


@pytest.mark.parametrize(
    ("tell", "tag"),
    [
        (lambda _, t: {"TemporalPositionIdentifier": t, "EchoTime": t}, "TemporalPositionIdentifier"),
        (lambda _, t: {"DiffusionBValue": 500.0 * t}, "DiffusionBValue"),
        (lambda _, t: {"TriggerTime": 10 * t}, "TriggerTime"),
        (lambda _, t: {"EchoTime": 5.0 + t}, "EchoTime"),
        (lambda _, t: {"EchoNumbers": t + 1}, "EchoNumber"),
        (lambda _, t: {"FrameReferenceTime": 1000 * t} if t else {}, "PetFrameReferenceTime"),
    ],
)
def test_the_first_tag_that_tells_them_apart(tell: Callable[[int, int], dict[str, Any]], tag: str) -> None:
    """Groups ascend by its value; one that is missing counts as 0."""
    found = split(in_time(2, 3, tell, shuffled=4))

    assert found.tag == tag
    assert by_number(found) == [[1, 2], [3, 4], [5, 6]]


def test_the_heart() -> None:
    """The n-th trigger time of each position is time point n, though each slice has times of its own."""
    series = in_time(
        2,
        3,
        lambda k, t: {
            "CardiacNumberOfImages": 3,
            "StackID": "1",
            "InStackPositionNumber": k + 1,
            "TriggerTime": 10 * t + k,
        },
        shuffled=1,
    )
    found = split(series)

    assert found.tag == "CardiacTriggerTime"
    assert by_number(found) == [[1, 2], [3, 4], [5, 6]]


def test_frames_by_their_slot() -> None:
    """Frames of a gated object are named by number, from 1, sorted by slice."""
    found = split_by_4d_tags({"x:a": heart(4.0, SliceVector=[3, 2, 1, 1, 2, 3])})

    assert found == TimePointGroups(
        (
            ("x:a?frame=3", "x:a?frame=2", "x:a?frame=1"),
            ("x:a?frame=4", "x:a?frame=5", "x:a?frame=6"),
        ),
        "TimeSlotVector",
    )


@pytest.mark.parametrize(
    "keep",
    [
        lambda _: True,  # nothing tells them apart
        lambda number: number < 6,  # unequal counts
        lambda number: number < 3,  # one at each position
    ],
)
def test_no_time_series(keep: Callable[[int], bool]) -> None:
    """All images are one group, without a tag."""
    series = [each for each in in_time(2, 3, lambda _k, _t: {}) if keep(each.InstanceNumber)]
    found = split(series)

    assert found.tag is None
    assert len(found.groups) == 1


def test_images_without_positions_are_no_time_series() -> None:
    """One that does not say where it lies makes all of them one group."""
    series = in_time(2, 2, lambda _, t: {"TriggerTime": t})
    del series[0].ImagePositionPatient

    assert split(series).tag is None
