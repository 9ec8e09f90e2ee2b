"""The command line with toys, and without any switches set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import loadstone
from core.tests.cli.builders import Cli, toys
from loadstone.testing import PluginSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """Return a way to run commands; ``toy:`` ids can be loaded."""
    with toys():
        yield Cli(capsys)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[PluginSandbox]:
    """Return a place to install plugins in that the process's registry sees."""
    folder = tmp_path / "site"
    folder.mkdir()
    with PluginSandbox(folder) as sandbox:
        yield sandbox
    loadstone.refresh_plugins()


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests set the switches that they need."""
    for name in [name for name in os.environ if name.startswith("LOADSTONE_") or name == "COLUMNS"]:
        monkeypatch.delenv(name)
