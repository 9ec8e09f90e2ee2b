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
    from collections.abc import Iterable, Sequence

__all__ = ["console", "plain", "say_error", "show_facts", "show_json", "show_table"]

_WIDE = 10_000
"""Columns of a file or pipe: nothing is cut or wrapped that a program is to read."""


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
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """Write a table; the columns named in `right` are aligned to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console().print(table)


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Write one fact a line, names in one column and values in the next."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, Text(plain(value)))
    console().print(grid)
