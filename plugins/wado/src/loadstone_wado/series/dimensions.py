"""The dimensions that a multi-frame object declares: index values, vectors of nuclear medicine, segments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone import Axis, MetadataError
from loadstone.geometry import Finding, FindingKind
from loadstone_wado import tags
from loadstone_wado.series.time_axis import Arrangement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone_wado.elements import Elements
    from loadstone_wado.instance import Instance
    from loadstone_wado.series.members import SeriesImage
    from loadstone_wado.tags import Attribute

__all__ = ["LABEL_MAPS", "SEGMENTATIONS", "declared_axes", "segment_axis"]

SEGMENTATIONS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4"})
"""SOP classes whose frames belong to segments."""

LABEL_MAPS: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.7"})
"""SOP classes with one frame a slice, whose values are the numbers of segments; empty ones are left out."""

_SPATIAL: Final = frozenset({
    int(tags.STACK_ID),
    int(tags.IN_STACK_POSITION_NUMBER),
    int(tags.IMAGE_POSITION_PATIENT),
    int(tags.IMAGE_ORIENTATION_PATIENT),
    int(tags.IMAGE_POSITION_VOLUME),
    int(tags.PLANE_POSITION_SEQUENCE),
    int(tags.PLANE_POSITION_VOLUME_SEQUENCE),
    int(tags.PLANE_ORIENTATION_SEQUENCE),
    int(tags.SLICE_VECTOR),
})  # fmt: skip
"""Dimensions that positions tell better."""

_TEMPORAL: Final = frozenset({
    int(tags.TEMPORAL_POSITION_INDEX),
    int(tags.TEMPORAL_POSITION_TIME_OFFSET),
    int(tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME),
    int(tags.FRAME_ACQUISITION_DATE_TIME),
    int(tags.FRAME_REFERENCE_DATE_TIME),
    int(tags.FRAME_ACQUISITION_NUMBER),
    int(tags.R_R_INTERVAL_VECTOR),
    int(tags.TIME_SLOT_VECTOR),
    int(tags.TIME_SLICE_VECTOR),
})  # fmt: skip
"""Dimensions that are time, where there are others beside them."""

_VECTORS: Final = (
    tags.ENERGY_WINDOW_VECTOR,
    tags.DETECTOR_VECTOR,
    tags.PHASE_VECTOR,
    tags.ROTATION_VECTOR,
    tags.R_R_INTERVAL_VECTOR,
    tags.TIME_SLOT_VECTOR,
    tags.ANGULAR_VIEW_VECTOR,
    tags.TIME_SLICE_VECTOR,
)
"""Of nuclear medicine: for each frame its index (DICOM PS3.3 C.8.4.8)."""

_VALUES: Final = {
    int(tags.DIFFUSION_B_VALUE): (tags.MR_DIFFUSION_SEQUENCE, tags.DIFFUSION_B_VALUE, "s/mm2"),
    int(tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME): (
        tags.CARDIAC_SYNCHRONIZATION_SEQUENCE,
        tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME,
        "ms",
    ),
    int(tags.TEMPORAL_POSITION_TIME_OFFSET): (
        tags.TEMPORAL_POSITION_SEQUENCE,
        tags.TEMPORAL_POSITION_TIME_OFFSET,
        "s",
    ),
}
"""Where the number is that an index stands for, and its unit."""


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One dimension of an object."""

    tag: int
    """The attribute that it is about."""
    indices: tuple[int, ...]
    """Its index value for each image."""

    @property
    def source(self) -> str:
        """The standard name of the attribute."""
        from pydicom.datadict import keyword_for_tag

        return keyword_for_tag(self.tag) or f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"


def declared_axes(images: Sequence[SeriesImage]) -> Arrangement | None:
    """
    Return the axes that the dimensions of one multi-frame object are, beside those of space.

    Parameters
    ----------
    images
        Frames of one object that have one orientation, one size and one kind.

    Returns
    -------
    Arrangement or None
        None where the object declares none, or only such as positions tell.
    """
    instance = images[0].instance
    varying = [each for each in _dimensions(instance, images) if len(set(each.indices)) > 1]
    if not varying:
        return None
    combinations = sorted(set(zip(*(each.indices for each in varying), strict=True)))
    full = len(combinations) == math.prod(len(set(each.indices)) for each in varying)
    if len(varying) == 2 and full:
        # Time is the faster axis; of others, the one that the object names last.
        slow, fast = sorted(varying, key=lambda each: each.tag in _TEMPORAL)
        axes = [_ranked("v", slow, images), _ranked("t", fast, images)]
        return Arrangement(
            tuple(axis for axis, _ in axes), tuple(zip(*(ranks for _, ranks in axes), strict=True))
        )
    if len(varying) == 1:
        axis, ranks = _ranked("t", varying[0], images)
        return Arrangement((axis,), tuple((rank,) for rank in ranks))
    return _combined(varying, combinations, images)


def _dimensions(instance: Instance, images: Sequence[SeriesImage]) -> list[_Dimension]:
    return _indexed(instance, images) or _vectors(instance, images)


