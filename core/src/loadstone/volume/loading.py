"""One load of one volume: found, described, reserved, filled, cached."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from loadstone.boundary import typed_error
from loadstone.context import LoadContext
from loadstone.errors import CacheFullError, InvalidIdError, LimitError, LoadstoneError, PluginContractError
from loadstone.events import LoadFinished, LoadStarted, VolumeCached, VolumeEvicted, VolumeLoadFailed
from loadstone.hookspecs import ImageStack, VoxelSource
from loadstone.ids import ImageId
from loadstone.image_requests import load_modules
from loadstone.metadata import ImagePixel, TransferSyntax
from loadstone.settings import memory_limit
from loadstone.volume.adoption import absorb, adopt, own_images
from loadstone.volume.assembly import Assembly
from loadstone.volume.describing import NoMemory, describe, the_only
from loadstone.volume.filling import fill_volume
from loadstone.volume.plan import VolumePlan, plan_of_source
from loadstone.volume.stack_plan import plan_of_stack
from loadstone.volume.unannounced import UnannouncedImages
from loadstone.volume.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from loadstone.cache import Reservation
    from loadstone.hookspecs import ImageLoader, VolumeLoader
    from loadstone.ids import VolumeId
    from loadstone.image import LoaderInfo
    from loadstone.metadata import Modules
    from loadstone.retrieve import RetrieveConfiguration
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.wish import VolumeWish

__all__ = ["VolumeLoading"]


class VolumeLoading:
    """One load of one volume."""

    def __init__(
        self,
        session: Session,
        load: SharedLoad[Volume],
        volume_id: VolumeId,
        wish: VolumeWish,
        *,
        anew: bool = False,
    ) -> None:
        self.session = session
        self.load = load
        self.volume_id = volume_id
        self.wish = wish
        self.anew = anew
        self.asked = wish.key(volume_id)
        self.started = time.perf_counter()

    def run(self, described: ImageStack | VoxelSource | None) -> Volume:
        """Load it and tell everybody how it ended."""
        self.session.events.emit(LoadStarted(self.volume_id))
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
        self.session.load_finished(LoadFinished(self.volume_id, seconds, nbytes, error))

    def _loaded(self, described: ImageStack | VoxelSource | None) -> Volume:
        with LoadContext(
            self.session,
            self.load,
            self.wish.options,
            NoMemory(),
            anew=self.anew,
            charged=self.wish.cache,
        ) as context:
            found, info = describe(context, self.volume_id, self.wish, described)
            chosen = the_only(found, self.volume_id)
            key = self.wish.key(chosen.volume_id)
            return self._known(key) or self._filled(chosen, info, context, key)

    def _known(self, key: Hashable) -> Volume | None:
        """Return the volume if the session keeps it under its own id."""
        if key == self.asked or not self.wish.cache:
            return None
        known: Volume | None = self.session.cache.get(key)
        if known is not None:
            known._assembly.callers += self.load.callers
            self._alias(key)
            for _ in range(self.session.cache.promises(self.asked)):
                self.session.cache.pin(key, known)
        return known

    def _alias(self, key: Hashable) -> None:
        """Remember that the id that was asked for names the volume of `key`."""
        if key != self.asked:
            self.session.volume_names[self.asked] = key

    def _filled(
        self, chosen: ImageStack | VoxelSource, info: LoaderInfo, context: LoadContext, key: Hashable
    ) -> Volume:
        images = UnannouncedImages(self.load, context, charged=self.wish.cache, anew=self.anew)
        try:
            plan = self._planned(chosen, context, images)
            return self._assembled(plan, images, chosen, info, context=context, key=key)
        finally:
            images.release()

    def _assembled(
        self,
        plan: VolumePlan,
        images: UnannouncedImages,
        chosen: ImageStack | VoxelSource,
        info: LoaderInfo,
        *,
        context: LoadContext,
        key: Hashable,
    ) -> Volume:
        in_memory = plan.nbytes if self.wish.allocate == "ram" else 0
        _refuse_beyond_memory(plan, in_memory)
        reservation = None
        if self.wish.cache:
            reservation = self._reserved(in_memory, plan, images)
        try:
            assembly = Assembly(
                self.session,
                plan,
                self.wish.options,
                chosen=chosen,
                key=key,
                reservation=reservation,
                allocation=self.wish.allocate,
                is_own=self.wish.writable,
            )
            volume = Volume(assembly, info)
            with assembly.filled_by(self.load):
                self.load.offer(volume)
                self._fill(volume, images, context)
            assembly.files = context.files
            self._keep(volume, key)
            assembly.callers += self.load.callers
        finally:
            if reservation is not None:
                reservation.release()
        return volume

    def _reserved(self, nbytes: int, plan: VolumePlan, images: UnannouncedImages) -> Reservation:
        """Reserve the block; without room beside images that were loaded first, these are loaded again."""
        cache = self.session.cache
        own = own_images(self.session, plan.names, self.wish.options)
        try:
            return cache.reserve(nbytes, last=own)
        except CacheFullError:
            if not images.let_go():
                raise
        return cache.reserve(nbytes, last=own)

    def _fill(self, volume: Volume, images: UnannouncedImages, context: LoadContext) -> None:
        """Fill the volume, and show its images as soon as they are final."""
        views = self.session.views
        volume._assembly.files = context.files
        adopted = () if self.anew else adopt(volume)
        if self.wish.cache:
            views.add(volume)
        try:
            fill_volume(
                volume,
                self.load,
                context,
                collect=self.wish.collect,
                ready=images.taken(),
                adopted=adopted,
                stages=self._stages(volume),
            )
        except BaseException:
            views.remove(volume)
            raise

    def _stages(self, volume: Volume) -> RetrieveConfiguration | None:
        """Return by which stages the volume is loaded."""
        syntax = volume.metadata.get(TransferSyntax)
        keys = (self.volume_id, volume.volume_id, syntax.transfer_syntax_uid if syntax else "")
        return self.session.retrieve.of_volume(self.wish.retrieve, *keys)

    def _keep(self, volume: Volume, key: Hashable) -> None:
        reservation = volume._assembly.reservation
        if reservation is None or volume.missing:
            self.session.views.remove(volume)
            return
        session, asked = self.session, self.asked

        def dropped() -> None:
            session.volume_names.pop(asked, None)
            session.views.remove(volume)
            session.events.emit(VolumeEvicted(volume))

        self._alias(key)
        kept = reservation.commit(
            key,
            volume,
            files=volume._assembly.files,
            dropped=dropped,
            pins=session.cache.promises(asked) if key != asked else 0,
            loose=self.wish.allocate == "file",  # it takes nothing of the budget, so that nothing evicts it
            wanted=self.load.linked,
        )
        if kept:
            absorb(volume)
            session.events.emit(VolumeCached(volume))
        else:
            session.views.remove(volume)

    def _planned(
        self, chosen: ImageStack | VoxelSource, context: LoadContext, images: UnannouncedImages
    ) -> VolumePlan:
        """Return what the volume will be; loads its images where there is no other way to find out."""
        if isinstance(chosen, ImageStack) and not chosen.image_ids:
            raise PluginContractError("the loader found a volume without images", source=self.volume_id)
        self._refuse_unknown_options(chosen)
        if isinstance(chosen, VoxelSource):
            return plan_of_source(chosen, self.wish.options)
        ids = [ImageId(each) for each in chosen.image_ids]
        if len({each.scheme for each in ids}) > 1:
            raise InvalidIdError("its images have several schemes", source=self.volume_id)
        modules: Sequence[Modules]
        record = self.session.registry.image_loader(ids[0].scheme).record
        if record.metadata is None or not self.wish.prefetch_metadata:
            modules = images.modules(ids)
        else:
            modules = _with_sizes(ids, load_modules(self.session, ids, context), images)
        modules = self.session.metadata.overriding(ids, modules)
        # The ids with what was parsed of them: each is needed again for its pixels.
        return plan_of_stack(
            replace(chosen, image_ids=tuple(ids)), modules, self.wish.options, self.wish.policy
        )

    def _refuse_unknown_options(self, chosen: ImageStack | VoxelSource) -> None:
        registry = self.session.registry
        record: VolumeLoader | ImageLoader
        if isinstance(chosen, VoxelSource):
            record = registry.volume_loader(self.volume_id.scheme).record
        else:
            record = registry.image_loader(ImageId(chosen.image_ids[0]).scheme).record
        self.wish.options.refuse_unknown(record.values, record.options, self.volume_id)


def _with_sizes(
    ids: Sequence[ImageId], modules: Sequence[Modules], images: UnannouncedImages
) -> Sequence[Modules]:
    """Load those images of which the metadata does not even tell the size, such as pictures on a server."""
    unknown = [each for each, module in zip(ids, modules, strict=True) if module.get(ImagePixel) is None]
    if not unknown:
        return modules
    found = dict(zip(unknown, images.modules(unknown), strict=True))
    return [found.get(each, module) for each, module in zip(ids, modules, strict=True)]


def _refuse_beyond_memory(plan: VolumePlan, nbytes: int) -> None:
    limit = memory_limit()
    if nbytes > limit:
        raise LimitError(
            f"the volume needs {nbytes:,} bytes, this machine has {limit:,}",
            source=plan.volume_id,
            hint="Load it with allocate='file'.",
        )
