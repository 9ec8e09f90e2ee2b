"""A session: one memory budget, one set of threads, one door to the network, and all that is loaded."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack

from loadstone import local
from loadstone._plugins import PluginPolicy, Registry, default_registry
from loadstone.cache import Cache
from loadstone.errors import LoadCycleError, LoadstoneError
from loadstone.events import Event, Events, LoadFinished, Subscription
from loadstone.header_requests import request_described, request_modules, request_scan
from loadstone.ids import FILES, ImageId, VolumeId, scheme_of
from loadstone.image import Image
from loadstone.image_requests import ImageKey, image_key, request_image
from loadstone.keywords import to_image_request, to_volume_request
from loadstone.load_object import LoadObject, Progress
from loadstone.loop_thread import LoopThread
from loadstone.metadata.store import MetadataStore
from loadstone.permits import Permits
from loadstone.pools import RequestPool, RequestType
from loadstone.progress import progress_callback
from loadstone.retrieve import RetrieveRegistry
from loadstone.settings import Settings
from loadstone.shared_load import LoadDesk
from loadstone.sources import Sources
from loadstone.stash import Stash
from loadstone.transport import Transport
from loadstone.volume import Volume
from loadstone.volume.leaving import release
from loadstone.volume.views import SliceViews
from loadstone.volume.wish import VolumeWish
from loadstone.volume_requests import complete_volume, request_volume
from loadstone.waiting import current_load, current_order

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt

    from loadstone.hookspecs import ImageStack, VoxelSource
    from loadstone.keywords import ImageKeywords, VolumeKeywords
    from loadstone.metadata import Modules
    from loadstone.options import LoadOptions
    from loadstone.scanning import SeriesTable
    from loadstone.transport import Auth
    from loadstone.volume.memory import Allocation

__all__ = ["Session", "sessions"]

T = TypeVar("T")
E = TypeVar("E", bound=Event)
Source = str | os.PathLike[str]
ProgressWish = Callable[[Progress], object] | bool | None
_FETCHING: Final = (RequestType.INTERACTION, RequestType.THUMBNAIL, RequestType.PREFETCH)
CLOSE_SECONDS = 1.5
"""How long closing waits for threads: a loader that hangs is left behind, on a daemon thread."""


class Session:
    """
    Loads images and volumes, and keeps them in one memory budget.

    Use it as a context manager: closing cancels what runs and frees memory, threads and sockets; arrays that
    were handed out stay valid. The functions of the package use a default session.

    Parameters
    ----------
    settings
        Budget, limits, deadlines; default: from the environment.
    auth
        Credentials by origin, ``{"https://pacs.example.org": BearerAuth(token)}``; sent nowhere else.
    plugins
        Which installed plugins may be used; default: those of the process.
    **overrides
        Single settings, for example ``cache_bytes=2**30``.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        auth: Mapping[str, Auth] | None = None,
        plugins: PluginPolicy | None = None,
        **overrides: Any,  # noqa: ANN401 - fields of Settings
    ) -> None:
        self.settings = _settings(settings, overrides)
        self.registry = default_registry().child() if plugins is None else Registry(policy=plugins)
        self.events = Events()
        self.stash = Stash()
        self.cache = Cache(self.settings.cache_bytes)
        self.sources = Sources(self.cache, self.events)
        self.retrieve = RetrieveRegistry(self.settings)
        self.volume_names: dict[Hashable, Hashable] = {}
        self.views = SliceViews(self.cache, self._image_key)
        self.permits = Permits(self._permits_of)
        self.loop = LoopThread()
        self.pool = RequestPool(
            self._pool_limits(),
            idle_seconds=self.settings.idle_seconds,
            of_lanes={(kind, FILES): self.settings.file_permits for kind in _FETCHING},
        )
        self.desk = LoadDesk(self, self.pool, self._refuse_wait)
        self.metadata = MetadataStore(
            self._load_modules, self.registry.metadata_providers, self.registry.to_id
        )
        self.transport = Transport(
            self.settings, auth=auth, prepare=self.registry.prepare_request, permit=self._host_permit
        )
        self._closed = self._inherited = False
        sessions.add(self)

    def _refuse_wait(self, identity: str) -> None:
        """Raise where a wait might never end: on the loop's thread, and while a plugin is imported."""
        self.loop.refuse_wait(identity)
        if self.registry.is_activating():
            raise LoadCycleError(
                "a plugin waits for a load while it is imported, and the load may wait for the plugin",
                source=identity,
                hint="Load when the plugin is used, not in its module.",
            )

    def _pool_limits(self) -> dict[RequestType, int]:
        limits = dict.fromkeys(RequestType, self.settings.host_permits)
        limits[RequestType.COMPUTE] = self.settings.compute_permits
        return limits

    def _permits_of(self, key: Hashable) -> int:
        if isinstance(key, tuple):
            return self.pool.limit(key[1])
        return self.pool.limit(RequestType.COMPUTE) if key == "compute" else self.settings.file_permits

    def set_limit(self, type: RequestType, limit: int) -> None:
        """
        Change how many requests of a type run at a time, for each host and for files, or how many decodes.

        Parameters
        ----------
        type
            Which; COMPUTE for decodes.
        limit
            Raised, waiting ones start at once; lowered, running ones finish.
        """
        self.pool.set_limit(type, limit)
        self.permits.update()

    @contextmanager
    def _host_permit(self, host: str) -> Iterator[None]:
        load, order = current_load(), current_order()
        with self.permits.hold((host, order[0]), order, load.token if load is not None else None):
            yield

    # Images

    def request_image(self, source: Source, **keywords: Unpack[ImageKeywords]) -> LoadObject[Image]:
        """
        Ask for an image and return at once.

        Parameters
        ----------
        source
            An image id, a path, a plain URL.
        **keywords
            See `loadstone.keywords.ImageKeywords`.

        Returns
        -------
        LoadObject
            Settles with the `Image`, or the error that `load_image` raises.

        Raises
        ------
        UnknownSchemeError, SchemeConflictError, PluginLoadError, PluginContractError, InvalidIdError
            If it is not clear who is to load it.
        UnsupportedError
            If its loader does not know the ``values`` or ``options``.
        """
        self._prepare()
        known = _plugin_id(source) if isinstance(source, str) else None
        image_id = known or ImageId(self.registry.to_id(source))
        return request_image(self, image_id, **to_image_request(**keywords))

    def load_image(
        self, source: Source, *, progress: ProgressWish = None, **keywords: Unpack[ImageKeywords]
    ) -> Image:
        """
        Load an image and wait for it.

        Parameters
        ----------
        source
            An image id, a path, a plain URL.
        progress
            A callable that gets `Progress` on this thread, or True to show a bar.
        **keywords
            See `loadstone.keywords.ImageKeywords`.

        Returns
        -------
        Image
            Modality values or RGB, unless asked otherwise.

        Raises
        ------
        LoadstoneError
            See `loadstone.errors` for the kinds.
        """
        return _awaited(self.request_image(source, **keywords), progress)

    def _image_key(self, image_id: ImageId, options: LoadOptions) -> ImageKey:
        return image_key(image_id, self.registry.image_loader(image_id.scheme), options)

    def cached_image(self, image_id: ImageId, options: LoadOptions) -> Image | None:
        """Return an image if it is cached, or a volume holds it; nothing is loaded."""
        image: Image | None = self.cache.get(self._image_key(image_id, options), self.views.find)
        return image

    # Volumes

    def request_volume(self, source: Source, **keywords: Unpack[VolumeKeywords]) -> LoadObject[Volume]:
        """
        Ask for a volume and return at once; its first partial result is the volume while it is still empty.

        Parameters
        ----------
        source
            A volume id, a path of a file or folder, a plain URL; any name when ``image_ids`` are given.
        **keywords
            See `loadstone.keywords.VolumeKeywords`.

        Returns
        -------
        LoadObject
            Settles with the `Volume`, or the error that `load_volume` raises.
        """
        self._prepare()
        request = to_volume_request(**keywords)
        return request_volume(self, self._volume_id(source, request["wish"]), **request)

    def _volume_id(self, source: Source, wish: VolumeWish) -> VolumeId:
        if wish.image_ids is None:
            return VolumeId(self.registry.to_id(source))
        name = os.fspath(source)
        return VolumeId(name if scheme_of(name) else f"streaming:{name}")

    def load_volume(
        self, source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
    ) -> Volume:
        """
        Load the volume that is there and wait for it.

        Parameters
        ----------
        source
            A volume id, a path of a file or folder, a plain URL; any name when ``image_ids`` are given.
        progress
            A callable that gets `Progress` on this thread, or True to show a bar.
        **keywords
            See `loadstone.keywords.VolumeKeywords`.

        Raises
        ------
        InvalidIdError
            If there are several volumes; the message lists their ids.
        GeometryError
            If the images do not form one.
        LoadstoneError
            If an image could not be loaded; the error carries ``.volume`` and ``.missing``.
        """
        return _awaited(self.request_volume(source, **keywords), progress)

    def create_volume(
        self, source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
    ) -> Volume:
        """Load a volume that stays in memory until `release`; otherwise like `load_volume`."""
        return self.load_volume(source, progress=progress, **(keywords | {"pinned": True}))

    def release(self, what: Volume | Image, *, keep_images: bool = False) -> None:
        """
        Let go of a volume, or of an image that was made here.

        Parameters
        ----------
        what
            The cache drops it when it was released as often as `create_volume` and the like gave it.
        keep_images
            Whether the images of a volume are kept one by one then, as many as fit beside it without evicting
            anything.

        Raises
        ------
        TypeError
            If it is neither, an id for example.
        """
        if isinstance(what, Image):
            local.release_image(self, what)
        elif isinstance(what, Volume):
            release(what, keep_images=keep_images)
        else:
            raise TypeError(f"release takes the Volume or Image itself, not a {type(what).__name__}")

    # Made here

    def create_local_volume(
        self,
        array: npt.ArrayLike,
        volume_id: str | None = None,
        *,
        affine: npt.NDArray[np.float64] | None = None,
        spacing: tuple[float | None, float | None, float | None] = (None, None, None),
        axes: Sequence[str] | None = None,
        units: str = "",
        allocate: Allocation = "ram",
    ) -> Volume:
        """
        Make a volume of an array, which is copied; it counts in the budget, and stays until it is released.

        Parameters
        ----------
        array
            Voxels in their final values.
        volume_id
            ``local:`` and a name; default: one that nobody has.
        affine
            4 x 4, LPS, mm: columns are the steps of i, j, k and the centre of voxel (0, 0, 0); None: unknown.
        spacing
            Of i, j, k in mm, for when the affine is unknown.
        axes
            A name for each axis of the array; default ``("k", "j", "i")`` or ``("t", "k", "j", "i")``.
        units
            Of the voxels.
        allocate
            Where its voxels are; see `loadstone.keywords.VolumeKeywords`.

        Returns
        -------
        Volume
            Its `array` may be written to. Its images are ``local:<name>?frame=<index>``, from 0.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        LoadstoneError
            If the name is taken or none, or the axes do not fit the array.
        """
        self._refuse_if_closed()
        return local.local_volume(
            self, array, volume_id, affine=affine, spacing=spacing, axes=axes, units=units, allocate=allocate
        )

    def create_derived_volume(
        self, volume: Volume, *, dtype: npt.DTypeLike | None = None, volume_id: str | None = None
    ) -> Volume:
        """Make a volume of zeros where another one lies; otherwise as `create_local_volume`."""
        self._refuse_if_closed()
        return local.derived_volume(self, volume, dtype, volume_id)

    def create_labelmap_volume(self, volume: Volume, *, volume_id: str | None = None) -> Volume:
        """Make a volume of labels, uint8, where another one lies; 0 means none."""
        self._refuse_if_closed()
        return local.derived_volume(self, volume, local.LABELS, volume_id)

    def create_local_image(self, image: Image | npt.ArrayLike, image_id: str | None = None) -> Image:
        """
        Make an image, whose pixels are copied; it counts in the budget, and stays until it is released.

        Parameters
        ----------
        image
            Pixels in their final values, or an `Image` with what is known about them, which is scaled as that
            of a loader.
        image_id
            ``local:`` and a name; default: one that nobody has.

        Returns
        -------
        Image
            Its pixels may be written to.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        LoadstoneError
            If the name is taken or none, or the pixels are no image.
        """
        self._refuse_if_closed()
        return local.local_image(self, image, image_id)

    def create_derived_image(
        self, image: Image, *, dtype: npt.DTypeLike | None = None, image_id: str | None = None
    ) -> Image:
        """Make an image of zeros, one sample a pixel, where another one lies; as `create_local_image`."""
        self._refuse_if_closed()
        return local.derived_image(self, image, dtype, image_id)

    def create_labelmap_image(self, image: Image, *, image_id: str | None = None) -> Image:
        """Make an image of labels, uint8, where another one lies; 0 means none."""
        self._refuse_if_closed()
        return local.derived_image(self, image, local.LABELS, image_id)

    def load_volumes(
        self, source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
    ) -> list[Volume]:
        """Load all volumes that are there, one after the other; see `load_volume`."""
        request = to_volume_request(**keywords)
        return [
            _awaited(request_volume(self, VolumeId(each.volume_id), described=each, **request), progress)
            for each in self.described(source, request["wish"])
        ]

    def volume_ids(self, source: Source) -> list[str]:
        """Return the id of each volume that is there."""
        return [each.volume_id for each in self.described(source, VolumeWish())]

    def image_ids(self, source: Source) -> list[str]:
        """Return the ids of the images of all volumes that are there, in the order of the loader."""
        return [image_id for each in self.described(source, VolumeWish()) for image_id in each.image_ids]

    def scan(self, source: Source) -> SeriesTable:
        """
        Return a row for each volume that is there, from headers only.

        Parameters
        ----------
        source
            A folder, a DICOMDIR, a file; the id of a study or series; any id that `volume_ids` takes.

        Returns
        -------
        SeriesTable
            Also of volumes that cannot be loaded as they are: the row says why.

        Raises
        ------
        LoadstoneError
            If there is nothing, or it cannot be read.
        """
        return _awaited(request_scan(self, self._place(source)), None)

    def complete_volume(self, volume: Volume, progress: ProgressWish = None) -> Volume:
        """Load what a volume lacks; see `Volume.load`."""
        self._refuse_if_closed()
        return _awaited(complete_volume(self, volume, type=RequestType.INTERACTION, priority=0), progress)

    def described(self, source: Source, wish: VolumeWish) -> Sequence[ImageStack | VoxelSource]:
        """Return what the loader says about each volume that is there; nothing is decoded."""
        return _awaited(request_described(self, self._place(source), wish), None)

    def _place(self, source: Source) -> VolumeId:
        self._prepare()
        return VolumeId(self.registry.to_id(source))

    def _load_modules(self, image_ids: Sequence[ImageId]) -> Sequence[Modules]:
        self._refuse_if_closed()
        return _awaited(request_modules(self, image_ids), None)

    def to_id(self, source: Source) -> str:
        """Return the id that a path or plain URL stands for; see `loadstone.to_id`."""
        return self.registry.to_id(source)

    def subscribe(self, kind: type[E], callback: Callable[[E], object]) -> Subscription:
        """Call `callback` with every event of that type; see `loadstone.events`."""
        return self.events.subscribe(kind, callback)

    def load_finished(self, event: LoadFinished) -> None:
        """Tell subscribers and plugins that a load ended."""
        self.events.emit(event)
        self.registry.load_finished(event)

    # Life

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    def close(self) -> None:
        """Cancel what runs, end the threads, close sockets, free the memory; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self.desk.close()
        self.transport.close()
        deadline = time.monotonic() + CLOSE_SECONDS
        self.pool.close(CLOSE_SECONDS)
        self.loop.close(max(0.0, deadline - time.monotonic()))
        self.permits.end()
        self.cache.close()
        self.views.clear()
        self.stash.clear()

    def forked(self) -> None:
        """Never be used in a forked child: threads, locks and sockets stay with the parent."""
        self._closed = self._inherited = True
        self.desk.orphan()

    def _prepare(self) -> None:
        """Do what comes before every load."""
        self._refuse_if_closed()
        self.registry.activate_schemeless()

    def _refuse_if_closed(self) -> None:
        if self._inherited:
            raise LoadstoneError(
                "the session belongs to the process that this one was forked from",
                hint="Make a Session in each process; the functions of the package do so by themselves.",
            )
        if self._closed:
            raise LoadstoneError("the session is closed", hint="Make a new Session.")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> str:
        """Refuse: threads, sockets and memory stay in their process."""
        raise TypeError("a Session cannot be pickled; make one in each process, with Settings, which can")

    def __repr__(self) -> str:
        """Say how full it is."""
        stats = self.cache.stats()
        return f"<Session {stats.entries} entries, {stats.kept:,} of {stats.budget:,} bytes>"


def _settings(settings: Settings | None, overrides: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings.from_environment(**overrides)
    return settings.replace(**overrides) if overrides else settings


@lru_cache(maxsize=4096)  # a viewer asks for the same images over and over
def _plugin_id(text: str) -> ImageId | None:
    """Return the id that a text is, taken apart once; None for paths and plain URLs."""
    return ImageId(text) if scheme_of(text) not in {None, "http", "https", "file"} else None


def _awaited(handle: LoadObject[T], progress: ProgressWish) -> T:
    """Wait on this thread; whatever interrupts the wait (Ctrl-C) cancels the load."""
    try:
        if not progress:
            return handle.result()
        with progress_callback(progress, handle.id) as callback:
            return handle.follow(callback)
    except BaseException:
        handle.cancel()
        raise
    finally:
        del handle  # the traceback leads here, and from here back to the error


sessions: weakref.WeakSet[Session] = weakref.WeakSet()
"""Those of this process that are alive."""
