from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from loadstone.cli.output import plain, show_json, show_table

if TYPE_CHECKING:
    import pytest


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    """Whatever stands in a header becomes one line that any terminal survives."""
    shown = plain(text)

    assert shown.isprintable()
    assert not shown or len(shown.splitlines()) == 1


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_keeps_what_is_harmless(text: str) -> None:
    """Letters, numbers and signs of all languages stay."""
    assert plain(text) == text


def test_json_has_no_word_for_nan(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinity become null, so that every parser reads it."""
    show_json({"range": (math.nan, 1.5), "more": [math.inf]})

    said = json.loads(capsys.readouterr().out, parse_constant=refused)

    assert said == {"range": [None, 1.5], "more": [None]}


def refused(constant: str) -> None:
    """Refuse what strict JSON lacks."""
    raise AssertionError(constant)


def test_piped_table_is_neither_cut_nor_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row is one line in a pipe, however long, with brackets as they are."""
    long = "x" * 500 + "[bold]"

    show_table(("name",), [(long,)])

    assert long in capsys.readouterr().out
