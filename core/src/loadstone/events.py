"""
What a session announces, as frozen dataclasses, and who listens.

A callback runs on the thread that caused the event, with no lock held. One that raises is logged and does not
disturb the load or the other callbacks. It may subscribe, unsubscribe and load.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from loadstone.boundary import run_isolated
from loadstone.transport.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from loadstone.errors import LoadstoneError
    from loadstone.image import Image
    from loadstone.volume import Volume

__all__ = [
    "Event",
    "Events",
    "ImageCached",
    "ImageEvicted",
    "ImageLoadFailed",
    "ImageLoaded",
    "LoadFinished",
    "LoadProgress",
    "LoadStarted",
    "RetrieveStage",
    "SourceClosed",
    "SourceOpened",
    "Subscription",
    "TimePointLoaded",
    "VolumeCached",
    "VolumeEvicted",
    "VolumeLoadFailed",
    "VolumeLoaded",
    "VolumeModified",
    "VolumeWidened",
]


class Event:
    """Base of all events; its repr shows ids without queries and credentials."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Name the event and its fields."""
        values = [(each.name, getattr(self, each.name)) for each in fields(cast("Any", self))]
        told = ", ".join(f"{name}={shown(v) if isinstance(v, str) else repr(v)}" for name, v in values)
        return f"{type(self).__name__}({told})"


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True, repr=False)
class ImageLoaded(Event):
    """A loader has delivered an image (a cache hit is no load)."""

    image: Image
    """The image."""


@dataclass(frozen=True, slots=True, repr=False)
class ImageLoadFailed(Event):
    """A load of an image failed or was cancelled."""

    image_id: str
    """The id that was asked for."""
    error: LoadstoneError
    """Why."""


@dataclass(frozen=True, slots=True, repr=False)
class ImageCached(Event):
    """An image entered the cache."""

    image: Image
    """The image."""


@dataclass(frozen=True, slots=True, repr=False)
class ImageEvicted(Event):
    """An image left the cache: evicted, removed or replaced."""

    image: Image
    """The image; it stays valid."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeLoaded(Event):
    """Every slice of a volume is there."""

    volume: Volume
    """The volume."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeLoadFailed(Event):
    """A volume could not be opened, or not all of its slices could be loaded."""

    volume_id: str
    """The id that was asked for."""
    error: LoadstoneError
    """Why."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeModified(Event):
    """Slices of a volume are now better than before."""

    volume: Volume
    """The volume."""
    indices: tuple[int, ...]
    """Which, along the slice axis."""


@dataclass(frozen=True, slots=True, repr=False)
class TimePointLoaded(Event):
    """All slices of one time point of a volume are there; a 3-D volume has none."""

    volume: Volume
    """The volume."""
    place: tuple[int, ...]
    """Its index on each axis in front of the slices: ``volume.array[place]`` is what has arrived."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeWidened(Event):
    """A frame held values that the volume's dtype could not; the block was made anew with a wider one."""

    volume: Volume
    """The volume; its `array` is a new one."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeCached(Event):
    """A volume entered the cache."""

    volume: Volume
    """The volume."""


@dataclass(frozen=True, slots=True, repr=False)
class VolumeEvicted(Event):
    """A volume left the cache."""

    volume: Volume
    """The volume; it stays valid."""


@dataclass(frozen=True, slots=True, repr=False)
class LoadProgress(Event):
    """Bytes of a running load arrived."""

    id: str
    """The id that was asked for."""
    received_bytes: int
    """So far."""
    total_bytes: int | None
    """In all, if known."""


@dataclass(frozen=True, slots=True, repr=False)
class LoadStarted(Event):
    """A worker begins a load; what is answered from the cache starts none."""

    id: str
    """The id that was asked for."""


@dataclass(frozen=True, slots=True, repr=False)
class RetrieveStage(Event):
    """A stage of a progressive load has ended."""

    id: str
    """The volume or image that was asked for."""
    stage: str
    """Its name."""
    number: int
    """Which of the stages it is, from 0."""
    images: int
    """Images that it was for."""
    skipped: int
    """Those that were final before."""
    failures: int
    """Those that it could not load."""
    started_seconds: float
    """When it began, from the beginning of the first stage."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True, repr=False)
class SourceOpened(Event):
    """A loader opened something that many images come from: a file, a DICOM object, metadata of a series."""

    nbytes: int
    """What it is charged to the budget."""


@dataclass(frozen=True, slots=True, repr=False)
class SourceClosed(Event):
    """A source was evicted or dropped, and nobody uses it any more."""

    nbytes: int
    """What it was charged when it was opened."""


@dataclass(frozen=True, slots=True, repr=False)
class LoadFinished(Event):
    """A load ended, well or not; plugins get it through their hook."""

    id: str
    """The id that was asked for."""
    seconds: float
    """How long it took, without the time spent queued."""
    nbytes: int
    """Bytes of the result; 0 on failure."""
    error: LoadstoneError | None
    """Why it failed, or None."""


class Subscription:
    """Ends a subscription: call it, or use it as a context manager."""

    __slots__ = ("_end",)

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __call__(self) -> None:
        """End the subscription; a second time does nothing."""
        self._end()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the subscription."""
        self._end()


class Events:
    """The listeners of one session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[type[Event], tuple[Callable[[Any], object], ...]] = {}

    def subscribe(self, kind: type[E], callback: Callable[[E], object]) -> Subscription:
        """
        Call `callback` with every event of that very type.

        The same callback may be subscribed once per type; a second time changes nothing.
        """
        with self._lock:
            present = self._listeners.get(kind, ())
            if callback not in present:
                self._listeners[kind] = (*present, callback)
        return Subscription(lambda: self._unsubscribe(kind, callback))

    def _unsubscribe(self, kind: type[Event], callback: Callable[[Any], object]) -> None:
        with self._lock:
            self._listeners[kind] = tuple(each for each in self._listeners.get(kind, ()) if each != callback)

    def wants(self, kind: type[Event]) -> bool:
        """Say whether anybody listens, so that an event nobody wants need not be built."""
        return bool(self._listeners.get(kind))

    def emit(self, event: Event) -> None:
        """Tell everybody who listened when it happened."""
        listeners = self._listeners.get(type(event))
        if listeners:
            what = f"a callback for {type(event).__name__}"
            run_isolated(what, [partial(callback, event) for callback in listeners])
