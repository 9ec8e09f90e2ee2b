"""Filling a volume: every missing image into its slice, in any order, as parallel as its loader allows."""

from __future__ import annotations

import copy
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone import pixels
from loadstone.boundary import typed_error
from loadstone.errors import LoadCancelled, LoadstoneError, PluginContractError
from loadstone.events import ImageLoadFailed, TimePointLoaded, VolumeLoaded, VolumeModified, VolumeWidened
from loadstone.hookspecs import VoxelSource
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import answered, checked_image, closing_at_once
from loadstone.load_object import Progress
from loadstone.parallel import run_parallel
from loadstone.volume.block import tail
from loadstone.volume.time_points import TimePoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from loadstone.context import LoadContext
    from loadstone.hookspecs import ImageLoad, ImageLoader, ImageLoadMany, VoxelFill
    from loadstone.image import Image
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.assembly import Assembly
    from loadstone.volume.volume import Volume

__all__ = ["fill_volume"]

READY_AHEAD = 8
"""Answers of `load_many` that may wait before it is asked for the next: bounds the memory in flight."""


class _Filling:
    """One attempt to complete a volume: progress, events and what went wrong."""

    def __init__(self, volume: Volume, load: SharedLoad[Any]) -> None:
        self.volume = volume
        self.assembly = volume._assembly
        self.session = self.assembly.session
        self.load = load
        self.errors: list[LoadstoneError] = []
        self.time_points = TimePoints(self.assembly)

    def arrived(self, index: int) -> None:
        """Tell everybody that an image is final."""
        self.load.report(
            Progress(
                self.assembly.done,
                len(self.assembly.quality),
                self.load.progress.received_bytes,
                self.load.progress.total_bytes,
            )
        )
        if self.session.events.wants(VolumeModified):
            self.session.events.emit(VolumeModified(self.volume, (index,)))
        if (place := self.time_points.completed_by(index)) is not None:
            self.session.events.emit(TimePointLoaded(self.volume, place))

    def widen(self) -> None:
        """Make the array anew with a wider dtype, and tell everybody."""
        try:
            self.assembly.widen()
        except LoadstoneError as error:
            self.errors.append(error)
            return
        if self.session.events.wants(VolumeWidened):
            self.session.events.emit(VolumeWidened(self.volume))

    def failed(self, error: BaseException, image_id: str) -> None:
        """Remember that an image did not arrive, and tell everybody."""
        typed = typed_error(error, image_id)
        self.errors.append(typed)
        self.assembly.failed(image_id)
        self.session.events.emit(ImageLoadFailed(image_id, typed))


def _fill_images(filling: _Filling, loader: ImageLoader, context: LoadContext) -> None:
    """Load every missing image of a volume; errors are collected in `filling`."""
    assembly = filling.assembly
    while (awaited := assembly.awaited) and not filling.errors:
        ids = [ImageId(assembly.plan.image_ids[index]) for index in awaited]
        _run_batches(filling, loader, context, ids)
        if not assembly.misfits:
            break
        filling.widen()
    for index in assembly.interpolate():
        filling.arrived(index)


def _run_batches(
    filling: _Filling, loader: ImageLoader, context: LoadContext, ids: Sequence[ImageId]
) -> None:
    """Load images batch by batch, several batches at a time."""
    size = 1 if loader.load_many is None else loader.batch_size or len(ids)

    def work(batch: Sequence[ImageId]) -> None:
        if loader.load_many is None:
            _single(filling, loader.load, context, batch[0])
        else:
            _batch(filling, loader.load_many, context, batch)

    batches = [ids[start : start + size] for start in range(0, len(ids), size)]
    filling.errors += run_parallel(filling.session, filling.load, work, batches, lane_of(ids[0]))


def _single(filling: _Filling, load: ImageLoad, context: LoadContext, image_id: ImageId) -> None:
    try:
        answer = answered(load(image_id, context.for_image(image_id)), context, filling.load, lambda _: None)
        _place(filling, image_id, checked_image(answer, image_id))
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        filling.failed(error, image_id)


