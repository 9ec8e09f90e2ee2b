"""From instances to stacks that are one volume each: by series, by object, by what fits in one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone import GeometryPolicy, ImageStack
from loadstone.geometry import Finding, arrange, split_stacks
from loadstone_wado import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadstone_wado.instance import Instance

__all__ = ["Member", "stacks_of"]

_TAKE_AS_IT_IS = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)
"""For sorting only: what is wrong is said when the volume is loaded."""


@dataclass(frozen=True, slots=True)
class Member:
    """An instance and how its images are named."""

    instance: Instance
    """The instance."""
    image_id: Callable[[int], str]
    """Frame number, from 1, to image id."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The images of one volume."""

    series: str
    """Series Instance UID."""
    images: tuple[tuple[Member, int], ...]
    """Instance and frame number of each, sorted by position."""


def stacks_of(
    members: Sequence[Member],
    volume_id: str,
    *,
    separator: str = "?",
    series: str | None = None,
    stack: int | None = None,
    findings: tuple[Finding, ...] = (),
) -> list[ImageStack]:
    """
    Return the volumes that instances form.

    Parameters
    ----------
    members
        The instances, in any order.
    volume_id
        The id that they were found under, without selections.
    separator
        What starts the first selection in an id: ``?``, or ``&`` behind a query.
    series, stack
        Selections: only this series, only its n-th stack, from 1.
    findings
        To be reported with each of them.
    """
    groups: list[_Group] = []
    for uid, of_series in _by_series(members).items():
        if series is None or uid == series:
            groups += _groups_of(uid, of_series)
    several_series = len({group.series for group in groups}) > 1
    found = []
    for group in groups:
        siblings = [each for each in groups if each.series == group.series]
        number = siblings.index(group) + 1
        if stack is not None and number != stack:
            continue
        selections = []
        if several_series or series is not None:
            selections.append(f"series={group.series}")
        if len(siblings) > 1:
            selections.append(f"stack={number}")
        name = volume_id + (separator + "&".join(selections) if selections else "")
        found.append(_image_stack(group, name, findings))
    return found


def _by_series(members: Sequence[Member]) -> dict[str, list[Member]]:
    series: dict[str, list[Member]] = {}
    for member in members:
        series.setdefault(member.instance.series_instance_uid, []).append(member)
    return series


def _groups_of(uid: str, members: list[Member]) -> list[_Group]:
    """Split a series: each multi-frame object by itself, single images by what fits together."""
    single = [(member, 1) for member in members if member.instance.number_of_frames == 1]
    groups = _split(uid, single)
    for member in members:
        count = member.instance.number_of_frames
        if count > 1:
            groups += _split(uid, [(member, number) for number in range(1, count + 1)])
    return groups


def _split(uid: str, images: list[tuple[Member, int]]) -> list[_Group]:
    if not images:
        return []
    planes = [member.instance.frame(number).plane for member, number in images]
    layouts = [member.instance.layout for member, _ in images]
    groups = []
    for indices in split_stacks(planes, [(each.rows, each.columns) for each in layouts]):
        layout = layouts[indices[0]]
        order = arrange(
            [planes[index] for index in indices], layout.rows, layout.columns, _TAKE_AS_IT_IS
        ).order
        groups.append(_Group(uid, tuple(images[indices[place]] for place in order)))
    return groups


def _image_stack(group: _Group, name: str, findings: tuple[Finding, ...]) -> ImageStack:
    first = group.images[0][0].instance
    layout = first.layout
    described = first.elements.text(tags.SERIES_DESCRIPTION)
    number = first.elements.integer(tags.SERIES_NUMBER)
    description = (
        f"{first.modality or 'images'} {len(group.images)} x {layout.rows} x {layout.columns}"
        + (f", series {number}" if number is not None else "")
        + (f" {described!r}" if described else "")
    )
    return ImageStack(
        name, tuple(member.image_id(frame) for member, frame in group.images), description, findings
    )
