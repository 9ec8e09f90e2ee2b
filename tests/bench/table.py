"""The table of outcomes, for a terminal and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.bench.contest import Outcome

__all__ = ["HEAD", "markdown", "row"]

TITLES = ("work", "peer", "ours ms", "peer ms", "bare ms", "ratio", "spread", "goal", "ours MB", "peer MB")
WIDTHS = (46, 16, 8, 8, 8, 6, 11, 6, 8, 8)


def _line(cells: Iterable[str]) -> str:
    first, second, *rest = zip(cells, WIDTHS, strict=True)
    left = [f"{cell:<{width}}" for cell, width in (first, second)]
    return " ".join([*left, *(f"{cell:>{width}}" for cell, width in rest)])


HEAD = _line(TITLES)


def row(outcome: Outcome) -> str:
    """Return a row for a terminal."""
    return _line(_cells(outcome))


def markdown(about: str, outcomes: Iterable[Outcome]) -> str:
    """Return the whole table for the documentation."""
    rules = ("---", "---", *["---:"] * (len(TITLES) - 2))
    rows = [TITLES, rules, *(tuple(_cells(outcome)) for outcome in outcomes)]
    return "\n".join([*("| " + " | ".join(cells) + " |" for cells in rows), "", f"{about}.", ""])


def _cells(outcome: Outcome) -> Iterator[str]:
    contest, ratios = outcome.contest, outcome.ratios
    yield contest.work
    yield contest.peer
    yield _number(outcome.ours)
    yield _number(outcome.theirs)
    yield _number(outcome.bare)
    yield f"{outcome.ratio:.2f}"
    yield f"{ratios[0]:.1f}-{ratios[-1]:.1f}"
    yield (
        "-" if contest.goal is None else f"{contest.goal:.3g}{'' if outcome.ratio >= contest.goal else ' !'}"
    )
    yield _number(outcome.our_peak)
    yield _number(outcome.their_peak)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
