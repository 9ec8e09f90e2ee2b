"""
Time points as Cornerstone3D finds them, for programs that must agree with it.

Loadstone's own time axis (`time_axis`) asks other attributes in another order, matches positions within a
tolerance, and takes no missing value for 0.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone_wado import tags
from loadstone_wado.elements import DatasetElements
from loadstone_wado.tags import Attribute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydicom.dataset import Dataset

    from loadstone_wado.elements import Elements

__all__ = ["TimePointGroups", "split_by_4d_tags"]

_CARDIAC_NUMBER_OF_IMAGES: Final = Attribute(0x00181090, "IS")

_TAGS: Final = {
    "TemporalPositionIdentifier": tags.TEMPORAL_POSITION_IDENTIFIER,
    "DiffusionBValue": tags.DIFFUSION_B_VALUE,
    "TriggerTime": tags.TRIGGER_TIME,
    "EchoTime": tags.ECHO_TIME,
    "EchoNumber": tags.ECHO_NUMBERS,
    "PhilipsPrivateBValue": tags.PHILIPS_B_VALUE,
    "SiemensPrivateBValue": tags.SIEMENS_B_VALUE,
    "GEPrivateBValue": tags.GE_B_VALUE,
    "PetFrameReferenceTime": tags.FRAME_REFERENCE_TIME,
}
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class TimePointGroups:
    """The images of each time point."""

    groups: tuple[tuple[str, ...], ...]
    """Ids, ascending by what tells the time; one group of all where nothing does."""
    tag: str | None
    """What tells it; None: the images are no time series."""


def split_by_4d_tags(headers: Mapping[str, Dataset]) -> TimePointGroups:
    """
    Divide image ids into time points as ``splitImageIdsBy4DTags`` of Cornerstone3D does.

    Parameters
    ----------
    headers
        Image id to the header of its object, as `Image.header` gives it; ids keep their order within a group.
        One multi-frame object is named by one id, without a frame.

    Returns
    -------
    TimePointGroups
        Frames of a multi-frame object are named by their number, from 1.

    Raises
    ------
    MetadataError
        If a number in a header is none.
    """
    elements = {image_id: DatasetElements(header) for image_id, header in headers.items()}
    return _by_time_slot(elements) or _by_trigger_time(elements) or _by_tag(elements)


def _by_time_slot(elements: Mapping[str, Elements]) -> TimePointGroups | None:
    """Divide the frames of a gated object by TimeSlotVector, sorted by SliceVector within."""
    if len(elements) != 1:
        return None
    ((image_id, only),) = elements.items()
    slots, slices = only.numbers(tags.TIME_SLOT_VECTOR), only.numbers(tags.SLICE_VECTOR)
    if (only.integer(tags.NUMBER_OF_FRAMES) or 1) < 2 or not slots:
        return None
    frames: dict[float, list[tuple[float, int]]] = defaultdict(list)
    for index, slot in enumerate(slots):
        frames[slot].append((slices[index] if index < len(slices) else index, index + 1))
    start = f"{image_id}{'&' if '?' in image_id else '?'}frame="
    groups = [[f"{start}{number}" for _, number in sorted(frames[slot])] for slot in sorted(frames)]
    return _groups(groups, "TimeSlotVector")


def _by_trigger_time(elements: Mapping[str, Elements]) -> TimePointGroups | None:
    """Divide a cardiac series: the n-th image in time of each position of each stack is of time point n."""
    needed = (tags.STACK_ID, tags.IN_STACK_POSITION_NUMBER, tags.TRIGGER_TIME)
    if not any(each.values(_CARDIAC_NUMBER_OF_IMAGES) for each in elements.values()):
        return None
    if not all(each.values(tag) for each in elements.values() for tag in needed):
        return None
    at: dict[tuple[str, float], list[tuple[float, str]]] = defaultdict(list)
    for image_id, each in elements.items():
        place = each.text(tags.STACK_ID), each.number(tags.IN_STACK_POSITION_NUMBER) or 0.0
        at[place].append((each.number(tags.TRIGGER_TIME) or 0.0, image_id))
    if len({len(there) for there in at.values()}) > 1:
        return None
    in_time = [[image_id for _, image_id in sorted(there)] for _, there in sorted(at.items())]
    return _groups(list(zip(*in_time, strict=True)), "CardiacTriggerTime")


def _by_tag(elements: Mapping[str, Elements]) -> TimePointGroups:
    """Use the first tag of which values are distinct at every position, and the same set at all of them."""
    at: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for image_id, each in elements.items():
        at[each.texts(tags.IMAGE_POSITION_PATIENT)].append(image_id)
    counts = {len(there) for there in at.values()}
    if () in at or len(counts) != 1 or counts == {1}:
        return _groups([list(elements)], None)
    for name, tag in _TAGS.items():
        values = {image_id: _value(name, tag, each) for image_id, each in elements.items()}
        sets = [{values[image_id] for image_id in there} for there in at.values()]
        if {len(found) for found in sets} == counts and all(found == sets[0] for found in sets):
            groups = [[each for each in elements if values[each] == value] for value in sorted(sets[0])]
            return _groups(groups, name)
    return _groups([list(elements)], None)


def _value(name: str, tag: Attribute, elements: Elements) -> float:
    """Return the value of a tag; what is missing counts as 0."""
    value = elements.number(tag) or 0.0
    return value % 100_000 if name == "GEPrivateBValue" else value


def _groups(groups: Sequence[Sequence[str]], tag: str | None) -> TimePointGroups:
    return TimePointGroups(tuple(tuple(group) for group in groups), tag)
