"""The way of an image from the loader's answer to the caller: waited for, checked, scaled, read-only."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from loadstone import pixels
from loadstone.errors import LimitError, PluginContractError
from loadstone.image import Image, LoaderInfo, Quality, Timings
from loadstone.load_object import LoadObject

if TYPE_CHECKING:
    from loadstone.cache import Cache, Reservation
    from loadstone.context import LoadContext
    from loadstone.options import LoadOptions
    from loadstone.settings import Settings
    from loadstone.shared_load import SharedLoad

__all__ = [
    "ImageMemory",
    "answered",
    "checked_image",
    "closing_at_once",
    "finished_image",
    "plan_for",
    "readonly",
    "result_of",
    "scaled_apart",
]

GREY, COLOR = 2, 3


class ImageMemory:
    """
    Memory for the output of one image, charged to the budget unless the caller does without the cache.

    Parameters
    ----------
    cache
        Whose budget it is charged to; None: to none.
    settings
        Limits.
    zeros
        Gives the memory.
    """

    def __init__(
        self,
        cache: Cache | None,
        settings: Settings,
        zeros: Callable[[tuple[int, ...], np.dtype[Any]], npt.NDArray[Any]] = np.zeros,
    ) -> None:
        self._reservation: Reservation | None = cache.reserve(0) if cache is not None else None
        self._cache = cache
        self._settings = settings
        self._zeros = zeros
        self._given: list[npt.NDArray[Any]] = []

    def another(self) -> ImageMemory:
        """Return memory for another image, charged as this one is."""
        return ImageMemory(self._cache, self._settings, self._zeros)

    def allocate(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], image_id: str | None = None, *, beside: int = 0
    ) -> npt.NDArray[Any]:
        """
        Return zeroed memory.

        Room is also made for the bytes `beside` it, of an array that the loader made itself. That is there
        already and goes as soon as it is copied, so that nothing fails for want of this room.
        """
        nbytes = dtype.itemsize
        for length in shape:
            nbytes *= int(length)
        self.reserve(nbytes)
        if self._reservation is not None:
            self._reservation.grow_if_free(beside)
        array = self._zeros(shape, dtype)
        self._given.append(array)
        return array

    def charge(self, nbytes: int, image_id: str | None = None) -> None:
        """Charge bytes that are on the way to the image."""
        if self._reservation is not None:
            self._reservation.grow(nbytes)

    def reserve(self, nbytes: int) -> None:
        """Charge bytes of pixels."""
        limit = self._settings.max_image_bytes
        if nbytes > limit:
            raise LimitError(
                f"an image of {nbytes:,} bytes is larger than max_image_bytes={limit:,}",
                hint="Raise the setting if the image is meant to be that large.",
            )
        self.charge(nbytes)

    def gave(self, array: npt.NDArray[Any]) -> bool:
        """Say whether `array` is memory from here, whole."""
        return any(
            array is each or (array.base is each and array.nbytes == each.nbytes) for each in self._given
        )

    def settle(self, nbytes: int) -> Reservation | None:
        """Give back all but the bytes of the result."""
        self._given.clear()
        if self._reservation is not None:
            self._reservation.shrink(self._reservation.nbytes - nbytes)
        return self._reservation

    def release(self) -> None:
        """Give everything back."""
        if self._reservation is not None:
            self._reservation.release()


def answered(
    answer: object, context: LoadContext, load: SharedLoad[Any], offer: Callable[[Image], object]
) -> Image:
    """
    Wait for a loader's answer, whatever its kind.

    Raises
    ------
    PluginContractError
        If it is none of the kinds that a loader may return, or an iterator without an image.
    """
    if isinstance(answer, Image):
        return answer
    if inspect.isawaitable(answer) and not isinstance(answer, LoadObject):
        return answered(context.session.loop.run(_awaited(answer), load.token), context, load, offer)
    if callable(getattr(answer, "result", None)):
        return answered(result_of(answer, load), context, load, offer)
    if isinstance(answer, Iterator):
        return _last(answer, context, load, offer)
    raise PluginContractError(
        f"the loader returned {type(answer).__name__}, not an Image, some of them, or something to wait for",
        source=load.id,
    )


async def _awaited(answer: Awaitable[Any]) -> object:
    return await answer


def result_of(answer: Any, load: SharedLoad[Any]) -> object:  # noqa: ANN401 - whatever has a `result`
    """Wait for something future-like; where it can be cancelled, cancelling the load does so."""
    cancel = getattr(answer, "cancel", None)
    forget = load.token.on_cancel(cancel) if callable(cancel) else None
    try:
        return answer.result()
    finally:
        if forget is not None:
            forget()


def _last(
    answers: Iterator[object], context: LoadContext, load: SharedLoad[Any], offer: Callable[[Image], object]
) -> Image:
    image: Image | None = None
    with closing_at_once(answers):
        for each in answers:
            context.raise_if_cancelled()
            better = checked_image(each, load.id)
            if image is not None and better.quality < image.quality:
                raise PluginContractError("the loader yielded an image worse than before", source=load.id)
            image = better
            if image.quality < Quality.FULL:
                offer(image)
    if image is None:
        raise PluginContractError("the loader yielded no image", source=load.id)
    return image


@contextmanager
def closing_at_once(answers: object) -> Iterator[None]:
    """End a plugin's generator at once, whatever happens: its files and sockets must not wait for the gc."""
    try:
        yield
    finally:
        close = getattr(answers, "close", None)
        if callable(close):
            close()


