"""From instances to stacks that are one volume each: by series, kind, place and time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone import ImageStack, InvalidIdError, UnsupportedError
from loadstone.geometry import Finding, FindingKind, GeometryReport
from loadstone.transport import redact
from loadstone_wado import tags
from loadstone_wado.ids import Selection
from loadstone_wado.mosaics import is_mosaic
from loadstone_wado.naming import naming
from loadstone_wado.placement import ENHANCED_US
from loadstone_wado.series.parts import sorted_parts
from loadstone_wado.transfer_syntaxes import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone_wado.series.members import Member, SeriesImage
    from loadstone_wado.series.time_axis import Arrangement

__all__ = ["stacks_of"]

_MOSAIC = Finding(
    FindingKind.MOSAIC,
    "each image is a mosaic, a sheet of tiles that are slices, and does not say how they lie on it: that "
    "stands in the CSA header of Siemens, which is missing (as in XA and of other vendors), damaged, or has "
    "them in another order",
)
"""About sheets of tiles, as Siemens and United Imaging store functional series, without their layout."""

_OWN_SPACE = Finding(
    FindingKind.OWN_SPACE,
    "positions are those of the ultrasound volume, whose place in the patient is not known",
)
"""About enhanced ultrasound (DICOM PS3.3 C.8.24.2)."""

_EVERYTHING = Selection()


_SLIDES: Final = frozenset({"1.2.840.10008.5.1.4.1.1.77.1.6"})
"""VL Whole Slide Microscopy Image Storage."""


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
    parts = sorted_parts(members)
    for number, part in enumerate(parts, 1):
        yield _Group(uid, number, len(parts), part.images, part.arrangement, part.report)


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
        number = first.series_number
    lengths = "".join(f"{len(axis)} x " for axis in group.arrangement.coordinates)
    slices = len(group.images)
    if not group.arrangement.sparse:
        slices //= math.prod(map(len, group.arrangement.coordinates))
    return (
        f"{first.modality or 'images'} {lengths}{slices} x {rows} x {columns}"
        + (f", series {number}" if number is not None else "")
        + (f" {described!r}" if described else "")
    )
