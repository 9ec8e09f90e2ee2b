"""The table of what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone import VolumeId
from loadstone.cli.output import show_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadstone_wado.demo.outcome import Outcome

__all__ = ["show_outcomes"]

_HEADINGS = ("#", "id", "plugin", "shape", "dtype", "spacing", "units", "range", "ms")
_ID_CHARACTERS = 20
"""Of the end of an id, which says more than its beginning."""


def show_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print a row for everything that was loaded, numbered as on the contact sheet."""
    rows = [_row(number, outcome) for number, outcome in enumerate(outcomes, start=1)]
    show_table(_HEADINGS, rows, right=("#", "ms"), fold=("id", "spacing", "range"))


def _row(number: int, outcome: Outcome) -> Sequence[object]:
    summary = outcome.summary
    if summary is None:
        return (number, _short(outcome.exhibit.id), "failed", *[""] * 6)
    return (
        number,
        _short(summary.id),
        summary.plugin.split()[0].removeprefix("loadstone-"),
        summary.shape_text,
        summary.dtype,
        summary.spacing_text,
        summary.units,
        summary.range_text,
        f"{summary.milliseconds:.1f}",
    )


def _short(identity: str) -> str:
    text = VolumeId(identity)
    end = text.rest[-_ID_CHARACTERS:]
    return f"{text.scheme}:{end}" if end == text.rest else f"{text.scheme}:…{end}"
