"""Running many pieces of one load on as many workers as it pays."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from loadstone.boundary import typed_error
from loadstone.context import Job
from loadstone.errors import LoadstoneError
from loadstone.ids import FILES
from loadstone.pools import RequestType
from loadstone.waiting import asking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadstone.permits import Order
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad

__all__ = ["run_parallel"]

T = TypeVar("T")

SLOW_SECONDS = 0.01
"""A piece that waits longer, and for most of its time, waits for a disk: then more workers help."""
MOSTLY = 0.75


def run_parallel(
    session: Session,
    load: SharedLoad[Any],
    work: Callable[[T], object],
    pieces: Iterable[T],
    lane: str,
    *,
    order: Order | None = None,
) -> list[LoadstoneError]:
    """
    Do `work` on each piece and return what went wrong; the calling worker takes its share.

    Parameters
    ----------
    session, load
        Whose work it is.
    work
        Does one piece.
    pieces
        What to do.
    lane
        The host that it goes to: as many requests at a time as the host allows. For local files as many
        workers as there are permits to compute, and more while the machine waits for the disk: threads that
        all compute only take turns.
    order
        How urgent its requests are; default: PREFETCH, with the priority of the load.
    """
    if order is None:
        order = RequestType.PREFETCH, load.request.priority if load.request is not None else 0
    return _Gang(session, load, work, pieces, lane, order=order).run()


class _Gang(Generic[T]):
    def __init__(
        self,
        session: Session,
        load: SharedLoad[Any],
        work: Callable[[T], object],
        pieces: Iterable[T],
        lane: str,
        *,
        order: Order,
    ) -> None:
        self._session = session
        self._load = load
        self._work = work
        self._lane = lane
        self._order = order
        self._pieces = deque(pieces)
        self._lock = threading.Lock()
        self._jobs: deque[Job[None]] = deque()
        self._errors: list[LoadstoneError] = []
        self._workers = 0
        self._most = session.pool.limit(RequestType(order[0]), lane)

    def run(self) -> list[LoadstoneError]:
        """Do everything."""
        first = self._session.settings.compute_permits if self._lane == FILES else self._most
        self._add(min(first, len(self._pieces)) - 1)
        try:
            with asking(self._order):
                self._share()
        except BaseException as error:  # noqa: BLE001 - as on the other workers, which must end first
            self._errors.append(typed_error(error, self._load.id))
        while self._jobs:
            try:
                self._jobs.popleft().result()
            except LoadstoneError as error:
                self._errors.append(error)
        return self._errors

    def _add(self, count: int) -> None:
        for _ in range(count):
            self._workers += 1
            self._jobs.append(Job(self._session, self._load, self._share, order=self._order, lane=self._lane))

    def _share(self) -> None:
        """Work as long as there are pieces."""
        while True:
            self._load.token.raise_if_cancelled()
            try:
                piece = self._pieces.popleft()
            except IndexError:
                return
            started, computed = time.perf_counter(), time.thread_time()
            self._work(piece)
            taken = time.perf_counter() - started
            waited = taken - (time.thread_time() - computed)
            if waited > max(SLOW_SECONDS, MOSTLY * taken):
                self._grow()

    def _grow(self) -> None:
        with self._lock:
            if self._pieces and self._workers + 1 < self._most:
                self._add(1)
