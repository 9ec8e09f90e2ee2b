"""Filling a volume that comes as one block: the plugin writes stored values, scaled image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone import pixels
from loadstone.boundary import typed_error
from loadstone.errors import PluginContractError
from loadstone.image_loading import closing_at_once
from loadstone.volume.block import tail

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone.hookspecs import VoxelFill
    from loadstone.volume.assembly import Assembly
    from loadstone.volume.attempt import Attempt

__all__ = ["fill_voxels"]


def fill_voxels(attempt: Attempt, fill: VoxelFill, context: LoadContext) -> None:
    """Have a plugin fill a volume that comes as one block; errors are collected in `attempt`."""
    assembly = attempt.assembly
    while True:
        assembly.restart()
        try:
            _run_fill(attempt, fill, context)
        except pixels.FrameDoesNotFit:
            attempt.widen()
        except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
            attempt.errors.append(typed_error(error, assembly.plan.volume_id))
        if attempt.errors or not assembly.missing:
            return


def _run_fill(attempt: Attempt, fill: VoxelFill, context: LoadContext) -> None:
    """Have the plugin fill the block, and scale its images in ascending order as they arrive."""
    assembly = attempt.assembly
    (plan,) = assembly.plan.scaling
    stored = _stored_memory(assembly, plan)
    stored_slices = stored.reshape(-1, *assembly.plan.slice_shape)
    arrived: set[int] = set()
    expected = 0
    indices = fill(stored, context)
    with closing_at_once(indices):
        for index in indices:
            context.raise_if_cancelled()
            arrived.add(_checked(index, len(stored_slices), assembly.plan.volume_id))
            while expected in arrived:
                pixels.scale_into(plan, stored_slices[expected], assembly.block.slices[expected])
                assembly.finish(expected)
                attempt.arrived(expected)
                expected += 1
    if expected < len(stored_slices):
        raise PluginContractError(
            f"fill gave {expected} of {len(stored_slices)} images", source=assembly.plan.volume_id
        )


def _checked(index: object, count: int, volume_id: str) -> int:
    if isinstance(index, int | np.integer) and 0 <= index < count:
        return int(index)
    raise PluginContractError(f"fill gave the index {index!r} of {count} images", source=volume_id)


def _stored_memory(assembly: Assembly, plan: pixels.ScalePlan) -> npt.NDArray[Any]:
    """
    Return memory for stored values: the end of the volume's own, where they are not wider than its dtype.

    Scaled in ascending order to the front, none is overwritten before it was read.

    Raises
    ------
    CacheFullError
        If it takes a second block that the budget cannot hold.
    """
    array = assembly.block.array
    if plan.stored.itemsize <= plan.dtype.itemsize:
        return tail(array, plan.stored)
    assembly.charge(array.size * plan.stored.itemsize, None)
    return np.zeros(array.shape, plan.stored)
