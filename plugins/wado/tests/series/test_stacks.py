from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import InvalidIdError
from loadstone_wado.ids import Selection
from loadstone_wado.instance import Instance
from loadstone_wado.series import LeftOut, Member, stacks_of
from plugins.wado.tests.builders import SETTINGS, identity, image
from plugins.wado.tests.studies import ct_series, ct_slice, enhanced, uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def members(*datasets: Dataset) -> list[Member]:
    return [
        Member(Instance.from_dataset(each, SETTINGS), partial("x:{0}/{1}".format, each.SOPInstanceUID))
        for each in datasets
    ]


def ids(*datasets: Dataset, **selection: Any) -> list[str]:
    return [each.volume_id for each in stacks_of(members(*datasets), "x:place", Selection(**selection))]


def test_one_series_is_one_stack_in_the_order_of_space() -> None:
    """The images of a stack are sorted by position, and its id is that of the place."""
    (stack,) = stacks_of(members(*ct_series(5)), "x:place")

    assert stack.volume_id == "x:place"
    assert stack.image_ids == tuple(f"x:{uid(number)}/1" for number in range(5))


def test_images_that_lie_nowhere_follow_their_numbers() -> None:
    """Without positions InstanceNumber is the order, whatever files and servers make of it."""
    slices = [
        ct_slice(k, ImagePositionPatient=None, InstanceNumber=number) for k, number in enumerate((9, 10, 8))
    ]
    (numbered,) = stacks_of(members(*slices), "x:place")
    (unnumbered,) = stacks_of(
        members(*slices[:2], ct_slice(2, ImagePositionPatient=None, InstanceNumber=None)), "x:place"
    )

    assert numbered.image_ids == tuple(f"x:{uid(k)}/1" for k in (2, 0, 1))
    assert unnumbered.image_ids == tuple(f"x:{uid(k)}/1" for k in range(3))


def test_several_series() -> None:
    """Each series is a volume with an id of its own."""
    other = ct_slice(7, SeriesInstanceUID="1.2.3.2")

    assert ids(*ct_series(3), other) == ["x:place?series=1.2.3.1", "x:place?series=1.2.3.2"]
    assert ids(*ct_series(3), other, series="1.2.3.2") == ["x:place?series=1.2.3.2"]


def test_several_stacks() -> None:
    """What cannot lie in one array is divided: orientation, size, spacing, colour, multi-frame objects."""
    coronal = ct_slice(10, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    coarse = ct_slice(11, PixelSpacing=[1, 1])
    large = ct_slice(12, Rows=2, Columns=12)
    colour = image(np.zeros((4, 6, 3), np.uint8), SeriesInstanceUID="1.2.3.1", SOPInstanceUID=uid(13))
    frames = enhanced(3, SOPInstanceUID=uid(14))
    found = stacks_of(members(*ct_series(3), coronal, coarse, large, colour, frames), "x:place")

    assert [each.volume_id for each in found] == [f"x:place?stack={number}" for number in range(1, 7)]
    assert sorted(len(each.image_ids) for each in found) == [1, 1, 1, 1, 3, 3]
    assert found[-1].image_ids == tuple(f"x:{uid(14)}/{number}" for number in (3, 2, 1))


def test_each_id_selects_its_stack() -> None:
    """The id of a stack, pasted, gives the same images."""
    everything = [
        *ct_series(3),
        ct_slice(9, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
        ct_slice(7, SeriesInstanceUID="1.2.3.2"),
    ]

    for stack in stacks_of(members(*everything), "x:place"):
        query = dict(pair.split("=") for pair in stack.volume_id.partition("?")[2].split("&"))
        number = int(query["stack"]) if "stack" in query else None
        (again,) = stacks_of(members(*everything), "x:place", Selection(query.get("series"), number))
        assert again == stack


def test_a_query_is_gone_on_with() -> None:
    """Behind a query a selection begins with an ampersand."""
    found = stacks_of(members(ct_slice(1), enhanced(2)), "x:place?a=b", separator="&")

    assert [each.volume_id for each in found] == ["x:place?a=b&stack=1", "x:place?a=b&stack=2"]


@pytest.mark.parametrize("selection", [{"series": "9.9"}, {"stack": 3}, {"series": "1.2.3.2", "stack": 2}])
def test_nothing_selected(selection: dict[str, Any]) -> None:
    """A selection that matches nothing lists the ids that there are."""
    with pytest.raises(InvalidIdError, match="no such series or stack") as caught:
        ids(*ct_series(3), ct_slice(7, SeriesInstanceUID="1.2.3.2"), **selection)

    assert "x:place?series=1.2.3.1" in str(caught.value)
    assert "x:place?series=1.2.3.2" in str(caught.value)


def test_a_description_for_a_person() -> None:
    """A person who has to choose is told what each is."""
    (stack,) = stacks_of(members(*ct_series(3, SeriesNumber=4, SeriesDescription="Lung")), "x:place")

    assert stack.description == "CT 3 x 4 x 6, series 4 'Lung'"


def test_images_without_positions_stay_together() -> None:
    """Frames that do not say where they lie are one stack in their order."""
    (stack,) = stacks_of(members(enhanced(3, placed=False)), "x:place")

    assert stack.image_ids == tuple(f"x:{uid(0)}/{number}" for number in (1, 2, 3))


def test_many_stacks_cost_no_more_than_many() -> None:
    """A thousand images that all lie apart are a thousand stacks, without comparing each with each."""
    apart = [ct_slice(n, PixelSpacing=[1 + n / 100, 1]) for n in range(300)]

    assert len(ids(*apart)) == 300


def test_what_is_left_out_is_said() -> None:
    """What is no image is counted, what is damaged is named."""
    left_out = LeftOut(not_dicom=2, duplicates=1)
    report = Instance.from_dataset(identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"), SETTINGS)
    damaged = Instance.from_dataset(ct_slice(1, PixelSpacing=[0, 1]), SETTINGS, source="damaged.dcm")

    assert left_out.admits(Instance.from_dataset(ct_slice(1), SETTINGS))
    assert not left_out.admits(report)
    assert not left_out.admits(damaged)
    messages = [finding.message for finding in left_out.findings()]
    assert messages[:3] == [
        "2 left out: not DICOM",
        "1 left out: DICOM without an image",
        "1 left out: a copy of another file",
    ]
    assert "damaged.dcm" in messages[3]
    assert str(LeftOut()) == "nothing was left out"
