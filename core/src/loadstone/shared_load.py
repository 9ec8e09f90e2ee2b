"""
One piece of work that several callers may wait for.

All callers of one key share it, each with a handle of its own. It is cancelled when the last handle is, and
unlinked under the same lock, so that whoever asks next starts anew.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from loadstone.cancel import CancelToken
from loadstone.errors import LoadCancelled, LoadCycleError, LoadstoneError
from loadstone.load_object import LoadObject, Progress
from loadstone.permits import permits_given_back

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from loadstone.pools import Request, RequestPool, RequestType
    from loadstone.session import Session

__all__ = ["LoadDesk", "SharedLoad", "current_load"]

T = TypeVar("T")

_thread = threading.local()


def current_load() -> SharedLoad[Any] | None:
    """Return the load that this thread works on, or None."""
    return cast("SharedLoad[Any] | None", getattr(_thread, "load", None))


class SharedLoad(Generic[T]):
    """A load in the queue or under way."""

    def __init__(self, desk: LoadDesk, key: Hashable, identity: str) -> None:
        self.key = key
        self.id = identity
        self.desk = desk
        self.token = CancelToken()
        self.request: Request | None = None
        self.waits_for: SharedLoad[Any] | None = None
        self._handles: list[LoadObject[T]] = []
        self._partial: T | None = None
        self.progress = Progress()
        self._followers = 0

    def handle(self, identity: str) -> LoadObject[T]:
        """Return a new handle (with the desk's lock held)."""
        handle = LoadObject(self, identity)
        if self._partial is not None:
            handle._offer(self._partial)
        self._handles.append(handle)
        return handle

    def leave(self, handle: LoadObject[T]) -> None:
        """Take a cancelled handle out; the last one cancels the load."""
        with self.desk.lock:
            if handle in self._handles:
                self._handles.remove(handle)
            deserted = not self._handles
            if deserted:
                self.desk.unlink(self)
        if deserted:
            self.token.cancel()

    def offer(self, partial: T) -> None:
        """Show a partial result to everybody."""
        with self.desk.lock:
            self._partial = partial
            handles = list(self._handles)
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
            self.desk.unlink(self)
            handles, self._handles = self._handles, []
        for handle in handles:
            handle._settle(value, error)

    def abandon(self) -> None:
        """Cancel it for everybody."""
        self.token.cancel()
        self.settle(None, LoadCancelled(source=self.id))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark this thread as working on the load."""
        before = current_load()
        _thread.load = self
        try:
            yield
        finally:
            _thread.load = before

    @contextmanager
    def waiting_for(self) -> Iterator[None]:
        """
        Surround the wait of a caller.

        A worker runs the load itself if it is still queued, gives its permits back while it waits, and is
        told when it waits for itself.
        """
        self.desk.refuse_on_own_loop(self.id)
        waiter = current_load()
        if waiter is None:
            yield
            return
        with self.desk.lock:
            _refuse_cycle(waiter, self)
            waiter.waits_for = self
        try:
            with permits_given_back():
                if self.request is not None and self.desk.pool.take(self.request):
                    self.request.run()
                yield
        finally:
            waiter.waits_for = None


def _refuse_cycle(waiter: SharedLoad[Any], wanted: SharedLoad[Any]) -> None:
    chain = [waiter.id]
    load: SharedLoad[Any] | None = wanted
    while load is not None:
        chain.append(load.id)
        if load is waiter:
            raise LoadCycleError("the load waits for itself: " + " → ".join(chain), source=waiter.id)
        load = load.waits_for


class LoadDesk:
    """
    Where callers of one session meet: key to the load that is under way.

    Parameters
    ----------
    session
        Whose loads these are.
    pool
        Runs the loads.
    refuse_on_own_loop
        Raises if the calling thread is the session's event loop, which must never block.
    """

    def __init__(
        self, session: Session, pool: RequestPool, refuse_on_own_loop: Callable[[str], None]
    ) -> None:
        self.session = session
        self.pool = pool
        self.lock = threading.RLock()
        self.refuse_on_own_loop = refuse_on_own_loop
        self._loads: dict[Hashable, SharedLoad[Any]] = {}

    def join_or_start(
        self,
        key: Hashable,
        identity: str,
        work: Callable[[SharedLoad[T]], T],
        boundary: Callable[[BaseException, str], LoadstoneError],
        *,
        type: RequestType,
        priority: int,
        lane: str,
    ) -> LoadObject[T]:
        """Return a handle on the load of `key`: the one under way, raised to this priority, or a new one."""
        with self.lock:
            load: SharedLoad[T] | None = self._loads.get(key)
            if load is None:
                return self._start(key, identity, work, boundary, type=type, priority=priority, lane=lane)
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
        boundary: Callable[[BaseException, str], LoadstoneError],
        *,
        type: RequestType,
        priority: int,
        lane: str,
    ) -> LoadObject[T]:
        """Queue a new load, under the lock: whoever joins it must find its request, to run it in place."""
        load: SharedLoad[T] = SharedLoad(self, key, identity)
        self._loads[key] = load
        handle = load.handle(identity)

        def dropped() -> None:
            load.token.cancel()
            load.settle(None, LoadCancelled("the queued load was dropped", source=identity))

        load.request = self.pool.submit(
            lambda: _run(load, work, boundary),
            dropped=dropped,
            type=type,
            priority=priority,
            lane=lane,
            details=identity,
        )
        return handle

    def unlink(self, load: SharedLoad[Any]) -> None:
        """Forget a load (with the lock held), if it still is the one of its key."""
        if self._loads.get(load.key) is load:
            del self._loads[load.key]

    def running(self) -> list[SharedLoad[Any]]:
        """Return all loads that are under way."""
        with self.lock:
            return list(self._loads.values())


def _run(
    load: SharedLoad[T],
    work: Callable[[SharedLoad[T]], T],
    boundary: Callable[[BaseException, str], LoadstoneError],
) -> None:
    """Do the work and settle, whatever it raises."""
    try:
        with load.working():
            load.token.raise_if_cancelled()
            value = work(load)
    except BaseException as error:  # noqa: BLE001 - every handle settles, whatever a loader raises
        load.settle(None, boundary(error, load.id))
    else:
        load.settle(value, None)
