"""The way of a request for an image: cache, a load that is already running, or a new one in the queue."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from loadstone.boundary import typed_error
from loadstone.context import LoadContext
from loadstone.errors import CacheFullError, LoadstoneError, PluginContractError
from loadstone.events import (
    ImageCached,
    ImageEvicted,
    ImageLoaded,
    ImageLoadFailed,
    LoadFinished,
    LoadStarted,
)
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import ImageMemory, answered, checked_image, finished_image
from loadstone.load_object import LoadObject
from loadstone.metadata import Modules, ModuleSet
from loadstone.retrieve.one_image import load_by_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from loadstone._plugins import ImageRegistration
    from loadstone.image import Image
    from loadstone.options import LoadOptions
    from loadstone.pools import RequestType
    from loadstone.retrieve import RetrieveConfiguration
    from loadstone.retrieve.registry import RetrieveWish
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad

__all__ = ["ImageKey", "ImageRequest", "image_key", "load_modules", "request_image"]


ImageKey: TypeAlias = "tuple[str, object, str, LoadOptions]"
"""What requests that give the same pixels have in common: ``"image"``, whose it is, its name, the options."""


class ImageRequest(TypedDict):
    """What a request for an image comes down to."""

    options: LoadOptions
    """What changes pixels."""
    type: RequestType
    """What it is for."""
    priority: int
    """Within its type."""
    cache: bool
    """Whether the session keeps the image."""
    reload: bool
    """Whether it is loaded anew."""
    retrieve: RetrieveWish
    """By which stages."""


def image_key(image_id: ImageId, registration: ImageRegistration, options: LoadOptions) -> ImageKey:
    """Return what two loads have in common that give the same pixels."""
    record = registration.record
    if record.canonical is None:
        return "image", record.load, str(image_id), options
    try:
        name = record.canonical(image_id)
    except LoadstoneError:
        raise
    except (Exception, SystemExit) as error:  # it runs on the caller's thread, whom Ctrl-C is for
        raise typed_error(error, image_id) from error
    if not isinstance(name, str):  # with one name for all ids, one image would be handed out for another
        raise PluginContractError(f"canonical() gave {type(name).__name__}, not an id", source=image_id)
    return "image", registration.info, name, options


def request_image(
    session: Session,
    image_id: ImageId,
    options: LoadOptions,
    *,
    type: RequestType,
    priority: int,
    cache: bool,
    reload: bool,
    retrieve: RetrieveWish = None,
) -> LoadObject[Image]:
    """Return a handle on an image."""
    registration = session.registry.image_loader(image_id.scheme)
    options.refuse_unknown(registration.record.values, registration.record.options, image_id)
    key = image_key(image_id, registration, options)
    if reload:
        session.cache.remove(key)
    elif (image := session.cache.get(key, session.views.find)) is not None:
        return LoadObject.ready(image_id, image)
    stages = session.retrieve.chosen(retrieve, image_id)

    def work(load: SharedLoad[Image]) -> Image:
        memory = ImageMemory(session.cache if cache else None, session.settings)
        context = LoadContext(session, load, options, memory, anew=reload, charged=cache)
        return _load_image(
            image_id, registration, context, memory, load=load, key=key if cache else None, stages=stages
        )

    return session.desk.join_or_start(
        key if cache else (key, "uncached"),
        image_id,
        work,
        type=type,
        priority=priority,
        lane=lane_of(image_id),
        find=lambda: session.cache.peek(key),
        anew=reload,
    )


def _load_image(
    image_id: ImageId,
    registration: ImageRegistration,
    context: LoadContext,
    memory: ImageMemory,
    *,
    load: SharedLoad[Image],
    key: Hashable | None,
    stages: RetrieveConfiguration | None,
) -> Image:
    """Run the loader, finish its image, cache it, tell everybody."""
    started = time.perf_counter()
    session = context.session
    session.events.emit(LoadStarted(image_id))

    def finished(answer: Image, into: ImageMemory) -> Image:
        seconds = time.perf_counter() - started
        return finished_image(
            answer, image_id, context.options, into, loader=registration.info, seconds=seconds
        )

    partials = _Partials(load, memory, finished)

    def loaded(context: LoadContext) -> Image:
        answer = answered(registration.record.load(image_id, context), context, load, partials.offer)
        return checked_image(answer, image_id)

    try:
        # No name for the loader's answer: what it holds is free as soon as the image is finished.
        image = finished(
            loaded(context)
            if stages is None
            else load_by_stages(stages, image_id, context, loaded, partials.offer),
            memory,
        )
        load.token.raise_if_cancelled()
        _keep(load, key, image, memory, context)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it becomes a typed error
        memory.release()
        context.distrust(error)
        typed = typed_error(error, image_id)
        session.events.emit(ImageLoadFailed(image_id, typed))
        session.load_finished(LoadFinished(image_id, time.perf_counter() - started, 0, typed))
        raise typed from typed.__cause__
    finally:
        partials.release()
        context.close()
    load.report(replace(load.progress, done=1))
    session.events.emit(ImageLoaded(image))
    session.load_finished(LoadFinished(image_id, image.timings.total, image.nbytes, None))
    return image


class _Partials:
    """The images of lower quality of a load: the last one is charged to the budget as long as it is shown."""

    __slots__ = ("_finished", "_load", "_memory", "_shown")

    def __init__(
        self, load: SharedLoad[Image], memory: ImageMemory, finished: Callable[[Image, ImageMemory], Image]
    ) -> None:
        self._load = load
        self._memory = memory
        self._finished = finished
        self._shown: ImageMemory | None = None

    def offer(self, partial: Image) -> None:
        """Show an image to everybody, unless the budget has no room for it: a better one follows."""
        memory = self._memory.another()
        try:
            image = self._finished(partial, memory)
            memory.settle(image.nbytes)
            self._load.offer(image)
        except CacheFullError:
            memory.release()
            return
        except BaseException:
            memory.release()
            raise
        self.release()
        self._shown = memory

    def release(self) -> None:
        """Give back the bytes of what is shown."""
        if self._shown is not None:
            self._shown.release()
            self._shown = None


def _keep(
    load: SharedLoad[Image], key: Hashable | None, image: Image, memory: ImageMemory, context: LoadContext
) -> None:
    session = context.session
    reservation = memory.settle(image.nbytes)
    if key is None or reservation is None:
        return

    def dropped() -> None:
        context.evicted()
        session.events.emit(ImageEvicted(image))

    if reservation.commit(key, image, files=context.files, dropped=dropped, wanted=load.linked):
        session.events.emit(ImageCached(image))


def load_modules(session: Session, image_ids: Sequence[ImageId], context: LoadContext) -> Sequence[Modules]:
    """
    Ask the loader of some images, all of one scheme, what it knows about them.

    Raises
    ------
    LoadstoneError
        If it cannot be had, or does not cover every id.
    """
    metadata = session.registry.image_loader(image_ids[0].scheme).record.metadata
    if metadata is None:
        return [ModuleSet() for _ in image_ids]
    try:
        given: Any = metadata(image_ids, context)
    except LoadstoneError:
        raise
    except Exception as error:
        raise typed_error(error, image_ids[0]) from error
    try:
        modules = [given[image_id] for image_id in image_ids]
    except (KeyError, TypeError) as error:
        raise PluginContractError("metadata() does not cover every id", source=image_ids[0]) from error
    if not all(callable(getattr(each, "get", None)) for each in modules):
        raise PluginContractError("metadata() gave something that is no modules", source=image_ids[0])
    return modules
