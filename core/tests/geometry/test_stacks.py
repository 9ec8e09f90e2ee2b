from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import AXIAL, CORONAL, ORIENTATIONS, arranged, series
from loadstone.errors import MetadataError
from loadstone.geometry import mixture, split_stacks

if TYPE_CHECKING:
    import random

    from loadstone.metadata import ImagePlane

SIZE = (16, 16)


def split(planes: list[ImagePlane]) -> tuple[tuple[int, ...], ...]:
    """Split planes of one size."""
    return split_stacks(planes, [SIZE] * len(planes))


def test_one_series_is_one_stack() -> None:
    """Planes that agree stay together, and there is nothing to say."""
    assert split(series()) == (tuple(range(8)),)
    assert mixture(series(), [SIZE] * 8) == ()


def test_nothing_is_no_stack() -> None:
    """No images, no groups, no findings."""
    assert split([]) == ()
    assert mixture([], []) == ()


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ({"orientation": CORONAL}, "mixed_orientation"),
        ({"orientation": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)}, "mixed_orientation"),
        ({"image_orientation_patient": None}, "mixed_orientation"),
        ({"pixel_spacing": (0.5, 2.0004)}, "mixed_spacing"),
        ({"pixel_spacing": (2.0, 0.5)}, "mixed_spacing"),
        ({"pixel_spacing": None}, "mixed_spacing"),
        ({"frame_of_reference_uid": "1.2.4"}, "mixed_frame_of_reference"),
        ({"frame_of_reference_uid": None}, "mixed_frame_of_reference"),
    ],
)
def test_what_differs_is_split_and_named(other: dict[str, Any], kind: str) -> None:
    """Each property that must agree makes a group of its own, named with the first image of each."""
    planes = [*series([0.0, 3.0]), *series([6.0, 9.0], **other), *series([12.0])]
    (finding,) = mixture(planes, [SIZE] * 5)

    assert split(planes) == ((0, 1, 4), (2, 3))
    assert finding.kind == kind
    assert finding.images == (0, 2)
    assert "(3, 2 images each)" in finding.message


def test_sizes_split_to_the_pixel() -> None:
    """Arrays of different shape are never one volume."""
    sizes = [SIZE, (16, 17), SIZE]
    planes = series([0.0, 3.0, 6.0])

    assert split_stacks(planes, sizes) == ((0, 2), (1,))
    assert [finding.kind for finding in mixture(planes, sizes)] == ["mixed_size"]


@pytest.mark.parametrize(
    "other",
    [
        {"orientation": (1.0, 9e-5, 0.0, -9e-5, 1.0, 0.0)},
        {"pixel_spacing": (0.5, 2.00019)},
        {"slice_thickness": 7.0},
        {"position_decimals": 2},
    ],
)
def test_what_differs_within_tolerance_stays(other: dict[str, Any]) -> None:
    """1e-4 in orientation and, relative, in pixel spacing; the thickness of slices says nothing."""
    assert split([*series([0.0, 3.0]), *series([6.0], **other)]) == ((0, 1, 2),)


def test_slow_turn_is_no_stack() -> None:
    """Orientations that each differ little from the next do not chain into one group."""
    angles = np.arange(100) * 5e-5
    planes = [
        series([3.0 * k], (float(np.cos(a)), float(np.sin(a)), 0, float(-np.sin(a)), float(np.cos(a)), 0))[0]
        for k, a in enumerate(angles)
    ]
    groups = split(planes)

    assert len(groups) > 30
    for group in groups:
        assert np.ptp(angles[list(group)]) <= 1.1e-4


def test_frames_of_reference_that_name_each_image_are_not_looked_at() -> None:
    """De-identification that gives every image its own does not tear a series apart; the report says so."""
    planes = [series([3.0 * k], frame_of_reference_uid=f"1.2.{k}")[0] for k in range(8)]
    stack = arranged(planes)

    assert split(planes) == (tuple(range(8)),)
    assert stack.report.regular
    assert "frame_of_reference_per_image" in stack.report.kinds


def test_two_images_with_two_frames_of_reference_are_two_stacks() -> None:
    """Two are too few to tell damage from information."""
    planes = [series([3.0 * k], frame_of_reference_uid=f"1.2.{k}")[0] for k in range(2)]

    assert split(planes) == ((0,), (1,))


def test_frames_of_reference_are_judged_within_each_orientation() -> None:
    """One meaningful stack keeps its frames of reference though another has none."""
    damaged = [series([3.0 * k], frame_of_reference_uid=f"1.2.{k}")[0] for k in range(4)]
    sound = series([0.0, 3.0], CORONAL, frame_of_reference_uid="1.3") + series(
        [6.0, 9.0], CORONAL, frame_of_reference_uid="1.4"
    )

    assert split(damaged + sound) == ((0, 1, 2, 3), (4, 5), (6, 7))


@given(st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order(chance: random.Random) -> None:
    """Every permutation gives the same groups of the same images."""
    planes = [plane for orientation in ORIENTATIONS.values() for plane in series([0, 3, 6], orientation)]
    indices = list(range(len(planes)))
    chance.shuffle(indices)
    groups = split([planes[index] for index in indices])

    assert {frozenset(indices[member] for member in group) for group in groups} == {
        frozenset(range(start, start + 3)) for start in range(0, 12, 3)
    }
    assert [group[0] for group in groups] == sorted(group[0] for group in groups)
    assert all(list(group) == sorted(group) for group in groups)


def test_radial_slices_are_as_many_stacks() -> None:
    """Thousands of orientations take one pass each, not one for each pair."""
    angles = np.linspace(0, np.pi, 4000, endpoint=False)
    planes = [series([0.0], (0.0, 0.0, 1.0, float(np.cos(a)), float(np.sin(a)), 0.0))[0] for a in angles]

    assert len(split(planes)) == 4000


def test_as_many_sizes_as_planes_are_needed() -> None:
    """A caller's mistake is a typed error, not an index error later."""
    with pytest.raises(MetadataError, match="8 planes but 1 sizes"):
        split_stacks(series(), [SIZE])

    with pytest.raises(MetadataError, match="size"):
        split_stacks(series([0.0], AXIAL), [(1, 2, 3)])  # type: ignore[list-item]
