"""What `import loadstone` gives, and what it does not do."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import loadstone


def test_everything_public_is_named_and_everything_named_is_public() -> None:
    """`__all__` is sorted and is exactly what a user finds beside the modules."""
    found = {
        name
        for name, value in vars(loadstone).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }

    assert loadstone.__all__ == sorted(loadstone.__all__)
    assert set(loadstone.__all__) == found


def test_every_public_name_is_documented() -> None:
    """A user who asks for help gets some."""
    undocumented = [name for name in loadstone.__all__ if not getattr(loadstone, name).__doc__]

    assert undocumented == []


def test_every_error_can_be_caught_by_its_name() -> None:
    """The tree of errors is public as a whole."""
    errors = {name for name in loadstone.errors.__all__ if name not in loadstone.__all__}

    assert errors == set()


def test_importing_it_imports_no_plugin_and_nothing_heavy() -> None:
    """Neither event loop nor network nor image libraries are needed to name things."""
    code = "import sys, loadstone; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())

    assert "numpy" in modules
    heavy = ("asyncio", "urllib3", "ssl", "http.client", "concurrent.futures", "multiprocessing")
    assert modules.isdisjoint({*heavy, "pydicom", "nibabel", "PIL", "imagecodecs", "tqdm", "typer"})
    assert not [name for name in modules if name.startswith("loadstone_")]


def test_a_load_without_network_needs_neither_event_loop_nor_network() -> None:
    """What is not used is not imported, even when images are loaded."""
    code = """
import sys, numpy, loadstone
with loadstone.register_image_loader("toy", lambda i, c: loadstone.Image(numpy.zeros((2, 2)))):
    loadstone.load_image("toy:1")
    loadstone.load_volume("streaming:a", image_ids=["toy:1"])
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {"asyncio", "urllib3", "ssl"}.isdisjoint(done.stdout.split())


def test_the_package_says_that_it_is_typed() -> None:
    """Type checkers believe its annotations."""
    assert (Path(loadstone.__file__).parent / "py.typed").exists()
