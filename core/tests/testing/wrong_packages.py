"""Packages with plugins that are wrong in one way each, with the one check that must fail for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pytest

from loadstone.testing import PluginPackageContract, PluginSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RIGHT = """
import numpy as np

from loadstone import Image, ImageLoader, hookimpl


def load(image_id, context):
    return Image(np.zeros((1, 1)))


@hookimpl
def loadstone_image_loaders():
    return [ImageLoader("acme", load)]
"""
SCHEMES = {"loadstone.image_loaders": {"acme": "acme_loader"}}


@dataclass(frozen=True)
class Package:
    """A package, which the sandbox makes look installed."""

    check: str = ""
    """The one check that fails."""
    code: str = ""
    """What its module has beside a right loader."""
    entry_points: dict[str, dict[str, str]] = field(default_factory=lambda: SCHEMES)
    """Its entry points."""


class ToyPackage(PluginPackageContract):
    package: ClassVar[Package]

    @pytest.fixture
    def distribution(self, tmp_path: Path) -> Iterator[str]:
        with PluginSandbox(tmp_path) as sandbox:
            neighbour = {"loadstone.image_loaders": {"neighbour": "neighbour_loader.plugin"}}
            modules = {"neighbour_loader": "", "neighbour_loader.plugin": ""}
            sandbox.install("neighbour", entry_points=neighbour, modules=modules)
            sandbox.install(
                "acme-loader",
                entry_points=self.package.entry_points,
                modules={"acme_loader": RIGHT + self.package.code},
            )
            yield "Acme_Loader"


PACKAGES = {
    "TestRightPackage": Package(),
    "TestUndeclaredPackage": Package("test_it_declares_plugins", entry_points={"acme.plugins": {"a": "b"}}),
    "TestMisspeltPackage": Package(
        "test_it_declares_plugins",
        entry_points=SCHEMES | {"loadstone.suffixes": {"acme": "acme"}},
    ),
    "TestBrokenPackage": Package("test_entry_points_equal_records", "import acme_missing"),
    "TestPromisingPackage": Package(
        "test_entry_points_equal_records",
        entry_points={"loadstone.image_loaders": {"acme": "acme_loader", "acme2": "acme_loader"}},
    ),
    "TestEndingPackage": Package("test_entry_points_equal_records", "import os\nos._exit(3)"),
    "TestHeavyPackage": Package("test_it_imports_nothing_heavy", "import nibabel"),
    "TestNeighbourlyPackage": Package("test_it_imports_no_other_plugin", "import neighbour_loader.plugin"),
}
