"""From instances to stacks that are one volume each: by series, kind, place and time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadstone import GeometryPolicy, ImageStack, InvalidIdError, UnsupportedError
from loadstone.geometry import Finding, FindingKind, GeometryReport, arrange, slice_numbers, split_stacks
from loadstone.transport import redact
from loadstone_wado import tags
from loadstone_wado.ids import Selection
from loadstone_wado.mosaics import is_mosaic
from loadstone_wado.naming import naming
from loadstone_wado.placement import ENHANCED_US
from loadstone_wado.series.dimensions import SEGMENTATIONS, declared_axes, segment_axis
from loadstone_wado.series.facts import echo_time, kind_of
from loadstone_wado.series.members import Member, SeriesImage
from loadstone_wado.series.time_axis import Arrangement, time_axis
from loadstone_wado.transfer_syntaxes import name_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

__all__ = ["stacks_of"]

_MOSAIC = Finding(
    FindingKind.MOSAIC,
    "each image is a mosaic, a sheet of tiles that are slices, and does not say how they lie on it "
    "(its CSA header is missing or damaged)",
)
"""About images with MOSAIC in their ImageType, as Siemens stores functional series."""

_OWN_SPACE = Finding(
    FindingKind.OWN_SPACE,
    "positions are those of the ultrasound volume, whose place in the patient is not known",
)
"""About enhanced ultrasound (DICOM PS3.3 C.8.24.2)."""

_TAKE_AS_IT_IS = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)
"""For sorting only: what is wrong is said when the volume is loaded."""

_EVERYTHING = Selection()


_SLIDES: Final = frozenset({"1.2.840.10008.5.1.4.1.1.77.1.6"})
"""VL Whole Slide Microscopy Image Storage."""

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
class _Group:
    """The images of one volume."""

    series: str
    """Series Instance UID."""
    number: int
    """Which of its series, from 1."""
    siblings: int
    """How many its series has."""
    images: tuple[SeriesImage, ...]
    """Sorted by time and position."""
    arrangement: Arrangement
    """Their axes in front of the slices."""
    report: GeometryReport | None
    """What sorting them has shown; None where there are such axes."""

    @property
    def localizer(self) -> bool:
        """Whether it only shows where others lie."""
        return any("LOCALIZER" in kind for kind in self.images[0].instance.image_type)


def stacks_of(
    members: Sequence[Member],
    place: str,
    selection: Selection = _EVERYTHING,
    *,
    separator: str = "?",
    findings: tuple[Finding, ...] = (),
) -> list[ImageStack]:
    """
    Return the volumes that instances form.

    Parameters
    ----------
    members
        The instances, in any order; at least one.
    place
        The id that they were found under, without selections.
    selection
        Which of the volumes.
    separator
        What starts the first selection in an id: ``?``, or ``&`` behind a query.
    findings
        To be reported with each of them.

    Raises
    ------
    InvalidIdError
        If the selection matches none; the message lists the ids of those that there are.
    """
    by_series = _by_series(_loadable(members))
    names = len(by_series) > 1

    def stacks(selected: Selection) -> list[ImageStack]:
        return [
            each
            for uid, of_series in by_series.items()
            if selected.series in {None, uid}
            for each in _of_series(
                list(_groups(uid, of_series)), place, selected, separator, findings, series=names
            )
        ]

    with naming(place):
        found = stacks(selection)
    if not found:
        listed = "\n  ".join(f"{each.volume_id}  {each.description}" for each in stacks(_EVERYTHING))
        raise InvalidIdError(
            "there is no such series or stack", source=redact(place), hint=f"There are:\n  {listed}"
        )
    return found


def _loadable(members: Sequence[Member]) -> list[Member]:
    """
    Leave out slides, whose tiles are no slices.

    Raises
    ------
    UnsupportedError
        If there is nothing else.
    """
    found = [each for each in members if each.instance.sop_class_uid not in _SLIDES]
    if not found:
        instance = members[0].instance
        raise UnsupportedError(
            f"a {name_of(instance.sop_class_uid)} is no volume: its frames are tiles of one picture",
            source=instance.source,
            hint="Load its frames one by one with load_image.",
        )
    return found


def _of_series(
    groups: Sequence[_Group],
    place: str,
    selected: Selection,
    separator: str,
    findings: tuple[Finding, ...],
    *,
    series: bool,
) -> Iterator[ImageStack]:
    """Yield the chosen volumes of a series; localizers only by name, where there is something else."""
    ids = {group.number: place + _selections(group, separator, series=series) for group in groups}
    aside = [group for group in groups if group.localizer]
    if len(aside) == len(groups):
        aside = []
    for group in groups:
        if selected.stack == group.number:
            yield _image_stack(group, ids[group.number], findings)
        elif selected.stack is None and group not in aside:
            said = tuple(_set_aside(each, ids[each.number]) for each in aside)
            yield _image_stack(group, ids[group.number], (*findings, *said))


def _set_aside(group: _Group, name: str) -> Finding:
    message = f"{len(group.images)} localizers were set aside: {redact(name)}"
    return Finding(FindingKind.LOCALIZER, message)


def _selections(group: _Group, separator: str, *, series: bool) -> str:
    chosen = [f"series={group.series}"] if series else []
    if group.siblings > 1:
        chosen.append(f"stack={group.number}")
    return separator + "&".join(chosen) if chosen else ""


def _by_series(members: Sequence[Member]) -> dict[str, list[Member]]:
    series: dict[str, list[Member]] = {}
    for member in members:
        series.setdefault(member.instance.series_instance_uid, []).append(member)
    return series


def _groups(uid: str, members: list[Member]) -> Iterator[_Group]:
    parts = [_sorted(part) for images in _arrays(members) for part in _split(images)]
    for number, (images, arrangement, report) in enumerate(parts, 1):
        yield _Group(uid, number, len(parts), images, arrangement, report)


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
    kinds: dict[Hashable, list[SeriesImage]] = {}
    for image in images:
        with naming(image.frame.source):
            kinds.setdefault(kind_of(image.frame), []).append(image)
    for alike in kinds.values():
        echoes: dict[int, list[SeriesImage]] = {}
        times = [echo_time(image.frame) for image in alike]
        for image, echo in zip(alike, _echoes(times), strict=True):
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


def _sorted(
    images: list[SeriesImage],
) -> tuple[tuple[SeriesImage, ...], Arrangement, GeometryReport | None]:
    """Sort images by time and position, each time point by itself."""
    planes = [image.plane for image in images]
    slices = slice_numbers(planes)
    arrangement = _arrangement(images, slices)
    if not arrangement.coordinates:
        stack = arrange(planes, *images[0].size, _TAKE_AS_IT_IS)
        return tuple(images[index] for index in stack.order), arrangement, stack.report
    # The order given decides where positions do not.
    ranks = slices or tuple(range(len(images)))
    order = sorted(range(len(images)), key=lambda index: (arrangement.places[index], ranks[index]))
    arrangement = replace(arrangement, places=tuple(arrangement.places[index] for index in order))
    return tuple(images[index] for index in order), arrangement, None


def _arrangement(images: list[SeriesImage], slices: tuple[int, ...] | None) -> Arrangement:
    """Find the axes of images that are of one kind, orientation and size."""
    instance = images[0].instance
    if instance.sop_class_uid in SEGMENTATIONS:
        return segment_axis(images)
    if len({id(image.instance) for image in images}) == 1 and len(images) > 1:
        declared = declared_axes(images)
        if declared is not None:
            return declared
    return Arrangement() if slices is None else time_axis(images, slices)


def _image_stack(group: _Group, name: str, findings: tuple[Finding, ...]) -> ImageStack:
    if any(image.mosaic is None and is_mosaic(image.instance) for image in group.images):
        findings = (*findings, _MOSAIC)
    if group.images[0].instance.sop_class_uid == ENHANCED_US:
        findings = (*findings, _OWN_SPACE)
    arrangement = group.arrangement
    return ImageStack(
        name,
        tuple(image.image_id for image in group.images),
        _description(group),
        (*findings, *arrangement.findings),
        arrangement.coordinates,
        arrangement.places,
        arrangement.sparse,
        group.report,
    )


def _description(group: _Group) -> str:
    first = group.images[0].instance
    rows, columns = group.images[0].size
    with naming(first.source):
        described = first.elements.text(tags.SERIES_DESCRIPTION)
        number = first.elements.integer(tags.SERIES_NUMBER)
    lengths = "".join(f"{len(axis)} x " for axis in group.arrangement.coordinates)
    slices = len(group.images)
    if not group.arrangement.sparse:
        slices //= math.prod(map(len, group.arrangement.coordinates))
    return (
        f"{first.modality or 'images'} {lengths}{slices} x {rows} x {columns}"
        + (f", series {number}" if number is not None else "")
        + (f" {described!r}" if described else "")
    )
