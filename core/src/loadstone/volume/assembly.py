"""A volume being put together: which images are there, and the way of each image into its place."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone import pixels
from loadstone.errors import LimitError, LoadCycleError, LoadstoneError, PluginContractError
from loadstone.hookspecs import VoxelSource
from loadstone.image import Image, LoaderInfo, Quality
from loadstone.image_loading import plan_for
from loadstone.permits import Gate, permits_given_back
from loadstone.volume.adoption import holds_exactly
from loadstone.volume.block import Block
from loadstone.volume.qualities import FULL, Qualities
from loadstone.volume.scratch import Scratch
from loadstone.waiting import current_load

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from loadstone.cache import Reservation
    from loadstone.files import FileState
    from loadstone.hookspecs import ImageStack
    from loadstone.options import LoadOptions
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.memory import Allocation
    from loadstone.volume.plan import VolumePlan

__all__ = ["Assembly"]

_OWN_REFERENCES: Final = 3
"""Of a block to its view: two names, and the one that asks."""

_PHOTOMETRIC: Final = {"rgb": "RGB", "rgba": "RGBA"}
"""By the last axis."""

_NO_PIXELS: npt.NDArray[Any] = np.zeros((0, 0), np.uint8)


class Assembly:
    """
    The state behind a `Volume`.

    Parameters
    ----------
    session
        Whose cache holds it.
    plan
        What it will be.
    options
        How it was asked for.
    chosen
        What its loader described.
    key
        Under which the cache keeps it.
    reservation
        The bytes of the block; None when it is the caller's own memory.
    allocation
        Where that memory is.
    is_own
        Whether the caller may write to it.
    """

    def __init__(
        self,
        session: Session,
        plan: VolumePlan,
        options: LoadOptions,
        *,
        chosen: ImageStack | VoxelSource,
        key: Hashable,
        reservation: Reservation | None,
        allocation: Allocation = "ram",
        is_own: bool = False,
    ) -> None:
        self.session = session
        self.plan = plan
        self.options = options
        self.chosen = chosen
        self.key = key
        self.reservation = reservation
        self.allocation = allocation
        self.is_own = is_own
        self.block = Block(
            plan.shape, plan.slice_shape, plan.dtype, allocation, is_own=is_own, shear=plan.shear
        )
        self.scratch = Scratch(None if reservation is None else session.cache)
        # What nobody has is 0 and stays so, unless it is interpolated from what arrives.
        self.qualities = Qualities(plan.count, sorted(plan.absent - plan.between.keys()))
        self.files: Sequence[FileState] = ()
        self.misfits: set[int] = set()
        self.errors: tuple[LoadstoneError, ...] = ()
        self._index_of = {image_id: index for index, image_id in enumerate(plan.image_ids)}
        self._templates: list[Image | None] = [None] * plan.count
        self._alone: list[np.dtype[Any] | None] = [plan.dtype] * plan.count
        self._known_alone: dict[Hashable, np.dtype[Any]] = {}
        self._views: dict[int, Image] = {}
        self._gate = Gate(1)
        self._filler: SharedLoad[Any] | None = None
        self.callers = 0
        """How many requests were answered with the volume."""

    @contextmanager
    def filled_by(self, load: SharedLoad[Any]) -> Iterator[None]:
        """Keep other loads from filling the same memory: one waits here until the other has really ended."""
        self._gate.acquire((0, 0), load.token)
        try:
            with self.qualities.being_filled():
                self._filler = load
                yield
        finally:
            self._filler = None
            self.scratch.clear()
            self._gate.release()

    def wait(self, indices: int | slice, timeout: float | None) -> None:
        """Wait for some images; see `Volume.wait`."""
        volume_id = self.plan.volume_id
        if self._filler is not None and self._filler is current_load():
            raise LoadCycleError("the load of the volume waits for its own slices", source=volume_id)
        self.session.loop.refuse_wait(volume_id)
        with permits_given_back():
            there = self.qualities.wait(indices, timeout)
        if not there:
            raise LoadstoneError(
                f"nothing loads what is missing: {len(self.missing)} images",
                source=volume_id,
                hint="Call load() on the volume.",
            ) from next(iter(self.errors), None)

    @property
    def quality(self) -> npt.NDArray[np.uint8]:
        """The `Quality` of each image; 0 where nothing has arrived."""
        return self.qualities.array

    @property
    def done(self) -> int:
        """How many indices are final."""
        return self.qualities.done

    def index_of(self, image_id: str) -> int:
        """Return the index of one of its images."""
        return self._index_of[image_id]

    def allocate(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], image_id: str | None
    ) -> npt.NDArray[Any]:
        """Return the slice of an image, or scratch memory where its stored values do not fit in place."""
        slot = None
        if image_id is not None and (index := self._index_of.get(image_id)) is not None:
            slot = self.block.slot(index, shape, dtype)
            # What a decoder leaves half-way must not be seen where there was something before.
            slot = slot if slot is not None and self.qualities.claim_empty(index) else None
        return self._apart(shape, dtype, image_id) if slot is None else slot

    def charge(self, nbytes: int, image_id: str | None) -> None:
        """Charge bytes on the way to an image until it is in its place."""
        self.scratch.charge(nbytes, image_id)

    def _apart(self, shape: tuple[int, ...], dtype: np.dtype[Any], image_id: str | None) -> npt.NDArray[Any]:
        nbytes = dtype.itemsize
        for length in shape:
            nbytes *= int(length)
        if nbytes > self.session.settings.max_image_bytes:
            raise LimitError(f"an image of {nbytes:,} bytes is larger than max_image_bytes allows")
        self.scratch.charge(nbytes, image_id)
        return np.zeros(shape, dtype)

    def place(self, image: Image, image_id: str) -> bool:
        """
        Put a loaded image into its slice, unless that holds a better one; say whether it did.

        Raises
        ------
        IntegrityError, PluginContractError
            If it is not what its metadata promised.
        """
        index, quality = self._index_of[image_id], int(image.quality)
        self._refuse_memory_of_another(index, image, image_id)
        if not self.qualities.claim(index, quality):
            self.scratch.free(image_id)
            return False
        plan = self._plan_for(index, image)
        # A view of the block may stay; anything else would keep its memory.
        in_place = image.pixels.base is self.block.array
        if not in_place:
            self.scratch.cover(image.nbytes, image_id)
        try:
            self.block.place(index, image.pixels, plan, image_id, image.stored_bounds)
        except pixels.FrameDoesNotFit:
            self._misfit(index, image)
            return False
        finally:
            self.scratch.free(image_id)
        self._alone[index] = self._dtype_alone(image)
        self._templates[index] = image if in_place else replace(image, pixels=_NO_PIXELS)
        self.qualities.reach(index, quality)
        return True

    def _refuse_memory_of_another(self, index: int, image: Image, image_id: str) -> None:
        """Refuse an image that its loader has put into the slice of another one, which is yet to come."""
        slices = self.block.slices
        if np.may_share_memory(image.pixels, slices) and not np.may_share_memory(image.pixels, slices[index]):
            others = range(len(slices))
            if any(
                self.quality[each] < FULL and np.may_share_memory(image.pixels, slices[each])
                for each in others
            ):
                raise PluginContractError(
                    "its pixels are in memory that was allocated for another image", source=image_id
                )

    def _misfit(self, index: int, image: Image) -> None:
        """Note that the block must be wider for an image; what filters made of it is no reason for that."""
        if image.quality >= FULL:
            self.misfits.add(index)
        elif not self.quality[index]:
            self.block.clear(index)
        self.qualities.free(index)

    def stand_in(self, index: int, target: int, quality: Quality) -> bool:
        """Copy an image into the slice of another one that has nothing as good; say whether it was."""
        slices = self.plan.slices
        if not 0 <= target < len(self.quality) or target // slices != index // slices:
            return False
        block = self.block
        return self.qualities.stand_in(target, quality, lambda: block.copy(index, target))

    def _dtype_alone(self, image: Image) -> np.dtype[Any]:
        """Return the dtype that an image has when it is loaded by itself."""
        kind = image.pixels.dtype, image.slope, image.intercept, image.bits_stored, image.scaled
        if kind not in self._known_alone:
            self._known_alone[kind] = plan_for(image, self.options).dtype
        return self._known_alone[kind]

    def adopt(self, index: int, image: Image, *, is_same: bool) -> bool:
        """
        Copy a finished image into its slice, if that gives what loading it would; say whether it did.

        `is_same` says whether it was loaded with the same options, so that its dtype is the one it has alone.
        """
        into = self.block.slices[index]
        fits = image.quality >= FULL and image.pixels.shape == into.shape
        if not fits or not holds_exactly(into.dtype, image.pixels):
            return False
        np.copyto(into, image.pixels, casting="unsafe")
        self._alone[index] = image.pixels.dtype if is_same else None
        self._templates[index] = replace(image, pixels=_NO_PIXELS)
        self.finish(index)
        return True

    def viewed(self, index: int, loader: LoaderInfo) -> Image | None:
        """Return a slice as an image if it is final and has the dtype that the image has alone."""
        view = self._views.get(index)
        if view is None and self.quality[index] == FULL and self._alone[index] == self.block.array.dtype:
            image = self.image(index, loader)
            if image.pixels.dtype == self._alone[index]:  # the block was not widened meanwhile
                view = self._views.setdefault(index, image)
        return view

    def finish_run(self, run: range) -> None:
        """Mark indices as final."""
        self.qualities.reach_full(run)

    def give_away(self) -> None:
        """Make all of it final as it is, and its memory the caller's to write to."""
        for index in range(self.plan.count):
            self.finish(index)
        self.callers = 1
        self.block.shown = self.block.array

    def finish(self, index: int) -> None:
        """Mark an index as final."""
        self.qualities.reach(index)

    def _plan_for(self, index: int, image: Image) -> pixels.ScalePlan:
        """Return how to scale the image: as planned, or anew where its metadata said something else."""
        plan = self.plan.scale_plan(index)
        if not self.options.scaled or (plan.stored, plan.slope, plan.intercept) == (
            image.pixels.dtype,
            image.slope,
            image.intercept,
        ):
            return plan
        return pixels.scale_plan(
            image.pixels.dtype,
            image.slope,
            image.intercept,
            bits_stored=image.bits_stored,
            dtype=self.block.array.dtype,
            colour=image.is_color,
        )

    def widen(self) -> None:
        """
        Make the block anew with a wider dtype, because a frame did not fit; what has arrived is converted.

        Raises
        ------
        CacheFullError
            If the budget cannot hold both blocks for a moment.
        """
        scaling = tuple(pixels.alike([pixels.widened(plan) for plan in self.plan.scaling]))
        wider = replace(self.plan, scaling=scaling, dtype=scaling[0].dtype)
        if self.reservation is not None:
            self.reservation.grow(self._in_memory(wider))
        block = Block(
            wider.shape,
            wider.slice_shape,
            wider.dtype,
            self.allocation,
            is_own=self.is_own,
            shear=self.plan.shear,
        )
        there = self.quality > 0
        block.slices[there] = self.block.slices[there]
        if self.reservation is not None:
            self.reservation.shrink(self._in_memory(self.plan))
        self.plan, self.block = wider, block
        self._templates = [each and replace(each, pixels=_NO_PIXELS) for each in self._templates]
        self.misfits.clear()
        self._views.clear()

    def _in_memory(self, plan: VolumePlan) -> int:
        return plan.nbytes if self.allocation == "ram" else 0

    @property
    def is_viewed(self) -> bool:
        """Whether somebody holds the array or a view of it."""
        self._views.clear()
        return sys.getrefcount(self.block.view) > _OWN_REFERENCES

    def image(self, index: int, loader: LoaderInfo) -> Image:
        """Return a slice as an image: a view."""
        plan = self.plan.scale_plan(index)
        template = self._templates[index] or Image(
            _NO_PIXELS,
            slope=plan.slope,
            intercept=plan.intercept,
            photometric_interpretation=_PHOTOMETRIC.get(self.plan.axes[-1], "MONOCHROME2"),
            bits_stored=self.chosen.header.bits_stored if isinstance(self.chosen, VoxelSource) else None,
            units=self.plan.units,
            voi_lut=self.plan.voi_lut,
            plane=self.plan.plane(index),
            header=self.plan.header,
        )
        return replace(
            template,
            pixels=self.block.view.reshape(-1, *self.plan.slice_shape)[index],
            image_id=self.plan.names[index] if self.plan.names else "",
            stored_bounds=None,  # of what the loader gave
            plane=self.plan.plane(index) if self.plan.shear else template.plane,
            scaled=self.options.scaled,
            quality=Quality(self.quality[index]) if self.quality[index] else Quality.FAR_REPLICATE,
            loader=loader,
        )

    def header(self, index: int) -> Any:  # noqa: ANN401 - whatever the loader reads
        """Return the header of a slice, or None."""
        template = self._templates[index]
        return template.header() if template is not None else self.plan.header()

    def failed(self, image_id: str) -> None:
        """Zero what a failed load of an image may have left."""
        index = self._index_of[image_id]
        self.scratch.free(image_id)
        if self.qualities.claim_empty(index):
            self.block.clear(index)
        self.qualities.free(index)

    def interpolate(self) -> tuple[int, ...]:
        """Make the images that lie between two others which are there; return their indices."""
        found = []
        for index, (before, behind) in self.plan.between.items():
            if self.quality[index] == FULL or self.quality[[before, behind]].min() != FULL:
                continue
            self.block.interpolate(index, before, behind)
            self.finish(index)
            found.append(index)
        return tuple(found)

    def restart(self) -> None:
        """Forget what has arrived: a block that is filled as a whole is filled anew."""
        self.qualities.restart()

    def clear_missing(self) -> None:
        """Zero the slices in which nothing has arrived."""
        for index in np.flatnonzero(self.quality == 0).tolist():
            self.block.clear(index)

    @property
    def awaited(self) -> list[int]:
        """The indices that are not final and can be loaded."""
        names = self.plan.image_ids
        return [index for index in self.missing if names[index]]

    @property
    def missing(self) -> list[int]:
        """The indices that are not final."""
        return [int(index) for index in np.flatnonzero(self.quality < Quality.FULL)]
