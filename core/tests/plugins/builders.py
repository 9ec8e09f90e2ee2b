"""Distributions that look installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadstone._plugins import PluginIndex, PluginPolicy, Registry
from loadstone.image import Image
from loadstone.testing import PluginSandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.context import LoadContext
    from loadstone.hookspecs import ImageStack
    from loadstone.ids import ImageId, VolumeId

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
        """Install a plugin that serves what it declares; `code` adds to its module, `source` replaces it."""
        # Never the name of a real package: another test may have imported that.
        module = module or distribution.replace("-", "_").replace("loadstone_", "stand_in_for_")
        self.install(
            distribution,
            version=version,
            entry_points={
                "loadstone.image_loaders": dict.fromkeys(images, module),
                "loadstone.volume_loaders": dict.fromkeys(volumes, module),
                "loadstone.suffixes": suffixes or {},
                "loadstone.plugins": {"main": module} if schemeless else {},
            },
            modules={
                module: SOURCE.format(images=images, volumes=volumes) + code if source is None else source
            },
        )
        return module

    def index(self) -> PluginIndex:
        """Return what is installed here, and nothing else."""
        return PluginIndex.scan([str(self.folder)])

    def registry(self, **policy: object) -> Registry:
        """Return a registry of what is installed here."""
        return Registry(index=self.index(), policy=PluginPolicy(**policy))  # type: ignore[arg-type]


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load an image of one pixel."""
    return Image(np.zeros((1, 1)))


def other_load(image_id: ImageId, context: LoadContext) -> Image:
    """Load the same, as another function."""
    return load(image_id, context)


def open_volumes(volume_id: VolumeId, context: LoadContext) -> tuple[ImageStack, ...]:
    """Find no volumes."""
    return ()


def empty() -> Registry:
    """Return a registry that sees nothing of what is installed."""
    return Registry(index=PluginIndex(), policy=PluginPolicy())
