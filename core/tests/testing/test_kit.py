"""The conformance kit as its users meet it first."""

from __future__ import annotations

import subprocess
import sys

import pytest

import loadstone.testing
from loadstone.testing import ImageLoaderContract, VolumeLoaderContract
from loadstone.testing.contracts.loaders import override


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_only_the_contracts_need_pytest() -> None:
    """The sandbox, the tap and the server work without pytest; a contract says what is missing."""
    without = "import sys; sys.modules['pytest'] = None; import loadstone.testing\n"

    assert python(without + "from loadstone.testing import PluginSandbox, WireTap, faults").returncode == 0
    assert "pytest" in python(without + "from loadstone.testing import ImageLoaderContract").stderr


def test_the_public_names_can_be_listed() -> None:
    """`dir` knows the names that are imported only when asked for, and no others are made up."""
    assert set(loadstone.testing.__all__) <= set(dir(loadstone.testing))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = loadstone.testing.Nothing


def test_a_contract_is_no_test_itself() -> None:
    """Importing a contract into a test module collects nothing."""
    assert not ImageLoaderContract.__name__.startswith("Test")
    assert not VolumeLoaderContract.__name__.startswith("Test")


def test_a_fixture_that_is_missing_is_named() -> None:
    """Whoever forgets to override one reads which, and what it has to be."""
    with pytest.raises(pytest.fail.Exception, match="override the fixture `image_id`: the id of an image"):
        override("image_id", "the id of an image")