def checked_image(image: object, identity: str) -> Image:
    """
    Return `image` if it is one that may be handed out.

    Raises
    ------
    PluginContractError
        If it is no `Image`, its pixels are no 2-D or 3-D number array, empty, or not in native byte order, or
        its quality is none.
    """
    if not isinstance(image, Image):
        raise PluginContractError(f"the loader gave {type(image).__name__}, not an Image", source=identity)
    array: object = image.pixels
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufbc" or not array.dtype.isnative:
        raise PluginContractError(
            "the loader's pixels are not a numpy array of numbers in native byte order", source=identity
        )
    if not array.size or not (array.ndim == GREY or (array.ndim == COLOR and array.shape[2] in (3, 4))):
        raise PluginContractError(
            f"the loader's pixels have the shape {array.shape}, not (rows, columns[, 3 or 4])",
            source=identity,
        )
    if not isinstance(image.quality, Quality):
        raise PluginContractError(
            f"the loader's image has the quality {image.quality!r}, not a Quality", source=identity
        )
    return image


def plan_for(image: Image, options: LoadOptions) -> pixels.ScalePlan:
    """Return how an image of its own is scaled."""
    return pixels.scale_plan(
        image.pixels.dtype,
        image.slope,
        image.intercept,
        bits_stored=image.bits_stored,
        dtype=options.dtype,
        scaled=options.scaled and not image.scaled,
        colour=image.pixels.ndim == COLOR,
    )


def finished_image(
    image: Image,
    identity: str,
    options: LoadOptions,
    memory: ImageMemory,
    *,
    loader: LoaderInfo,
    seconds: float,
) -> Image:
    """Return the image as the caller gets it: scaled, with identity, read-only."""
    stored = image.pixels
    plan = plan_for(image, options)
    if plan.in_place and stored.flags.c_contiguous and memory.gave(stored):
        result = _scaled_in_place(plan, image, memory)
    else:
        result = scaled_apart(plan, image, memory, is_charged=memory.gave(stored))
    return replace(
        image,
        pixels=readonly(result),
        image_id=identity,
        units=image.units if options.scaled else "",
        stored_bounds=None,  # of what the loader gave
        scaled=options.scaled,
        loader=loader,
        timings=Timings(seconds),
    )


def _scaled_in_place(plan: pixels.ScalePlan, image: Image, memory: ImageMemory) -> npt.NDArray[Any]:
    result = image.pixels.view(plan.dtype)
    try:
        pixels.scale_into(plan, image.pixels, result, image.stored_bounds)
    except pixels.FrameDoesNotFit:
        return scaled_apart(pixels.widened(plan), image, memory)
    return result


def scaled_apart(
    plan: pixels.ScalePlan, image: Image, memory: ImageMemory, *, is_charged: bool = True
) -> npt.NDArray[Any]:
    """Return scaled values in memory of their own; of what is not charged yet, the stored ones are now."""
    stored = image.pixels
    result = memory.allocate(stored.shape, plan.dtype, beside=0 if is_charged else stored.nbytes)
    try:
        pixels.scale_into(plan, stored, result, image.stored_bounds)
    except pixels.FrameDoesNotFit:
        return scaled_apart(pixels.widened(plan), image, memory)
    return result


def readonly(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that cannot be made writable again."""
    return np.asarray(memoryview(cast("Any", array)).toreadonly())