def _batch(filling: _Filling, load_many: ImageLoadMany, context: LoadContext, ids: Sequence[ImageId]) -> None:
    """Run `load_many` over some images, finishing what it leaves to be waited for behind it."""
    waiting: deque[tuple[ImageId, object]] = deque()
    expected = set(ids)
    try:
        answers = load_many(ids, context)
        with closing_at_once(answers):
            for image_id, answer in answers:
                context.raise_if_cancelled()
                if image_id not in expected:
                    raise PluginContractError(  # noqa: TRY301 - ends the batch like whatever the plugin raises
                        f"load_many gave {image_id}, which it was not asked for"
                    )
                expected.discard(image_id)
                waiting.append((image_id, answer))
                is_ready = not _must_wait(answer)
                del answer  # its memory is free as soon as it is in its place
                if len(waiting) > READY_AHEAD or is_ready:
                    _finish(filling, *waiting.popleft())
        while waiting:
            _finish(filling, *waiting.popleft())
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        for image_id in (*(each for each, _ in waiting), *expected):
            filling.failed(error, image_id)
        return
    for image_id in expected:
        filling.failed(PluginContractError("load_many did not give this image", source=image_id), image_id)


def _must_wait(answer: object) -> bool:
    return callable(getattr(answer, "result", None))


def _finish(filling: _Filling, image_id: ImageId, answer: object) -> None:
    try:
        if isinstance(answer, Exception):
            raise answer  # noqa: TRY301 - one way for what was raised and what was given
        result: Callable[[], object] | None = getattr(answer, "result", None)
        _place(filling, image_id, checked_image(result() if result else answer, image_id))
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        filling.failed(error, image_id)


def _place(filling: _Filling, image_id: ImageId, image: Image) -> None:
    if filling.assembly.place(image, image_id):
        filling.arrived(filling.assembly.index_of(image_id))


def _fill_voxels(filling: _Filling, fill: VoxelFill, context: LoadContext) -> None:
    """Have a plugin fill a volume that comes as one block; errors are collected in `filling`."""
    assembly = filling.assembly
    while True:
        assembly.restart()
        try:
            _run_fill(filling, fill, context)
        except pixels.FrameDoesNotFit:
            filling.widen()
        except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
            filling.errors.append(typed_error(error, assembly.plan.volume_id))
        if filling.errors or not assembly.missing:
            return


def _run_fill(filling: _Filling, fill: VoxelFill, context: LoadContext) -> None:
    """Have the plugin fill the block, and scale its images in ascending order as they arrive."""
    assembly = filling.assembly
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
                filling.arrived(expected)
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


def fill_volume(
    volume: Volume,
    load: SharedLoad[Any],
    context: LoadContext,
    *,
    collect: bool = False,
    ready: Iterable[tuple[ImageId, Image]] = (),
    adopted: Iterable[int] = (),
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

    Raises
    ------
    LoadstoneError
        The first thing that went wrong, with ``.volume`` and ``.missing``.
    """
    assembly = volume._assembly
    session = assembly.session
    context = context.for_memory(assembly)
    filling = _Filling(volume, load)
    try:
        for image_id, image in ready:
            _finish(filling, image_id, image)
        for index in adopted:
            filling.arrived(index)
        if not assembly.missing:
            pass
        elif isinstance(assembly.chosen, VoxelSource):
            _fill_voxels(filling, assembly.chosen.fill, context)
        else:
            registration = session.registry.image_loader(ImageId(assembly.plan.image_ids[0]).scheme)
            _fill_images(filling, registration.record, context)
    finally:
        for error in filling.errors:
            context.distrust(error)
        context.close()
        assembly.clear_missing()
    load.token.raise_if_cancelled()
    errors, filling.errors = filling.errors, []
    # Copies have no traceback, which would lead back to the volume and keep it alive.
    assembly.errors = tuple(copy.copy(error) for error in errors)
    if errors and not collect:
        errors[0].volume, errors[0].missing = volume, volume.missing
        raise errors[0]
    if not errors:
        session.events.emit(VolumeLoaded(volume))
