"""What becomes of a volume's memory when its session keeps it no longer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone.errors import LoadstoneError
from loadstone.events import ImageCached, ImageEvicted, VolumeCached, VolumeLoaded, VolumeModified
from loadstone.image_loading import readonly

if TYPE_CHECKING:
    from loadstone.volume.volume import Volume

__all__ = ["release", "taken"]


def release(volume: Volume, *, keep_images: bool) -> None:
    """Take one protection of a volume back; if none is left, drop it, perhaps keeping its images."""
    session, key = volume._assembly.session, volume._assembly.key
    reservation = session.cache.withdraw(key, volume)
    if reservation is None:
        return
    try:
        if keep_images:
            _keep_images(volume)
    finally:
        reservation.release()


def _keep_images(volume: Volume) -> None:
    """Keep copies of a volume's images, as many as fit beside it without evicting anything."""
    session = volume._assembly.session
    for index, key in enumerate(session.views.keys(volume)):
        view = None if key is None else volume._assembly.viewed(index, volume.loader)
        if view is None:
            continue
        reservation = session.cache.reserve_free(view.nbytes)
        if reservation is None:
            return
        image = replace(view, pixels=readonly(view.pixels.copy()))
        dropped = partial(session.events.emit, ImageEvicted(image))
        if reservation.commit(key, image, files=session.views.files(volume, index), dropped=dropped):
            session.events.emit(ImageCached(image))


def taken(volume: Volume) -> npt.NDArray[Any]:
    """
    Take a volume out of its session; return a writable array of its voxels.

    Without a copy when nobody else was given the volume or holds a view of it.

    Raises
    ------
    LoadstoneError
        If it is not complete.
    """
    assembly = volume._assembly
    if volume.missing:
        raise LoadstoneError(
            f"{len(volume.missing)} images of the volume are missing",
            source=volume.volume_id,
            hint="Call load() to get them, or copy `array` as it is.",
        )
    session = assembly.session
    session.cache.remove(assembly.key, volume)
    session.views.remove(volume)
    announced = any(session.events.wants(kind) for kind in (VolumeLoaded, VolumeCached, VolumeModified))
    if announced or assembly.callers > 1 or assembly.is_viewed:
        return np.array(assembly.block.shown, order="C")
    assembly.block.shown = assembly.block.array
    return assembly.block.array
