"""Which attribute is the time axis of a classic series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadstone import Axis, Session
from loadstone.events import TimePointLoaded
from loadstone.retrieve import outward
from plugins.wado.tests.series.builders import in_time, stack, stacks
from plugins.wado.tests.studies import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# Manufacturer, creator, group, element and VR of the b-value.
SIEMENS = ("SIEMENS", "SIEMENS MR HEADER", 0x19, 0x0C, "IS")
GE = ("GE MEDICAL SYSTEMS", "GEMS_PARM_01", 0x43, 0x39, "IS")
PHILIPS = ("Philips Medical Systems", "Philips Imaging DD 001", 0x2001, 0x03, "FL")
UIH = ("UIH", "Image Private Header", 0x65, 0x09, "FD")


TOLD: dict[str, tuple[Callable[[int, int], dict[str, Any]], Axis]] = {
    "temporal position": (
        lambda _, t: {"TemporalPositionIdentifier": t + 1, "TriggerTime": 10 * t},
        Axis("t", (1.0, 2.0, 3.0), "", "TemporalPositionIdentifier"),
    ),
    "heart": (lambda _, t: {"TriggerTime": 12.5 * t}, Axis("t", (0.0, 12.5, 25.0), "ms", "TriggerTime")),
    "heart, but each slice at its own time": (
        lambda k, t: {"TriggerTime": 12.5 * t + k, "AcquisitionNumber": t},
        Axis("t", (0.0, 1.0, 2.0), "", "AcquisitionNumber"),
    ),
    "diffusion": (
        lambda _, t: {"DiffusionBValue": 500.0 * t},
        Axis("t", (0.0, 500.0, 1000.0), "s/mm2", "DiffusionBValue"),
    ),
    "acquisition": (
        lambda _, t: {"AcquisitionNumber": 3 - t},
        Axis("t", (1.0, 2.0, 3.0), "", "AcquisitionNumber"),
    ),
    "pet": (
        lambda _, t: {"FrameReferenceTime": 30000.0 * t},
        Axis("t", (0.0, 30000.0, 60000.0), "ms", "FrameReferenceTime"),
    ),
    "clock": (
        lambda _, t: {"AcquisitionTime": f"23595{t}.5", "AcquisitionDate": "20200101"},
        Axis("t", (0.0, 1.0, 2.0), "s", "AcquisitionTime"),
    ),
    "clock over midnight": (
        lambda _, t: {
            "ContentTime": ["235959", "000001", "000003"][t],
            "ContentDate": ["20200101", "20200102", "20200102"][t],
        },
        Axis("t", (0.0, 2.0, 4.0), "s", "ContentTime"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tell", "axis"), TOLD.values(), ids=TOLD)
def test_the_first_attribute_that_is_distinct_everywhere(
    tell: Callable[[int, int], dict[str, Any]], axis: Axis
) -> None:
    """It is the axis, with its values and their unit; images are at their time, sorted by position."""
    found = stack(*in_time(2, 3, tell, shuffled=5))

    assert found.coordinates == (axis,)
    assert found.places == ((0,), (0,), (1,), (1,), (2,), (2,))
    order = (
        [0, 1, 2, 3, 4, 5]
        if axis.values != (1.0, 2.0, 3.0) or "TriggerTime" in tell(0, 0)
        else [4, 5, 2, 3, 0, 1]
    )
    assert found.image_ids == tuple(f"x:{number}/1" for number in order)
    assert not found.findings


@pytest.mark.parametrize(
    ("element", "recorded", "b_values"),
    [
        (SIEMENS, (0, 800), (0, 800)),
        (GE, ([0, 8], [10**9 + 700, 8]), (0, 700)),
        (PHILIPS, (0.0, 600.0), (0, 600)),
        (UIH, (0.0, 400.0), (0, 400)),
    ],
    ids=["Siemens", "GE", "Philips", "UIH"],
)
def test_b_values_of_vendors(
    element: tuple[str, str, int, int, str], recorded: tuple[Any, Any], b_values: tuple[float, ...]
) -> None:
    """What vendors write in elements of their own is the b-value, by their name and no other."""
    manufacturer, creator, group, number, vr = element
    series, of_others = in_time(2, 2, lambda _k, _t: {}), in_time(2, 2, lambda _k, _t: {})
    for name, datasets in ((manufacturer, series), ("ACME", of_others)):
        for each in datasets:
            each.Manufacturer = name
            value = recorded[(each.InstanceNumber - 1) // 2]
            each.private_block(group, creator, create=True).add_new(number, vr, value)

    assert stack(*series).coordinates == (Axis("t", b_values, "s/mm2", "DiffusionBValue"),)
    assert stack(*of_others).coordinates[0].source == "InstanceNumber"


class TestRank:
    """Images that no attribute tells apart."""

    def test_their_order_is_that_of_the_instance_number(self) -> None:
        """It is the axis where counts are equal, and the report says so."""
        found = stack(*in_time(3, 4, lambda _k, _t: {}, shuffled=2))

        assert found.coordinates == (Axis("t", (0.0, 1.0, 2.0, 3.0), "", "InstanceNumber"),)
        assert found.image_ids == tuple(f"x:{number}/1" for number in range(12))
        assert "no attribute tells the 4 images at each position apart" in found.findings[0].message

    def test_values_that_go_with_the_order_are_told(self) -> None:
        """Directions of one b-value do not make an axis, and still each time point has its b-value."""
        found = stack(*in_time(2, 3, lambda _, t: {"DiffusionBValue": 1000.0 * (t > 0)}))

        assert found.coordinates == (Axis("t", (0.0, 1000.0, 1000.0), "s/mm2", "DiffusionBValue"),)
        assert "in the order of InstanceNumber" in found.findings[0].message

    def test_without_numbers_there_is_no_order(self) -> None:
        """Images without InstanceNumber are duplicates."""
        series = in_time(2, 2, lambda _k, _t: {})
        for each in series:
            del each.InstanceNumber

        assert stack(*series).coordinates == ()


class TestUnequal:
    """Positions that have not all time points."""

    def test_what_lacks_an_image_is_still_in_time(self) -> None:
        """The axis is that of the attribute; the image that is missing is said to be."""
        series = in_time(3, 3, lambda _, t: {"TemporalPositionIdentifier": t + 1})
        del series[4]
        found = stack(*series)

        assert found.coordinates[0].values == (1.0, 2.0, 3.0)
        assert len(found.places) == 8
        assert found.findings[0].kind == "incomplete"

    @pytest.mark.parametrize("lost", [{1, 5, 6, 7, 11}, {0, 5, 10}, {0, 5, 10, 3}])
    def test_numbers_of_time_points_count_however_many_are_lost(self, lost: set[int]) -> None:
        """What differs in them is no copy, even where most positions lack some, or all lack as many."""
        series = in_time(4, 3, lambda _, t: {"TemporalPositionIdentifier": t + 1})
        found = stack(*(each for each in series if each.InstanceNumber - 1 not in lost))

        assert found.coordinates == (Axis("t", (1.0, 2.0, 3.0), "", "TemporalPositionIdentifier"),)
        assert [each.kind for each in found.findings] == ["incomplete"]

    def test_numbers_of_images_are_no_numbers_of_time_points(self) -> None:
        """Where each image has one of its own, it counts something else: the order decides."""
        series = in_time(4, 3, lambda k, t: {"TemporalPositionIdentifier": t * 4 + k})

        assert stack(*series).coordinates[0].source == "InstanceNumber"

    def test_without_an_attribute_they_are_incomplete(self) -> None:
        """There is no axis, and the finding says how many images lie where."""
        series = in_time(3, 3, lambda _k, _t: {})
        del series[4]
        found = stack(*series)

        assert found.coordinates == ()
        assert (
            "8 images lie at 3 positions, 3 at most of them and 2 at the least" in found.findings[0].message
        )

    def test_a_few_doubles_are_no_time(self) -> None:
        """Where most positions have one image, a second one is a duplicate."""
        series = in_time(5, 2, lambda _, t: {"AcquisitionNumber": t})
        few = [each for each in series if each.InstanceNumber < 7]

        assert stack(*few).coordinates == ()
        assert not stack(*few).findings


class TestVolumesOfTheirOwn:
    """What lies together and is not one volume."""

    @pytest.mark.parametrize(
        "tell",
        [
            lambda _, t: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[t]]},
            lambda _, t: {"ComplexImageComponent": ["MAGNITUDE", "PHASE"][t]},
            lambda _, t: {"EchoNumbers": t + 1},
            lambda _, t: {"EchoTime": 2.5 * (t + 1)},
        ],
    )
    def test_each_has_an_id(self, tell: Callable[[int, int], dict[str, Any]]) -> None:
        """Magnitude and phase, water and fat, echoes: each is a volume, to be pasted."""
        first, second = stacks(*in_time(3, 2, tell))

        assert (first.volume_id, second.volume_id) == ("x:place?stack=1", "x:place?stack=2")
        assert len(first.image_ids) == len(second.image_ids) == 3
        assert not first.coordinates

    def test_an_echo_time_that_trembles_is_one(self) -> None:
        """Less than 1 % is no second echo, and the first two values of ImageType tell nothing apart."""
        series = in_time(
            4,
            1,
            lambda k, _: {"EchoTime": 50 + 0.1 * k, "ImageType": [["ORIGINAL", "DERIVED"][k % 2], "PRIMARY"]},
        )

        assert len(stack(*series).image_ids) == 4

    def test_localizers_are_set_aside_by_name(self) -> None:
        """They are no volume of the place, are said to be there, and are loaded by their id."""
        series = in_time(3, 1, lambda _k, _t: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]})
        series[1].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        found = stack(*series)

        assert len(found.image_ids) == 2
        assert [each.kind for each in found.findings] == ["localizer"]
        assert "1 localizers were set aside: x:place?stack=" in found.findings[0].message

    def test_a_series_of_localizers_is_a_volume(self) -> None:
        """Where there is nothing else, nothing is set aside."""
        series = in_time(3, 1, lambda _k, _t: {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})

        assert len(stack(*series).image_ids) == 3


def test_time_points_from_the_one_that_is_shown_outward(tmp_path: Path) -> None:
    """The scan tells how many there are; each is announced when it is complete, the nearest first."""
    series = in_time(3, 5, lambda _, t: {"TemporalPositionIdentifier": t + 1})
    place = write(series, tmp_path)
    seen: list[tuple[int, ...]] = []
    with Session() as session, session.subscribe(TimePointLoaded, lambda each: seen.append(each.place)):
        (row,) = session.scan(place)
        volume = session.load_volume(row.id, retrieve=outward(2, *row.shape[:2]))

    assert seen == [(2,), (1,), (3,), (0,), (4,)]
    assert volume.shape == row.shape
    assert volume.missing == ()
