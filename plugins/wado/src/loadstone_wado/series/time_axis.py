"""Images that lie at one position as time points: by the first attribute that tells them apart everywhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone import Axis
from loadstone.geometry import Finding, FindingKind
from loadstone_wado.series.facts import TIME_FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadstone_wado.series.facts import Fact
    from loadstone_wado.series.members import SeriesImage

__all__ = ["Arrangement", "time_axis"]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Axes in front of the slices, and where on them each image is."""

    coordinates: tuple[Axis, ...] = ()
    """The axes, the slowest first; none for a 3-D volume."""
    places: tuple[tuple[int, ...], ...] = ()
    """For each image its index on each of them."""
    findings: tuple[Finding, ...] = ()
    """What is to be said about it."""
    sparse: bool = False
    """Whether what is not there is known to be 0."""


NOT_IN_TIME: Final = Arrangement()
"""Of images that are one volume in space, as far as anybody can tell."""

_At = dict[int, list[int]]
"""For each slice the images that lie there."""


def time_axis(images: Sequence[SeriesImage], slices: Sequence[int]) -> Arrangement:
    """
    Find out in which order images at the same positions follow each other.

    Parameters
    ----------
    images
        The images.
    slices
        For each the number of its position.
    """
    at: _At = defaultdict(list)
    for index, number in enumerate(slices):
        at[number].append(index)
    counts = Counter(map(len, at.values()))
    most = max(counts)
    if most == 1:
        return NOT_IN_TIME
    if len(counts) == 1:
        return _by_fact(images, at) or _by_number(images, at) or _by_rank(images, at)
    if (numbered := _by_number(images, at)) is not None:
        return numbered
    return _unequal(images, at, counts) if 2 * counts[most] >= len(at) else NOT_IN_TIME


def _by_fact(images: Sequence[SeriesImage], at: _At) -> Arrangement | None:
    """Use the first attribute that is distinct at every position, with equal sets of values."""
    for fact in TIME_FACTS:
        values = _values(fact, images)
        if values is None:
            continue
        sets = [{values[index] for index in there} for there in at.values()]
        if all(len(found) == len(there) for found, there in zip(sets, at.values(), strict=True)) and all(
            found == sets[0] for found in sets
        ):
            return _placed(fact, values)
    return None


def _by_number(images: Sequence[SeriesImage], at: _At) -> Arrangement | None:
    """Use the number of the time point also where positions lack some: images that differ are no copies."""
    most = max(map(len, at.values()))
    for fact in TIME_FACTS:
        values = _values(fact, images) if fact.is_number_of_time else None
        # Numbers of which most positions lack most count something else.
        if values is not None and len(set(values)) < 2 * most and _tells_apart(values, at):
            return _placed(fact, values, _incomplete(images, at))
    return None


def _tells_apart(values: Sequence[float], at: _At) -> bool:
    """Say whether no two images at one position have the same value."""
    return all(len({values[index] for index in there}) == len(there) for there in at.values())


def _values(fact: Fact, images: Sequence[SeriesImage]) -> list[float] | None:
    """Return the value of each image; None if one has none, or all are equal."""
    values: list[float] = []
    for image in images:
        value = fact.read(image.frame)
        if value is None:
            return None
        values.append(value)
    return values if min(values) < max(values) else None


def _placed(fact: Fact, values: Sequence[float], *findings: Finding) -> Arrangement:
    """Make the axis of the values that occur."""
    distinct = sorted(set(values))
    index_of = {value: index for index, value in enumerate(distinct)}
    return Arrangement((_axis(fact, distinct),), tuple((index_of[value],) for value in values), findings)


def _axis(fact: Fact, values: Sequence[float]) -> Axis:
    first = values[0] if fact.since_first else 0.0
    return Axis("t", tuple(round(value - first, 6) for value in values), fact.units, fact.source)


def _by_rank(images: Sequence[SeriesImage], at: _At) -> Arrangement:
    """Use the order of InstanceNumber, where nothing tells time points apart; the report says so."""
    keys = [(image.instance.instance_number, image.number) for image in images]
    several = len({id(image.instance) for image in images}) > 1
    if several and (None in {number for number, _ in keys} or not _distinct(keys, at)):
        return NOT_IN_TIME
    ranks = {
        index: rank
        for there in at.values()
        for rank, index in enumerate(sorted(there, key=lambda each: (keys[each][0] or 0, keys[each][1])))
    }
    count = len(next(iter(at.values())))
    message = (
        f"no attribute tells the {count} images at each position apart: they follow each other "
        "in the order of InstanceNumber"
    )
    axis = _known_by_rank(images, ranks) or Axis("t", tuple(map(float, range(count))), "", "InstanceNumber")
    places = tuple((ranks[index],) for index in range(len(images)))
    return Arrangement((axis,), places, (Finding(FindingKind.NOTED, message),))


def _distinct(keys: Sequence[tuple[int | None, int]], at: _At) -> bool:
    return all(len({keys[index] for index in there}) == len(there) for there in at.values())


def _known_by_rank(images: Sequence[SeriesImage], ranks: Mapping[int, int]) -> Axis | None:
    """Return the values that go with the ranks, if an attribute is the same at all positions of each."""
    for fact in TIME_FACTS:
        values = _values(fact, images)
        if values is None:
            continue
        of_rank: dict[int, float] = {}
        if all(of_rank.setdefault(ranks[index], value) == value for index, value in enumerate(values)):
            return _axis(fact, [of_rank[rank] for rank in sorted(of_rank)])
    return None


def _unequal(images: Sequence[SeriesImage], at: _At, counts: Counter[int]) -> Arrangement:
    """Say what is missing of time points, where most positions have all of them."""
    most = max(counts)
    finding = _incomplete(images, at)
    for fact in TIME_FACTS:
        values = _values(fact, images)
        if values is None or len(set(values)) != most:
            continue
        if _tells_apart(values, at):
            return _placed(fact, values, finding)
    return Arrangement(findings=(finding,))


def _incomplete(images: Sequence[SeriesImage], at: _At) -> Finding:
    counts = [len(there) for there in at.values()]
    message = (
        f"{len(images)} images lie at {len(at)} positions, {max(counts)} at most of them and "
        f"{min(counts)} at the least: time points are incomplete"
    )
    return Finding(FindingKind.INCOMPLETE, message)
