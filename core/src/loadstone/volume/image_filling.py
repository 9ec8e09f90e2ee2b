"""Filling a volume image by image, in any order, as parallel as its loader allows, at once or by stages."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from loadstone.errors import LoadCancelled, PluginContractError
from loadstone.ids import ImageId, lane_of
from loadstone.image import Quality
from loadstone.image_loading import answered, checked_image, closing_at_once, result_of
from loadstone.parallel import run_parallel
from loadstone.pools import RequestType
from loadstone.retrieve.one_image import not_final
from loadstone.retrieve.steps import announced, steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.context import LoadContext
    from loadstone.hookspecs import ImageLoad, ImageLoader, ImageLoadMany
    from loadstone.image import Image
    from loadstone.permits import Order
    from loadstone.retrieve import RetrieveConfiguration, RetrieveOptions
    from loadstone.retrieve.steps import Step
    from loadstone.volume.attempt import Attempt

__all__ = ["fill_images", "finish_image"]

READY_AHEAD = 8
"""Answers of `load_many` that may wait before it is asked for the next: bounds the memory in flight."""


def fill_images(
    attempt: Attempt, loader: ImageLoader, context: LoadContext, stages: RetrieveConfiguration | None
) -> None:
    """Load every missing image of a volume; errors are collected in `attempt`."""
    assembly = attempt.assembly
    if stages is None:
        _load(attempt, loader, context, assembly.awaited, _order(attempt))
    else:
        _load_by_stages(attempt, loader, context, stages)
    for index in assembly.interpolate():
        attempt.arrived(index)
    if not attempt.errors:
        for index in assembly.awaited:
            image_id, quality = assembly.plan.image_ids[index], int(assembly.quality[index])
            attempt.failed(not_final(Quality(quality) if quality else None, image_id), image_id)


def _order(attempt: Attempt, type: RequestType = RequestType.PREFETCH, priority: int = 0) -> Order:
    """Return how urgent requests are: by their own type, and by the priority of the load too."""
    request = attempt.load.request
    return type, priority + (request.priority if request is not None else 0)


def _load_by_stages(
    attempt: Attempt, loader: ImageLoader, context: LoadContext, stages: RetrieveConfiguration
) -> None:
    """Load what each stage asks for, one stage after the other, and show the volume after each."""
    began = time.perf_counter()
    retrieved: dict[int, RetrieveOptions] = {}
    for step in steps_of(stages, len(attempt.assembly.quality)):
        with announced(step, attempt.assembly.plan.volume_id, attempt.session.events, began) as tally:
            attempt.begin(step)
            wanted = _wanted(attempt, step, retrieved)
            retrieved |= dict.fromkeys(wanted, step.options)
            tally.skipped = len(step.indices) - len(wanted)
            failures = attempt.failures
            order = _order(attempt, step.request_type, step.priority)
            _load(attempt, loader, context.for_stage(step.options), wanted, order)
            tally.failures = attempt.failures - failures
        attempt.load.offer(attempt.volume)


def _wanted(attempt: Attempt, step: Step, retrieved: dict[int, RetrieveOptions]) -> Sequence[int]:
    """Return the indices of a step that it may make better: coarse ones are finer from more bytes."""
    assembly, options = attempt.assembly, step.options
    names, quality = assembly.plan.image_ids, int(options.quality)
    return [
        index
        for index in step.indices
        if names[index]
        and (
            assembly.quality[index] < quality
            or (assembly.quality[index] == quality < Quality.FULL and retrieved.get(index) != options)
        )
    ]


def _load(
    attempt: Attempt, loader: ImageLoader, context: LoadContext, indices: Sequence[int], order: Order
) -> None:
    """Load some images; once more with a wider block where values do not fit."""
    assembly = attempt.assembly
    while indices and not attempt.load.token.cancelled:
        ids = [ImageId(assembly.plan.image_ids[index]) for index in indices]
        _run_batches(attempt, loader, context, ids, order)
        indices = sorted(assembly.misfits)
        if indices and not attempt.widen():
            return


def _run_batches(
    attempt: Attempt, loader: ImageLoader, context: LoadContext, ids: Sequence[ImageId], order: Order
) -> None:
    """Load images batch by batch, several batches at a time."""
    size = 1 if loader.load_many is None else loader.batch_size or len(ids)

    def work(batch: Sequence[ImageId]) -> None:
        if loader.load_many is None:
            _single(attempt, loader.load, context, batch[0])
        else:
            _batch(attempt, loader.load_many, context, batch)

    batches = [ids[start : start + size] for start in range(0, len(ids), size)]
    attempt.errors += run_parallel(attempt.session, attempt.load, work, batches, lane_of(ids[0]), order=order)


def _single(attempt: Attempt, load: ImageLoad, context: LoadContext, image_id: ImageId) -> None:
    def offer(image: Image) -> None:
        # The loader may go on writing into what it has shown; that must not be the slice itself.
        if not np.may_share_memory(image.pixels, attempt.assembly.block.array):
            _place(attempt, image_id, image)

    try:
        answer = answered(load(image_id, context.for_image(image_id)), context, attempt.load, offer)
        _place(attempt, image_id, checked_image(answer, image_id))
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        attempt.failed(error, image_id)


def _batch(attempt: Attempt, load_many: ImageLoadMany, context: LoadContext, ids: Sequence[ImageId]) -> None:
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
                    finish_image(attempt, *waiting.popleft())
        while waiting:
            finish_image(attempt, *waiting.popleft())
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        for image_id in (*(each for each, _ in waiting), *expected):
            attempt.failed(error, image_id)
        return
    for image_id in expected:
        attempt.failed(PluginContractError("load_many did not give this image", source=image_id), image_id)


def _must_wait(answer: object) -> bool:
    return callable(getattr(answer, "result", None))


def finish_image(attempt: Attempt, image_id: ImageId, answer: object) -> None:
    """Put into its slice what was loaded or is being loaded, or note what went wrong."""
    try:
        if isinstance(answer, Exception):
            raise answer  # noqa: TRY301 - one way for what was raised and what was given
        image = result_of(answer, attempt.load) if _must_wait(answer) else answer
        _place(attempt, image_id, checked_image(image, image_id))
    except LoadCancelled:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of the plugin
        attempt.failed(error, image_id)


def _place(attempt: Attempt, image_id: ImageId, image: Image) -> None:
    if attempt.assembly.place(image, image_id):
        attempt.arrived(attempt.assembly.index_of(image_id))
