"""How commands speak: results for people or as JSON on standard output, an error in one line on the other."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import JustifyMethod

__all__ = ["console", "plain", "say_error", "show_facts", "show_json", "show_table"]

_WIDE = 10_000
"""Columns of a file or pipe: nothing is cut or wrapped that a program is to read."""
_ROOMY = 110
"""Columns from which on there are two spaces between columns."""


def console() -> Console:
    """Return the console of standard output; in a file or pipe without colour and as wide as needed."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, markup=False, emoji=False, width=_WIDE if piped else None)


def plain(text: object) -> str:
    """Return text in one line, without control characters: a header's words must not drive a terminal."""
    words = " ".join(str(text).split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in words)


def say_error(error: BaseException) -> None:
    """Write what went wrong as one line on standard error."""
    sys.stderr.write(f"loadstone: {plain(error) or type(error).__name__}\n")


def show_json(value: object) -> None:
    """Write JSON; what it has no word for (NaN, infinity) is null."""
    sys.stdout.write(f"{json.dumps(_finite(value), indent=2, default=str)}\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and value - value != 0 else value


def show_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    fold: Collection[str] = (),
) -> None:
    """
    Write a table.

    Parameters
    ----------
    headings
        Of the columns.
    rows
        A cell for each heading; shown as plain text.
    right
        Columns that are aligned to the right.
    fold
        Columns that go on in further lines where the terminal is narrow; the others stay in one.
    """
    screen = console()
    gap = 1 if screen.width >= _ROOMY else 0
    table = Table(box=SIMPLE_HEAD, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        justify: JustifyMethod = "right" if heading in right else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading not in fold)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    screen.print(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Write one fact a line, names in one column and values in the next."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, Text(plain(value)))
    console().print(grid)
