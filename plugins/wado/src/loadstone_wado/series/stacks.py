"""From instances to stacks that are one volume each: by series, by object, by what fits in one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone import GeometryPolicy, ImageStack, InvalidIdError
from loadstone.geometry import Finding, FindingKind, GeometryReport, arrange, split_stacks
from loadstone.transport import redact
from loadstone_wado import tags
from loadstone_wado.ids import Selection
from loadstone_wado.naming import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from loadstone_wado.instance import Instance

__all__ = ["Member", "stacks_of"]

_MOSAIC = Finding(FindingKind.MOSAIC, "each image is a mosaic, a sheet of tiles that are slices")
"""About images with MOSAIC in their ImageType, as Siemens stores functional series."""

_TAKE_AS_IT_IS = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)
"""For sorting only: what is wrong is said when the volume is loaded."""

_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Member:
    """An instance and how its images are named."""

    instance: Instance
    """The instance."""
    image_id: Callable[[int], str]
    """Frame number, from 1, to image id."""


_Image = tuple[Member, int]
"""An instance and the number of one of its frames, from 1."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The images of one volume."""

    series: str
    """Series Instance UID."""
    number: int
    """Which of its series, from 1."""
    siblings: int
    """How many its series has."""
    images: tuple[_Image, ...]
    """Sorted by position."""
    report: GeometryReport
    """What sorting them has shown."""


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
    by_series = _by_series(members)
    names = len(by_series) > 1

    def stacks(selected: Selection) -> list[ImageStack]:
        return [
            _image_stack(group, place + _selections(group, separator, series=names), findings)
            for uid, of_series in by_series.items()
            if selected.series in {None, uid}
            for group in _groups(uid, of_series)
            if selected.stack in {None, group.number}
        ]

    found = stacks(selection)
    if not found:
        listed = "\n  ".join(f"{each.volume_id}  {each.description}" for each in stacks(_EVERYTHING))
        raise InvalidIdError(
            "there is no such series or stack", source=redact(place), hint=f"There are:\n  {listed}"
        )
    return found


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
    parts = [part for images in _arrays(members) for part in _split(images)]
    for number, (images, report) in enumerate(parts, 1):
        yield _Group(uid, number, len(parts), images, report)


def _arrays(members: list[Member]) -> Iterable[list[_Image]]:
    """Put together what may share an array: single images of one kind of pixel, each multi-frame object."""
    single: dict[object, list[_Image]] = {}
    several = []
    for member in members:
        count = member.instance.number_of_frames
        if count > 1:
            several.append([(member, number) for number in range(1, count + 1)])
        else:
            layout = member.instance.layout
            colors = 3 if layout.photometric_interpretation == "PALETTE COLOR" else layout.samples
            single.setdefault(colors, []).append((member, 1))
    return [*single.values(), *several]


def _split(images: list[_Image]) -> Iterator[tuple[tuple[_Image, ...], GeometryReport]]:
    """Divide images by where they lie, and sort them."""
    planes = [member.instance.frame(number).plane for member, number in images]
    layouts = [member.instance.layout for member, _ in images]
    for indices in split_stacks(planes, [(each.rows, each.columns) for each in layouts]):
        rows, columns = layouts[indices[0]].rows, layouts[indices[0]].columns
        arranged = arrange([planes[index] for index in indices], rows, columns, _TAKE_AS_IT_IS)
        yield tuple(images[indices[place]] for place in arranged.order), arranged.report


def _image_stack(group: _Group, name: str, findings: tuple[Finding, ...]) -> ImageStack:
    ids = tuple(member.image_id(frame) for member, frame in group.images)
    if any("MOSAIC" in member.instance.image_type for member, _ in group.images):
        findings = (*findings, _MOSAIC)
    return ImageStack(name, ids, _description(group), findings, geometry=group.report)


def _description(group: _Group) -> str:
    first = group.images[0][0].instance
    layout = first.layout
    with naming(first.source):
        described = first.elements.text(tags.SERIES_DESCRIPTION)
        number = first.elements.integer(tags.SERIES_NUMBER)
    return (
        f"{first.modality or 'images'} {len(group.images)} x {layout.rows} x {layout.columns}"
        + (f", series {number}" if number is not None else "")
        + (f" {described!r}" if described else "")
    )
