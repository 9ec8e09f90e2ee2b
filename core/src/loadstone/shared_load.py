"""
One piece of work that several callers may wait for.

All callers of one key share it, each with a handle of its own. It is cancelled when the last handle is, and
unlinked under the same lock, so that whoever asks next starts anew.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from loadstone.boundary import forget_frames, typed_error
from loadstone.cancel import CancelToken
from loadstone.errors import LimitError, LoadCancelled, LoadstoneError
from loadstone.load_object import LoadObject, Progress
from loadstone.permits import permits_given_back
from loadstone.waiting import Strand, current_strand, waiting, working

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from loadstone.pools import Request, RequestPool, RequestType
    from loadstone.session import Session

__all__ = ["LoadDesk", "SharedLoad"]

T = TypeVar("T")


class SharedLoad(Generic[T]):
    """A load in the queue or under way."""

    def __init__(self, desk: LoadDesk, key: Hashable, identity: str) -> None:
        self.key = key
        self.id = identity
        self.desk = desk
        self.token = CancelToken()
        self.request: Request | None = None
        self.strands: list[Strand] = []
        self.progress = Progress()
        self.callers = 0
        """How many handles there were."""
        self._handles: list[LoadObject[T]] = []
        self._partial: T | None = None
        self._followers = 0

    def handle(self, identity: str) -> LoadObject[T]:
        """Return a new handle (with the desk's lock held)."""
        handle = LoadObject(self, identity)
        if self._partial is not None:
            handle._offer(self._partial)
        self._handles.append(handle)
        self.callers += 1
        return handle

    def linked(self) -> bool:
        """Say whether whoever asks for its key now gets it: it is neither deserted, detached nor settled."""
        return self.desk.linked(self)

    def leave(self, handle: LoadObject[T]) -> None:
        """Take a cancelled handle out; the last one cancels the load."""
        with self.desk.lock:
            if handle not in self._handles:
                return
            self._handles.remove(handle)
            if self._handles:
                return
            self.desk.unlink(self)
            request = self.request
        self.token.cancel()
        if request is not None and self.desk.pool.drop(request):
            self.settle(None, LoadCancelled(source=self.id))

    def offer(self, partial: T) -> None:
        """Show a partial result to everybody."""
        with self.desk.lock:
            handles = list(self._handles)
            self._partial = partial if handles else None
        for handle in handles:
            handle._offer(partial)

    def report(self, progress: Progress) -> None:
        """Note how far it is, and wake those who follow that; waking a thread costs more than a slice."""
        self.progress = progress
        if not self._followers:
            return
        with self.desk.lock:
            handles = list(self._handles)
        for handle in handles:
            handle._stir()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Mark that somebody wants to be woken at each progress."""
        with self.desk.lock:
            self._followers += 1
        try:
            yield
        finally:
            with self.desk.lock:
                self._followers -= 1

    def settle(self, value: T | None, error: LoadstoneError | None) -> None:
        """End it for everybody."""
        with self.desk.lock:
            self.desk.unlink(self, settled=True)
            handles, self._handles = self._handles, []
            # The request leads back here: what it holds would live until the garbage collector runs.
            self._partial = self.request = None
        for handle in handles:
            handle._settle(value, error)

    def abandon(self, what: str = "the load was cancelled") -> None:
        """Cancel it for everybody."""
        self.token.cancel()
        self.settle(None, LoadCancelled(what, source=self.id))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark the calling thread as working on the load."""
        with working(self):
            yield

    @contextmanager
    def waiting_for(self, handle: LoadObject[T]) -> Iterator[None]:
        """
        Surround the wait of a caller.

        A worker runs the load itself if it is still queued, gives its permits back while it waits, gives up
        when its own load is cancelled, and is told when it waits for itself.
        """
        self.desk.refuse_wait(self.id)
        strand = current_strand()
        if strand is None:
            yield
            return
        with self._wanted_by(strand, handle), permits_given_back():
            self.run_here()
            yield

    @contextmanager
    def awaited(self, handle: LoadObject[T]) -> Iterator[None]:
        """Surround the wait of a coroutine: the worker that waits for its end runs the load."""
        strand = current_strand()
        if strand is None:
            yield
            return
        with self._wanted_by(strand, handle):
            if strand.errands is not None:
                strand.errands.put(self.run_here)
            yield

    @contextmanager
    def _wanted_by(self, strand: Strand, handle: LoadObject[T]) -> Iterator[None]:
        forget = strand.load.token.on_cancel(handle.cancel)
        try:
            with waiting(strand, self):
                yield
        finally:
            forget()

    def run_here(self) -> None:
        """Run it on this thread, unless it has begun."""
        request = self.request
        if request is not None and self.desk.pool.take(request):
            request.run()


class LoadDesk:
    """
    Where callers of one session meet: key to the load that is under way.

    Parameters
    ----------
    session
        Whose loads these are.
    pool
        Runs the loads.
    refuse_wait
        Raises if the calling thread must not block, for example that of the session's event loop.
    """

    def __init__(self, session: Session, pool: RequestPool, refuse_wait: Callable[[str], None]) -> None:
        self.session = session
        self.pool = pool
        self.lock = threading.RLock()
        self.refuse_wait = refuse_wait
        self._loads: dict[Hashable, SharedLoad[Any]] = {}
        self._unsettled: set[SharedLoad[Any]] = set()
        self._closed = False

    def join_or_start(
        self,
        key: Hashable,
        identity: str,
        work: Callable[[SharedLoad[T]], T],
        *,
        type: RequestType,
        priority: int,
        lane: str,
        find: Callable[[], T | None] = lambda: None,
        anew: bool = False,
    ) -> LoadObject[T]:
        """
        Return a handle on the load of a key: the one under way, raised to this priority, or a new one.

        Parameters
        ----------
        key, identity
            What is to be loaded, and its name for people.
        work
            Does it, on a worker.
        type, priority, lane
            Who goes first, and the host that it goes to.
        find
            Looks once more whether it is there: a load may have ended since the caller looked.
        anew
            Leave the one under way to those who wait for it, and start another.

        Raises
        ------
        LoadstoneError
            If the session is closed.
        """
        with self.lock:
            load: SharedLoad[T] | None = None if anew else self._loads.get(key)
            if load is None:
                found = None if anew else find()
                if found is not None:
                    return LoadObject.ready(identity, found)
                return self._start(key, identity, work, type=type, priority=priority, lane=lane)
            handle = load.handle(identity)
            request = load.request
        if request is not None and (type, priority) < (request.type, request.priority):
            self.pool.reprioritise(request, type, priority)
        return handle

    def _start(
        self,
        key: Hashable,
        identity: str,
        work: Callable[[SharedLoad[T]], T],
        *,
        type: RequestType,
        priority: int,
        lane: str,
    ) -> LoadObject[T]:
        """Queue a new load, under the lock: whoever joins it must find its request, to run it in place."""
        if self._closed:
            raise LoadstoneError("the session is closed", source=identity, hint="Make a new Session.")
        load: SharedLoad[T] = SharedLoad(self, key, identity)
        self._loads[key] = load
        self._unsettled.add(load)
        handle = load.handle(identity)
        try:
            load.request = self.pool.submit(
                lambda: _run(load, work),
                dropped=lambda: load.abandon("the queued load was dropped"),
                type=type,
                priority=priority,
                lane=lane,
                details=identity,
            )
        except RuntimeError as error:
            load.abandon()
            raise LimitError("no thread can be started to load it", source=identity) from error
        return handle

    def unlink(self, load: SharedLoad[Any], *, settled: bool = False) -> None:
        """Forget a load (with the lock held), if it still is the one of its key."""
        if self.linked(load):
            del self._loads[load.key]
        if settled:
            self._unsettled.discard(load)

    def linked(self, load: SharedLoad[Any]) -> bool:
        """Say whether it is the one of its key."""
        return self._loads.get(load.key) is load

    def orphan(self) -> None:
        """Settle all handles in a forked child."""
        for load in tuple(self._unsettled):
            for handle in load._handles:
                handle._orphan()

    def close(self) -> None:
        """Start nothing any more, and cancel what is under way for everybody."""
        with self.lock:
            self._closed = True
            loads = list(self._unsettled)
        for load in loads:
            load.abandon()


def _left_behind(error: BaseException, identity: str) -> LoadstoneError:
    typed = typed_error(error, identity)
    forget_frames(typed)
    return typed


def _run(load: SharedLoad[T], work: Callable[[SharedLoad[T]], T]) -> None:
    """Do the work and settle, whatever it raises; callbacks belong to the load, and may load further."""
    with load.desk.lock:
        pass  # whoever starts it holds the lock until it knows its request, which says how urgent it is
    with load.working():
        try:
            load.token.raise_if_cancelled()
            value = work(load)
        except BaseException as error:  # noqa: BLE001 - every handle settles, whatever a loader raises
            load.settle(None, _left_behind(error, load.id))
        else:
            load.settle(value, None)