def _indexed(instance: Instance, images: Sequence[SeriesImage]) -> list[_Dimension]:
    """Read DimensionIndexSequence and the DimensionIndexValues of each frame (DICOM PS3.3 C.7.6.17)."""
    items = instance.elements.items(tags.DIMENSION_INDEX_SEQUENCE)
    pointers = [_whole(item, tags.DIMENSION_INDEX_POINTER) for item in items]
    rows = [_index_values(image) for image in images]
    if not pointers or any(len(row) != len(pointers) for row in rows):
        return []
    columns = zip(*rows, strict=True)
    return [
        _Dimension(pointer, column)
        for pointer, column in zip(pointers, columns, strict=True)
        if pointer is not None and pointer not in _SPATIAL
    ]


def _index_values(image: SeriesImage) -> tuple[int, ...]:
    tag = tags.DIMENSION_INDEX_VALUES
    try:
        return tuple(map(int, image.frame.holder(tags.FRAME_CONTENT_SEQUENCE, tag).numbers(tag)))
    except MetadataError:
        return ()


def _vectors(instance: Instance, images: Sequence[SeriesImage]) -> list[_Dimension]:
    found = []
    for tag in _VECTORS:
        vector = instance.elements.numbers(tag)
        if len(vector) == instance.number_of_frames > 1:
            found.append(_Dimension(int(tag), tuple(int(vector[image.number - 1]) for image in images)))
    return found


def _ranked(name: str, dimension: _Dimension, images: Sequence[SeriesImage]) -> tuple[Axis, list[int]]:
    """Return the axis of one dimension, and the rank of each image on it."""
    order = sorted(set(dimension.indices))
    ranks = [order.index(index) for index in dimension.indices]
    firsts = [images[ranks.index(rank)] for rank in range(len(order))]
    values = _values_of(dimension.tag, firsts)
    if values is not None:
        return Axis(name, values, _VALUES[dimension.tag][2], dimension.source), ranks
    return Axis(name, tuple(map(float, order)), "", dimension.source), ranks


def _values_of(tag: int, images: Sequence[SeriesImage]) -> tuple[float, ...] | None:
    """Return the numbers that the indices stand for; None where they are not known."""
    if tag not in _VALUES:
        return None
    group, attribute, _ = _VALUES[tag]
    try:
        found = [image.frame.holder(group, attribute).number(attribute) for image in images]
    except MetadataError:
        return None
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else None


def _combined(
    dimensions: Sequence[_Dimension], combinations: list[tuple[int, ...]], images: Sequence[SeriesImage]
) -> Arrangement:
    """Make one axis of all combinations that occur, as of b-values and directions."""
    of_image = list(zip(*(each.indices for each in dimensions), strict=True))
    ranks = [combinations.index(each) for each in of_image]
    firsts = [images[ranks.index(rank)] for rank in range(len(combinations))]
    source = " × ".join(each.source for each in dimensions)
    for each in dimensions:
        values = _values_of(each.tag, firsts)
        if values is not None:
            axis = Axis("t", values, _VALUES[each.tag][2], each.source)
            return Arrangement((axis,), tuple((rank,) for rank in ranks))
    axis = Axis("t", tuple("/".join(map(str, each)) for each in combinations), "", source)
    return Arrangement((axis,), tuple((rank,) for rank in ranks))


def segment_axis(images: Sequence[SeriesImage]) -> Arrangement:
    """
    Return the axis of the segments of a segmentation; frames that it omits are 0 (DICOM PS3.3 C.8.20.2).

    A segment that frames belong to and that is not listed has no label but its number. Without the number of
    a frame there is no axis; both are said in the findings.
    """
    labels: dict[int, str] = {}
    for item in images[0].instance.elements.items(tags.SEGMENT_SEQUENCE):
        number = _whole(item, tags.SEGMENT_NUMBER)
        if number is not None:
            labels[number] = item.text(tags.SEGMENT_LABEL) or f"segment {number}"
    of_image = [_segment_of(image) for image in images]
    known = [number for number in of_image if number is not None]
    if len(known) < len(images):
        message = f"{len(images) - len(known)} frames do not say to which segment they belong"
        return Arrangement(findings=(Finding(FindingKind.INCOMPLETE, message),))
    unlisted = sorted(set(known) - labels.keys())
    labels |= {number: f"segment {number}" for number in unlisted}
    order = {number: index for index, number in enumerate(sorted(labels))}
    axis = Axis("segment", tuple(labels[number] for number in order), "", "SegmentLabel")
    message = f"frames belong to segments that are not listed: {', '.join(map(str, unlisted))}"
    findings = (Finding(FindingKind.NOTED, message),) if unlisted else ()
    return Arrangement((axis,), tuple((order[number],) for number in known), findings, sparse=True)


def _segment_of(image: SeriesImage) -> int | None:
    tag = tags.REFERENCED_SEGMENT_NUMBER
    return _whole(image.frame.holder(tags.SEGMENT_IDENTIFICATION_SEQUENCE, tag), tag)


def _whole(elements: Elements, tag: Attribute) -> int | None:
    """Read a whole number; None where it is none."""
    try:
        return elements.integer(tag)
    except MetadataError:
        return None
