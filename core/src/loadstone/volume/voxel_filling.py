"""Filling a volume that comes as one block: the plugin writes stored values, scaled in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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

_STEP_BYTES: Final = 2**21
"""Scaled at a time: enough to make little of each step, and little enough to stay near the processor."""


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
    count, volume_id = len(stored_slices), assembly.plan.volume_id
    ahead: set[int] = set()
    expected = 0
    indices = fill(stored, context)
    with closing_at_once(indices):
        for done in indices:
            context.raise_if_cancelled()
            run = _checked(done, count, volume_id)
            first, expected = expected, _reached(expected, run, ahead)
            _finish(attempt, stored_slices, range(first, expected))
    if expected < count:
        raise PluginContractError(f"fill gave {expected} of {count} images", source=volume_id)


def _reached(expected: int, run: range, ahead: set[int]) -> int:
    """Return up to which image all are there, now that a run has come; keep those that lie ahead."""
    if run.start == expected:
        expected = run.stop
    else:
        ahead.update(run)
    while expected in ahead:
        ahead.remove(expected)
        expected += 1
    return expected


def _finish(attempt: Attempt, stored: npt.NDArray[Any], run: range) -> None:
    """Scale images that follow each other, a few megabytes at a time, and tell that they are there."""
    assembly = attempt.assembly
    (plan,) = assembly.plan.scaling
    step = max(1, _STEP_BYTES // max(1, assembly.block.slices[0].nbytes))
    for start in range(run.start, run.stop, step):
        part = range(start, min(start + step, run.stop))
        ends = slice(part.start, part.stop)
        pixels.scale_into(plan, stored[ends], assembly.block.slices[ends])
        assembly.finish_run(part)
        attempt.arrived_together(part)


def _checked(done: object, count: int, volume_id: str) -> range:
    """Return what a plugin says is done as a run of images."""
    run = range(int(done), int(done) + 1) if isinstance(done, int | np.integer) else done
    if isinstance(run, range) and run.step == 1 and 0 <= run.start < run.stop <= count:
        return run
    raise PluginContractError(f"fill gave the index {done!r} of {count} images", source=volume_id)


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
