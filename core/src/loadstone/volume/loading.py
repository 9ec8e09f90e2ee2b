"""One load of one volume: found, described, reserved, filled, cached."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, cast

from loadstone.boundary import typed_error
from loadstone.context import Job, LoadContext
from loadstone.errors import LimitError, LoadstoneError, PluginContractError
from loadstone.events import LoadFinished, VolumeCached, VolumeEvicted, VolumeLoadFailed
from loadstone.hookspecs import ImageStack, VoxelSource
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import ImageMemory, answered
from loadstone.image_requests import is_image, load_modules
from loadstone.metadata import ImagePixel, Modules, ModuleSet, Scaling
from loadstone.pools import RequestType
from loadstone.settings import memory_limit
from loadstone.volume.assembly import Assembly
from loadstone.volume.describing import describe, the_only
from loadstone.volume.filling import fill_volume
from loadstone.volume.plan import VolumePlan, plan_of_source, plan_of_stack
from loadstone.volume.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from loadstone.hookspecs import ImageLoader, VolumeLoader
    from loadstone.ids import VolumeId
    from loadstone.image import Image, LoaderInfo
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.wish import VolumeWish

__all__ = ["VolumeLoading"]


class VolumeLoading:
    """One load of one volume."""

    def __init__(
        self, session: Session, load: SharedLoad[Volume], volume_id: VolumeId, wish: VolumeWish
    ) -> None:
        self.session = session
        self.load = load
        self.volume_id = volume_id
        self.wish = wish
        self.started = time.perf_counter()

    def run(self, described: ImageStack | VoxelSource | None) -> Volume:
        """Load it and tell everybody how it ended."""
        try:
            volume = self._loaded(described)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it becomes a typed error
            typed = typed_error(error, self.volume_id)
            self.session.events.emit(VolumeLoadFailed(self.volume_id, typed))
            self._finished(0, typed)
            raise typed from typed.__cause__
        self._finished(volume.nbytes, None)
        return volume

    def _finished(self, nbytes: int, error: LoadstoneError | None) -> None:
        seconds = time.perf_counter() - self.started
        self.session.registry.load_finished(LoadFinished(self.volume_id, seconds, nbytes, error))

    def _loaded(self, described: ImageStack | VoxelSource | None) -> Volume:
        found, info, context = describe(self.session, self.load, self.volume_id, self.wish, described)
        try:
            chosen = the_only(found, self.volume_id)
            key = self.wish.key(chosen.volume_id)
            if self.wish.cache and (known := self.session.cache.get(key)) is not None:
                self._alias(key)
                return cast("Volume", known)
            return self._filled(chosen, info, context, key)
        finally:
            context.close()

    def _alias(self, key: Hashable) -> None:
        """Remember that the id that was asked for names the volume of `key`."""
        self.session.volume_names[self.wish.key(self.volume_id)] = key

    def _filled(
        self, chosen: ImageStack | VoxelSource, info: LoaderInfo, context: LoadContext, key: Hashable
    ) -> Volume:
        plan, images = self._planned(chosen, context)
        _refuse_beyond_memory(plan)
        names = frozenset(plan.image_ids)
        reservation = None
        if self.wish.cache:
            reservation = self.session.cache.reserve(plan.nbytes, last=lambda key: is_image(key, names))
        try:
            assembly = Assembly(
                self.session, plan, self.wish.options, chosen=chosen, key=key, reservation=reservation
            )
            volume = Volume(assembly, info)
            self.load.offer(volume)
            for image_id, image in images.items():
                assembly.place(image, image_id)
            images.clear()
            fill_volume(volume, self.load, context, collect=self.wish.collect)
            assembly.files = context.files
            self._keep(volume, key)
        finally:
            if reservation is not None:
                reservation.release()
        return volume

    def _keep(self, volume: Volume, key: Hashable) -> None:
        reservation = volume._assembly.reservation
        if reservation is None or volume.missing:
            return
        session = self.session
        reservation.commit(
            key,
            volume,
            files=volume._assembly.files,
            pins=1 if self.wish.pinned else 0,
            dropped=lambda: session.events.emit(VolumeEvicted(volume)),
        )
        self._alias(key)
        session.events.emit(VolumeCached(volume))

    def _planned(
        self, chosen: ImageStack | VoxelSource, context: LoadContext
    ) -> tuple[VolumePlan, dict[ImageId, Image]]:
        """Return what the volume will be, and the images that had to be loaded to find out."""
        if isinstance(chosen, ImageStack) and not chosen.image_ids:
            raise PluginContractError("the loader found a volume without images", source=self.volume_id)
        self._refuse_unknown_options(chosen)
        if isinstance(chosen, VoxelSource):
            return plan_of_source(chosen, self.wish.options), {}
        ids = [ImageId(each) for each in chosen.image_ids]
        images: dict[ImageId, Image] = {}
        if self.session.registry.image_loader(ids[0].scheme).record.metadata is None:
            images = self._images(ids, context)
            modules: Sequence[Modules] = [_modules_of(images[each]) for each in ids]
        else:
            modules = load_modules(self.session, ids, context)
        modules = self.session.metadata.overriding(ids, modules)
        return plan_of_stack(chosen, modules, self.wish.options, self.wish.policy), images

    def _refuse_unknown_options(self, chosen: ImageStack | VoxelSource) -> None:
        registry = self.session.registry
        record: VolumeLoader | ImageLoader
        if isinstance(chosen, VoxelSource):
            record = registry.volume_loader(self.volume_id.scheme).record
        else:
            record = registry.image_loader(ImageId(chosen.image_ids[0]).scheme).record
        self.wish.options.refuse_unknown(record.values, record.options, self.volume_id)

    def _images(self, ids: Sequence[ImageId], context: LoadContext) -> dict[ImageId, Image]:
        """Load all images with stored values, because their loader says nothing without pixels."""
        record = self.session.registry.image_loader(ids[0].scheme).record

        def load(image_id: ImageId) -> Image:
            memory = ImageMemory(self.session.cache if self.wish.cache else None, self.session.settings)
            mine = context.for_memory(memory)
            try:
                return answered(record.load(image_id, mine), mine, self.load, lambda _: None)
            finally:
                memory.release()

        jobs = [
            Job(
                self.session,
                self.load,
                partial(load, image_id),
                type=RequestType.PREFETCH,
                priority=0,
                lane=lane_of(image_id),
            )
            for image_id in ids
        ]
        return {image_id: job.result() for image_id, job in zip(ids, jobs, strict=True)}


def _modules_of(image: Image) -> Modules:
    samples = image.pixels.shape[2] if image.is_color else 1
    return ModuleSet(
        image.plane,
        ImagePixel(
            image.rows,
            image.columns,
            image.pixels.dtype,
            samples,
            image.photometric_interpretation,
            image.bits_stored,
            image.pixel_padding,
        ),
        Scaling(image.slope, image.intercept, image.units),
        image.voi_lut,
    )


def _refuse_beyond_memory(plan: VolumePlan) -> None:
    limit = memory_limit()
    if plan.nbytes > limit:
        raise LimitError(
            f"the volume needs {plan.nbytes:,} bytes, this machine has {limit:,}", source=plan.volume_id
        )
