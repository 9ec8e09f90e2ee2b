from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.tests.cli.builders import SLICES

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli


def test_volumes_are_listed(cli: Cli) -> None:
    """Each volume that is there is a line with the id that loads it."""
    said = cli("scan", "toy:two")

    assert said.code == 0
    assert "toy:all" in said.out
    assert "toy:7" in said.out


def test_for_programs(cli: Cli) -> None:
    """With --json, everything about each volume is there."""
    rows = json.loads(cli("scan", "toy:two", "--json").out)

    assert [(each["id"], each["images"]) for each in rows] == [("toy:all", SLICES), ("toy:7", 1)]
    assert rows[0]["shape"][0] == SLICES
    assert rows[0]["bytes"] > 0


def test_nothing_there(cli: Cli) -> None:
    """A place that cannot be described is an error in one line."""
    said = cli("scan", "toy:no such thing")

    assert said.code == 1
    assert len(said.error.splitlines()) == 1
