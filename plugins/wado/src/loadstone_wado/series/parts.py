"""The parts of a series that are one volume each: of one kind, in one place, sorted by time and position."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadstone import GeometryPolicy
from loadstone.geometry import GeometryReport, arrange, slice_numbers, split_stacks
from loadstone_wado.naming import naming
from loadstone_wado.series.dimensions import LABEL_MAPS, SEGMENTATIONS, declared_axes, segment_axis
from loadstone_wado.series.facts import kind_of
from loadstone_wado.series.members import Member, SeriesImage
from loadstone_wado.series.time_axis import Arrangement, time_axis

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

__all__ = ["SortedPart", "sorted_parts"]

_TAKE_AS_IT_IS = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)
"""For sorting only: what is wrong is said when the volume is loaded."""

_ENHANCED: Final = frozenset({
    "1.2.840.10008.5.1.4.1.1.2.1",  # CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # CT, converted
    "1.2.840.10008.5.1.4.1.1.4.1",  # MR
    "1.2.840.10008.5.1.4.1.1.4.3",  # MR, colour
    "1.2.840.10008.5.1.4.1.1.4.4",  # MR, converted
    "1.2.840.10008.5.1.4.1.1.128.1",  # PET, converted
    "1.2.840.10008.5.1.4.1.1.130",  # PET
})  # fmt: skip
"""SOP classes whose frames say by themselves where and what they are."""

_SAME_ECHO: Final = 0.01
"""Share of an echo time by which another one may differ and be the same."""


@dataclass(frozen=True, slots=True)
class SortedPart:
    """Images that are one volume."""

    images: tuple[SeriesImage, ...]
    """Sorted by time and position."""
    arrangement: Arrangement
    """Their axes in front of the slices."""
    report: GeometryReport | None
    """What sorting them has shown; None where there are such axes, or images may be left out."""


def sorted_parts(members: list[Member]) -> list[SortedPart]:
    """Divide the instances of a series into what is one volume each."""
    return [_sorted(part) for images in _arrays(members) for part in _split(images)]


def _arrays(members: list[Member]) -> Iterable[list[SeriesImage]]:
    """
    Put together what may share an array, and be one volume.

    Single images do, if they are of one kind of pixel; multi-frame objects each on their own, unless each
    frame says what it is, as in enhanced objects, of which one may hold one time point.
    """
    single: dict[Hashable, list[SeriesImage]] = {}
    several: dict[Hashable, list[SeriesImage]] = {}
    for place, member in enumerate(members):
        instance, layout = member.instance, member.instance.layout
        colors = 3 if layout.photometric_interpretation == "PALETTE COLOR" else layout.samples
        if instance.number_of_frames == 1 and instance.sop_class_uid not in SEGMENTATIONS:
            single.setdefault(colors, []).extend(_tiles(member))
            continue
        key = (instance.sop_class_uid, colors) if instance.sop_class_uid in _ENHANCED else place
        frames = [SeriesImage(member, number) for number in range(1, instance.number_of_frames + 1)]
        several.setdefault(key, []).extend(frames)
    return [*single.values(), *several.values()]


def _tiles(member: Member) -> list[SeriesImage]:
    """Return the slices on a mosaic, or the one image that anything else is."""
    mosaic = member.instance.mosaic
    if mosaic is None:
        return [SeriesImage(member, 1)]
    return [SeriesImage(member, 1, mosaic, tile) for tile in range(1, mosaic.tiles + 1)]


def _split(images: list[SeriesImage]) -> Iterator[list[SeriesImage]]:
    """Divide images by what they are and where they lie."""
    for alike in _by_kind(images):
        planes = [image.plane for image in alike]
        for indices in split_stacks(planes, [image.size for image in alike]):
            yield [alike[index] for index in indices]


def _by_kind(images: list[SeriesImage]) -> Iterable[list[SeriesImage]]:
    """Divide images by what keeps them out of one volume: their kind and their echo time."""
    kinds: dict[Hashable, list[tuple[SeriesImage, float | None]]] = {}
    for image in images:
        with naming(image.frame.source):
            kind, echo_time = kind_of(image.frame)
        kinds.setdefault(kind, []).append((image, echo_time))
    for alike in kinds.values():
        echoes: dict[int, list[SeriesImage]] = {}
        for (image, _), echo in zip(alike, _echoes([time for _, time in alike]), strict=True):
            echoes.setdefault(echo, []).append(image)
        yield from echoes.values()


def _echoes(times: Sequence[float | None]) -> list[int]:
    """Number echo times: equal numbers differ by at most 1 %, as a scanner may vary one."""
    known = sorted({each for each in times if each is not None})
    number_of: dict[float | None, int] = {None: -1}
    start = 0.0
    number = -1
    for each in known:
        if number < 0 or each - start > _SAME_ECHO * start:
            start, number = each, number + 1
        number_of[each] = number
    return [number_of[each] for each in times]


def _sorted(images: list[SeriesImage]) -> SortedPart:
    """Sort images by time and position, each time point by itself."""
    planes = [image.plane for image in images]
    slices = slice_numbers(planes)
    if slices is None and len(images) > 1:
        images = _by_number(images)
        planes = [image.plane for image in images]
    arrangement = _arrangement(images, slices)
    if not arrangement.coordinates:
        stack = arrange(planes, *images[0].size, _TAKE_AS_IT_IS)
        # Slices that a label map leaves out are counted when its metadata is looked at.
        report = None if arrangement.sparse else stack.report
        return SortedPart(tuple(images[index] for index in stack.order), arrangement, report)
    # The order given decides where positions do not.
    ranks = slices or tuple(range(len(images)))
    order = sorted(range(len(images)), key=lambda index: (arrangement.places[index], ranks[index]))
    arrangement = replace(arrangement, places=tuple(arrangement.places[index] for index in order))
    return SortedPart(tuple(images[index] for index in order), arrangement, None)


def _by_number(images: list[SeriesImage]) -> list[SeriesImage]:
    """Sort images that not all say where they lie by InstanceNumber, if all of them have one."""
    numbers = {id(image.instance): image.instance.instance_number for image in images}
    if None in numbers.values():
        return images
    # Frames of one object, and images of equal numbers, stay as they follow each other.
    return sorted(images, key=lambda image: numbers[id(image.instance)] or 0)


def _arrangement(images: list[SeriesImage], slices: tuple[int, ...] | None) -> Arrangement:
    """Find the axes of images that are of one kind, orientation and size."""
    instance = images[0].instance
    if instance.sop_class_uid in SEGMENTATIONS:
        return segment_axis(images)
    if instance.sop_class_uid in LABEL_MAPS:
        return Arrangement(sparse=True)
    if len({id(image.instance) for image in images}) == 1 and len(images) > 1:
        declared = declared_axes(images)
        if declared is not None:
            return declared
    return Arrangement() if slices is None else time_axis(images, slices)
