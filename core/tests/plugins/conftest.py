"""Distributions that look installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from loadstone._plugins import PluginIndex, PluginPolicy, Registry
from loadstone.testing import PluginSandbox

SOURCE = """
from loadstone.hookspecs import ImageLoader, MetadataProvider, VolumeLoader, hookimpl


def load(image_id, context):
    return image_id


def open_volumes(volume_id, context):
    return ()


@hookimpl
def loadstone_image_loaders():
    return [ImageLoader(scheme, load) for scheme in {images!r}]


@hookimpl
def loadstone_volume_loaders():
    for scheme in {volumes!r}:
        yield VolumeLoader(scheme, open_volumes)
"""


class Site(PluginSandbox):
    """A sandbox with a short way to write a plugin."""

    def add(
        self,
        distribution: str = "acme-loader",
        *,
        images: Sequence[str] = ("acme",),
        volumes: Sequence[str] = (),
        source: str | None = None,
        code: str = "",
        module: str = "",
        version: str = "1.0",
        suffixes: dict[str, str] | None = None,
        schemeless: bool = False,
    ) -> str:
        """Install a plugin that serves what it declares; `code` is added to its module, `source` replaces it."""
        module = module or distribution.replace("-", "_")
        self.install(
            distribution,
            version=version,
            entry_points={
                "loadstone.image_loaders": dict.fromkeys(images, module),
                "loadstone.volume_loaders": dict.fromkeys(volumes, module),
                "loadstone.suffixes": suffixes or {},
                "loadstone.plugins": {"main": module} if schemeless else {},
            },
            modules={module: SOURCE.format(images=images, volumes=volumes) + code if source is None else source},
        )
        return module

    def index(self) -> PluginIndex:
        """Return what is installed here, and nothing else."""
        return PluginIndex.scan([str(self.folder)])

    def registry(self, **policy: object) -> Registry:
        """Return a registry of what is installed here."""
        return Registry(index=self.index(), policy=PluginPolicy(**policy))  # type: ignore[arg-type]


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
    import sys

    told = SimpleNamespace(names=[])
    monkeypatch.setitem(sys.modules, "loadstone_test_calls", told)  # type: ignore[arg-type]
    return told


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests set the switches that they need."""
    for name in [name for name in os.environ if name.startswith("LOADSTONE_")]:
        monkeypatch.delenv(name)
