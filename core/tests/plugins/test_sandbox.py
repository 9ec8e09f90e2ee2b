from __future__ import annotations

import importlib
import importlib.metadata
import sys
from typing import TYPE_CHECKING

import pytest

from loadstone.testing import PluginSandbox

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_installed_is_seen_and_leaves_no_trace(tmp_path: Path) -> None:
    """Inside the block a distribution has a version and modules; afterwards all of it is gone."""
    path, bytecode = list(sys.path), sys.dont_write_bytecode
    with PluginSandbox(tmp_path) as sandbox:
        sandbox.install("sand-box", version="3.1", modules={"sand_box": "", "sand_box.inner": "value = 1"})
        inner = importlib.import_module("sand_box.inner")

        assert importlib.metadata.version("Sand_Box") == "3.1"
        assert inner.value == 1

    assert (sys.path, sys.dont_write_bytecode) == (path, bytecode)
    assert not [name for name in sys.modules if name.startswith("sand_box")]
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("sand-box")


def test_installing_again_replaces(tmp_path: Path) -> None:
    """A second version takes the place of the first, and its module is the one that is imported next."""
    with PluginSandbox(tmp_path) as sandbox:
        sandbox.install("sand-box", version="1", modules={"sand_box": "value = 1"})
        first = importlib.import_module("sand_box").value
        sandbox.install("sand-box", version="2", modules={"sand_box": "value = 2"})
        sandbox.forget_modules()

        assert (first, importlib.import_module("sand_box").value) == (1, 2)
        assert importlib.metadata.version("sand-box") == "2"


def test_uninstall_takes_it_away(tmp_path: Path) -> None:
    """An uninstalled distribution is no longer found."""
    with PluginSandbox(tmp_path) as sandbox:
        sandbox.install("sand-box")
        sandbox.uninstall("sand-box")

        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("sand-box")
