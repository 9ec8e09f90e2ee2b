from __future__ import annotations

import json
from typing import TYPE_CHECKING

import loadstone

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli
    from loadstone.testing import PluginSandbox


def test_plugins_lists_every_claim(cli: Cli, sandbox: PluginSandbox) -> None:
    """The table has a row for each claim: scheme, kind, distribution, version, state."""
    sandbox.install("acme", version="3.1", entry_points={"loadstone.image_loaders": {"acme": "acme_gone"}})
    loadstone.refresh_plugins()

    rows = [line.split() for line in cli("plugins").out.splitlines()]

    assert ["acme", "images", "acme", "3.1", "available"] in rows


def test_plugins_as_json_equals_the_listing(cli: Cli) -> None:
    """--json gives what `loadstone.plugins()` gives."""
    said = json.loads(cli("plugins", "--json").out)

    names = {(each["group"], each["name"], each["state"]) for each in said}

    assert names == {(each.group, each.name, each.state) for each in loadstone.plugins()}


def test_run_time_loader_is_listed(cli: Cli) -> None:
    """A loader that the program registered is listed as its own."""
    rows = [line.split() for line in cli("plugins").out.splitlines()]

    assert any(row[:4] == ["toy", "images", "(this", "program)"] for row in rows)
