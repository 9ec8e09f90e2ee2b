"""A place to install plugins in, without any switches set."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from core.tests.plugins.builders import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a place to install plugins in, on `sys.path`."""
    folder = tmp_path / "site"
    folder.mkdir()
    with Site(folder) as site:
        yield site


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a value that plugin modules reach as ``loadstone_test_calls``, to tell what they did."""
    told = SimpleNamespace(names=[])
    monkeypatch.setitem(sys.modules, "loadstone_test_calls", told)
    return told


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests set the switches that they need."""
    for name in [name for name in os.environ if name.startswith("LOADSTONE_")]:
        monkeypatch.delenv(name)
