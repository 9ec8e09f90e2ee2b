"""
Mistakes that mypy finds.

Each line has the error that mypy must report: an ignore that is not needed is itself an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import loadstone
from loadstone import Image, ImageLoader, ImageStack, Session, VoxelSource, Window
from loadstone.events import ImageLoaded, VolumeLoaded

if TYPE_CHECKING:
    from loadstone import ImageId, LoadContext, Volume


def users(volume: Volume, image: Image, session: Session) -> None:
    """Mistakes of users."""
    loadstone.load_image(5)  # type: ignore[arg-type]  # an id is text or a path
    image.units = "HU"  # type: ignore[misc]  # an image is frozen
    volume.array = np.zeros(3)  # type: ignore[misc]  # a volume keeps its array
    volume.affine(space="LAS")  # type: ignore[arg-type]  # LPS or RAS
    loadstone.GeometryPolicy(gap="fill")  # type: ignore[arg-type]  # nothing is filled in
    sum(volume.spacing)  # type: ignore[arg-type]  # what is unknown is None
    image.display(window=Window(40))  # type: ignore[call-arg]  # a window has a center and a width
    session.subscribe(VolumeLoaded, lambda event: event.image)  # type: ignore[attr-defined]  # it has a volume
    session.subscribe(ImageLoaded, print, 5)  # type: ignore[call-arg]  # takes no third


def load(image_id: ImageId) -> Image:
    """Forget the context."""
    return Image(np.zeros((1, 1)))


def load_path(image_id: ImageId, context: LoadContext) -> str:
    """Return what is no image."""
    return image_id.rest


def authors() -> None:
    """Mistakes of authors of plugins."""
    ImageLoader("acme", load)  # type: ignore[arg-type]  # a loader gets a context as well
    ImageLoader("acme", load_path)  # type: ignore[arg-type]  # a loader returns an image
    ImageLoader(load=load_path)  # type: ignore[call-arg, arg-type]  # a loader has a scheme
    ImageStack("acme:1", ["acme:1?frame=1"])  # type: ignore[arg-type]  # a record is frozen, so is what it holds
    VoxelSource("acme:1")  # type: ignore[call-arg]  # it has a header and a way to fill it
