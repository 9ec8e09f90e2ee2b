"""What a loader is given: memory, bytes, permits, other images, and word that nobody waits any more."""

from __future__ import annotations

import copy
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from loadstone.boundary import forget_frames, run_isolated, typed_error
from loadstone.errors import CacheFullError, InvalidIdError, LoadCancelled, LoadstoneError
from loadstone.events import LoadProgress
from loadstone.files import FileState
from loadstone.ids import LoadId, lane_of
from loadstone.load_object import Progress
from loadstone.permits import Order, permits_given_back
from loadstone.pools import RequestType
from loadstone.retrieve.stages import FINAL
from loadstone.sources import HeldSources, charge_of_opening
from loadstone.waiting import asking, current_order

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from loadstone.image import Image
    from loadstone.metadata import Module
    from loadstone.options import LoadOptions
    from loadstone.pools import Request
    from loadstone.retrieve import RetrieveOptions
    from loadstone.session import Session
    from loadstone.settings import Settings
    from loadstone.shared_load import SharedLoad
    from loadstone.sources import Source
    from loadstone.transport import HttpResponse, HttpStream

    S = TypeVar("S", bound=Source)
    M = TypeVar("M", bound=Module)

__all__ = ["Job", "LoadContext", "Memory"]

T = TypeVar("T")

_SAY_NOTHING_OF_SOURCES: Final = (CacheFullError, InvalidIdError, LoadCancelled)


class Memory(Protocol):
    """Where the output of a load goes."""

    def allocate(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], image_id: str | None
    ) -> npt.NDArray[Any]:
        """Return zeroed memory, charged to the budget."""
        ...

    def charge(self, nbytes: int, image_id: str | None) -> None:
        """Charge bytes that are on the way to an image, until it is there."""
        ...


class Job(Generic[T]):
    """A piece of a load's work on another worker; future-like."""

    __slots__ = ("_done", "_error", "_load", "_order", "_request", "_session", "_value", "_work")

    def __init__(
        self,
        session: Session,
        load: SharedLoad[Any],
        work: Callable[[], T],
        *,
        order: Order,
        lane: str | None = None,
    ) -> None:
        self._session = session
        self._load = load
        self._work: Callable[[], T] | None = work
        self._done = threading.Event()
        self._value: T | None = None
        self._error: LoadstoneError | None = None
        self._order = order
        self._request: Request | None = None
        request = session.pool.submit(
            self._run,
            dropped=self._drop,
            type=RequestType.COMPUTE if lane is None else RequestType(order[0]),
            priority=order[1],
            lane=lane or "compute",
            details=load.id,
        )
        # Each leads to the other: once it has ended, its result must not wait for the garbage collector.
        self._request = None if self._done.is_set() else request

    def _run(self) -> None:
        work, self._work = self._work, None
        try:
            with self._load.working(), asking(self._order):
                self._load.token.raise_if_cancelled()
                if work is not None:
                    self._value = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again in result()
            self._error = typed_error(error, self._load.id)
            forget_frames(self._error)
        finally:
            self._done.set()
            self._request = None

    def _drop(self) -> None:
        self._error = LoadCancelled("the queued work was dropped", source=self._load.id)
        self._done.set()
        self._request = None

    def done(self) -> bool:
        """Say whether it has ended."""
        return self._done.is_set()

    def result(self) -> T:
        """Wait for the result, or raise; a job that nobody has begun is done here and now."""
        request = self._request
        if not self._done.is_set():
            self._session.loop.refuse_wait(self._load.id)
            if request is not None and self._session.pool.take(request):
                request.run()
            else:
                with permits_given_back():
                    self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value] # set, since there is no error


