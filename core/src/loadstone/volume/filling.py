"""Filling a volume: with what is there already, then with what its loader gives."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from loadstone.events import VolumeLoaded
from loadstone.hookspecs import VoxelSource
from loadstone.ids import ImageId
from loadstone.volume.attempt import Attempt
from loadstone.volume.image_filling import fill_images, finish_image
from loadstone.volume.voxel_filling import fill_voxels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadstone.context import LoadContext
    from loadstone.image import Image
    from loadstone.retrieve import RetrieveConfiguration
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.volume import Volume

__all__ = ["fill_volume"]


def fill_volume(
    volume: Volume,
    load: SharedLoad[Any],
    context: LoadContext,
    *,
    collect: bool = False,
    ready: Iterable[tuple[ImageId, Image]] = (),
    adopted: Iterable[int] = (),
    stages: RetrieveConfiguration | None = None,
) -> None:
    """
    Load what is missing of a volume.

    Parameters
    ----------
    volume
        Which.
    load, context
        Whose work it is.
    collect
        Whether what fails is only noted in its `errors`.
    ready
        Images that are there already.
    adopted
        Indices of images that are copied into it meanwhile.
    stages
        By which its images are loaded; None: all at once. One that comes as a block has none.

    Raises
    ------
    LoadstoneError
        The first thing that went wrong, with ``.volume`` and ``.missing``.
    """
    assembly = volume._assembly
    session = assembly.session
    context = context.for_memory(assembly)
    attempt = Attempt(volume, load)
    try:
        for image_id, image in ready:
            finish_image(attempt, image_id, image)
        for index in adopted:
            attempt.arrived(index)
        if not assembly.missing:
            pass
        elif isinstance(assembly.chosen, VoxelSource):
            fill_voxels(attempt, assembly.chosen.fill, context)
        else:
            some_id = ImageId(next(filter(None, assembly.plan.image_ids)))
            registration = session.registry.image_loader(some_id.scheme)
            fill_images(attempt, registration.record, context, stages)
    finally:
        for error in (*attempt.errors, *attempt.passing):
            context.distrust(error)
        context.close()
        assembly.clear_missing()
    load.token.raise_if_cancelled()
    errors, attempt.errors = attempt.errors, []
    # Copies have no traceback, which would lead back to the volume and keep it alive.
    assembly.errors = tuple(copy.copy(error) for error in errors)
    if errors and not collect:
        errors[0].volume, errors[0].missing = volume, volume.missing
        raise errors[0]
    if not errors:
        session.events.emit(VolumeLoaded(volume))