class LoadContext:
    """
    One load, as its loader sees it.

    Attributes
    ----------
    session : Session
        The session that loads.
    options : LoadOptions
        What the caller asked for beside the id.
    retrieve : RetrieveOptions
        How good the image has to be: in a progressive load not every stage needs the final one.
    resumes : bool
        Whether an earlier attempt has brought a part of the volume: then only what is asked for is to be
        fetched, even where fetching all of a series would take fewer requests.
    """

    def __init__(
        self,
        session: Session,
        load: SharedLoad[Any],
        options: LoadOptions,
        memory: Memory,
        *,
        anew: bool = False,
        charged: bool = True,
        resumes: bool = False,
    ) -> None:
        self.session = session
        self.options = options
        self.retrieve = FINAL
        self.resumes = resumes
        self._load = load
        self._memory = memory
        self._held = HeldSources(session.sources, anew=anew, charged=charged)
        self._evictions: list[Callable[[], object]] = []
        self._noted: dict[str, FileState] = {}
        self._files: dict[str, FileState] = {}
        self._image_id: str | None = None
        self._lane = lane_of(LoadId(load.id))

    def for_image(self, image_id: str) -> LoadContext:
        """Return this context for one of several images: `allocate` gives the memory of that one."""
        context = copy.copy(self)
        context._image_id = image_id
        return context

    def for_memory(self, memory: Memory) -> LoadContext:
        """Return this context with another place for the output."""
        context = copy.copy(self)
        context._memory = memory
        return context

    def for_stage(self, retrieve: RetrieveOptions) -> LoadContext:
        """Return this context for a stage of a progressive load."""
        context = copy.copy(self)
        context.retrieve = retrieve
        return context

    @property
    def settings(self) -> Settings:
        """The session's settings."""
        return self.session.settings

    def allocate(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, image_id: str | None = None
    ) -> npt.NDArray[Any]:
        """
        Return the output memory of an image, zeroed.

        Parameters
        ----------
        shape
            ``(rows, columns)`` or ``(rows, columns, samples)``.
        dtype
            Of the stored values, native byte order.
        image_id
            Which image, in `load_many`; without it the one that is loaded.

        Returns
        -------
        numpy.ndarray
            A slice of the volume when the image belongs to one and fits in place, else a fresh array.
            C-contiguous.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        LimitError
            If it is larger than ``settings.max_image_bytes``.
        """
        return self._memory.allocate(shape, np.dtype(dtype), image_id or self._image_id)

    def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        accept_gzip: bool = False,
    ) -> HttpResponse:
        """
        Fetch a whole response over http(s), with the session's retries, deadlines, limits and authorisation.

        Its body is charged to the budget while it arrives: to the source that is being opened with it, else
        until the image is there.

        Raises
        ------
        CacheFullError
            If the budget cannot hold it.
        FetchError, SecurityError, IntegrityError, LimitError, LoadCancelled
            See `loadstone.transport.Transport.fetch`.
        """
        return self.session.transport.fetch(
            url,
            headers=headers,
            max_bytes=max_bytes,
            accept_gzip=accept_gzip,
            token=self._load.token,
            progress=self._arriving(),
        )

    def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        accept_gzip: bool = False,
    ) -> HttpStream:
        """Open a response to be read piece by piece, best by ``with``; see `Transport.stream`."""
        return self.session.transport.stream(
            url, headers=headers, max_bytes=max_bytes, accept_gzip=accept_gzip, token=self._load.token
        )

    def source(self, key: Hashable, open_source: Callable[[], S], *, nbytes: int = 0) -> S:
        """
        Return something that is opened once per session and shared by all loads that need it.

        Parameters
        ----------
        key
            Its name; for a local file take its `FileState` into it, so that a file written anew is opened
            anew.
        open_source
            Opens it: an object with ``nbytes`` and ``close()``. Runs in one thread at a time for one key.
        nbytes
            What it will hold, as far as that is known: room is made for it before it is opened.

        Returns
        -------
        object
            It stays open at least until this load ends, and is then closed when the budget needs its bytes.
        """
        return self._held.take(key, open_source, nbytes)

    def depends_on(self, path: str | os.PathLike[str], status: os.stat_result | None = None) -> FileState:
        """
        Say that the result is good only until this file is written anew; return the state it was found in.

        A load looks at each file once, here or with `note`; `status` saves the look.
        """
        path = os.fspath(path)
        state = self._files.get(path)
        if state is None:
            state = self._noted.get(path) or self.note(FileState.of(path, status))
            self._files[path] = state
        return state

    def note(self, state: FileState) -> FileState:
        """Remember for this load in which state a file was found, whether or not the result depends on it."""
        return self._noted.setdefault(state.path, state)

    def noted(self, path: str) -> FileState | None:
        """Return the state in which this load has found a file, or None if it has not looked at it yet."""
        return self._noted.get(path)

    def computing(self) -> AbstractContextManager[None]:
        """Hold one of the permits to decode: as many as there are cores, of all sessions together."""
        return self.session.permits.hold("compute", current_order(), self._load.token)

    def reading(self) -> AbstractContextManager[None]:
        """Hold one of the permits to read files."""
        return self.session.permits.hold("file", current_order(), self._load.token)

    def submit(self, function: Callable[..., T], *args: Any, computes: bool = True) -> Job[T]:  # noqa: ANN401
        """
        Run ``function(*args)`` on another worker; the result is future-like.

        Parameters
        ----------
        function, *args
            What to run.
        computes
            Whether it decodes, and needs a permit for that; False for a request of its own.
        """
        if not computes:
            kind, priority = current_order()
            # Whoever waits for many requests waits for the last of them: single ones may go before.
            order = (RequestType.PREFETCH if kind == RequestType.INTERACTION else kind), priority
            return Job(self.session, self._load, partial(function, *args), order=order, lane=self._lane)

        def work() -> T:
            with self.computing():
                return function(*args)

        return Job(self.session, self._load, work, order=current_order())

    def load_image(self, image_id: str, **options: Any) -> Image:  # noqa: ANN401 - see Session.load_image
        """Load another image, as urgent as this one; see `Session.load_image`."""
        kind, priority = current_order()
        with self._load.working():
            return self.session.load_image(
                image_id, **{"type": RequestType(kind), "priority": priority} | options
            )

    def metadata(self, image_id: str, kind: type[M]) -> M | None:
        """Return what is known about another image; see `Session.metadata`."""
        with self._load.working():
            return self.session.metadata.get(image_id, kind)

    def _arriving(self) -> Callable[[int, int | None], None]:
        """Return what charges the bytes of one request before they arrive, as far as they are announced."""
        count, charge, charged = self._counting(), charge_of_opening(), 0

        def arrived(received: int, total: int | None) -> None:
            nonlocal charged
            wanted = max(received, total or 0)
            if wanted > charged:
                if charge is None:
                    self._memory.charge(wanted - charged, self._image_id)
                else:
                    charge(wanted - charged)
                charged = wanted
            count(received, total)

        return arrived

    def _counting(self) -> Callable[[int, int | None], None]:
        """Return what counts the bytes of one request among several of this load; they add up."""
        counted = 0

        def count(received: int, total: int | None) -> None:
            nonlocal counted
            others = self._load.progress.received_bytes - counted
            counted = received
            # The total is that of one request; with several, nobody knows it.
            self.progress(others + received, None if others else total)

        return count

    def progress(self, received: int, total: int | None = None) -> None:
        """Tell everybody who waits how many bytes have arrived in all."""
        before = self._load.progress
        self._load.report(Progress(before.done, before.total, received, total))
        if self.session.events.wants(LoadProgress):
            self.session.events.emit(LoadProgress(self._load.id, received, total))

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._load.token.cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `LoadCancelled` if nobody waits any more."""
        self._load.token.raise_if_cancelled()

    def on_cancel(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Run `callback` when the load is cancelled; returns a function that takes the callback back."""
        return self._load.token.on_cancel(callback)

    def on_evict(self, callback: Callable[[], object]) -> None:
        """Run `callback` when the result leaves the cache."""
        self._evictions.append(callback)

    @property
    def files(self) -> tuple[FileState, ...]:
        """The files that `depends_on` named."""
        return tuple(self._files.values())

    def evicted(self) -> None:
        """Run what `on_evict` collected."""
        run_isolated("an eviction callback", self._evictions)

    def distrust(self, error: BaseException) -> None:
        """Have the sources opened anew next time, unless the load did not fail because of them."""
        if not isinstance(error, _SAY_NOTHING_OF_SOURCES) and not getattr(error, "retryable", False):
            self._held.forget()

    def close(self) -> None:
        """Give back what was held for the time of the load."""
        self._held.release()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the load, well or not."""
        if error is not None:
            self.distrust(error)
        self.close()
