"""
Threads, and the queue of what they are to do.

One set of daemon threads, made on demand and gone when idle. A request waits in the lane of its host (or of
the local files) under its type and priority; each lane runs a limited number of requests of each type at a
time. Types go in the order INTERACTION, THUMBNAIL, PREFETCH, COMPUTE; within one, lower priority numbers
first, equal ones in order of arrival.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import Counter
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PoolStats", "Request", "RequestPool", "RequestType"]

_log = logging.getLogger(__name__)


class RequestType(IntEnum):
    """What a request is for; decides who goes first."""

    INTERACTION = 0
    """Somebody waits for it."""
    THUMBNAIL = 1
    """Somebody will look at it soon."""
    PREFETCH = 2
    """It will be needed."""
    COMPUTE = 3
    """Work on data that is already here."""


class _State(Enum):
    QUEUED = auto()
    RUNNING = auto()
    DONE = auto()
    DROPPED = auto()


@dataclass(slots=True, eq=False)
class Request:
    """One piece of work in the queue."""

    run: Callable[[], object]
    """Does it; must not raise."""
    dropped: Callable[[], object]
    """Called in place of `run` when the request is filtered out, cleared or the pool is closed."""
    type: RequestType
    """What it is for."""
    priority: int
    """Lower goes first."""
    lane: str
    """Host, or ``file``."""
    details: Any = None
    """What the submitter wants to recognise it by in `RequestPool.filter`."""
    _state: _State = field(default=_State.QUEUED, repr=False)

    @property
    def queued(self) -> bool:
        """Whether nobody has begun it."""
        return self._state is _State.QUEUED


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment."""

    queued: dict[RequestType, int]
    """Requests waiting, by type."""
    running: dict[RequestType, int]
    """Requests running, by type."""
    threads: int
    """Threads alive."""


class _Lane:
    """The requests of one type for one host."""

    __slots__ = ("limit", "queue", "running")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.queue: list[tuple[int, int, Request]] = []
        self.running = 0

    def head(self) -> tuple[int, int, Request] | None:
        """Return the next request, forgetting those that were taken or dropped meanwhile."""
        while self.queue and not self.queue[0][2].queued:
            heapq.heappop(self.queue)
        return self.queue[0] if self.queue else None


class RequestPool:
    """
    The threads of one session.

    Parameters
    ----------
    limits
        How many requests of a type one lane runs at a time.
    idle_seconds
        How long a thread without work waits before it ends.
    of_lanes
        The limits of lanes that have their own, by type and lane.
    name
        For the names of the threads.
    """

    def __init__(
        self,
        limits: Mapping[RequestType, int],
        *,
        idle_seconds: float,
        of_lanes: Mapping[tuple[RequestType, str], int] | None = None,
        name: str = "loadstone",
    ) -> None:
        self._limits = dict(limits)
        self._of_lanes = dict(of_lanes or {})
        self._idle_seconds = idle_seconds
        self._name = name
        self._lock = threading.Lock()
        self._arrivals = itertools.count()
        self._lanes: dict[RequestType, dict[str, _Lane]] = {kind: {} for kind in RequestType}
        self._asleep: list[threading.Event] = []
        self._coming = 0
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def submit(
        self,
        run: Callable[[], object],
        *,
        dropped: Callable[[], object] = lambda: None,
        type: RequestType = RequestType.INTERACTION,
        priority: int = 0,
        lane: str = "file",
        details: object = None,
    ) -> Request:
        """Queue a request; on a closed pool it is dropped at once."""
        request = Request(run, dropped, type, priority, lane, details)
        with self._lock:
            closed = self._closed
            if closed:
                request._state = _State.DROPPED
            else:
                self._enqueue(request)
        if closed:
            _quietly(dropped)
        return request

    def _enqueue(self, request: Request) -> None:
        lanes = self._lanes[request.type]
        lane = lanes.get(request.lane)
        if lane is None:
            lane = lanes[request.lane] = _Lane(self.limit(request.type, request.lane))
        heapq.heappush(lane.queue, (request.priority, next(self._arrivals), request))
        if lane.running < lane.limit:
            self._add_hands()

    def _add_hands(self) -> None:
        """
        Wake sleeping threads, or start new ones, until every request that may run has one coming.

        Raises
        ------
        RuntimeError
            If the system gives no thread and there is none that could do the work.
        """
        runnable = sum(
            min(lane.limit - lane.running, len(lane.queue))
            for lanes in self._lanes.values()
            for lane in lanes.values()
            if lane.running < lane.limit
        )
        while self._coming < runnable:
            if self._asleep:
                self._asleep.pop().set()
            elif not self._start_thread():
                return
            self._coming += 1

    def _start_thread(self) -> bool:
        # In a context of its own: an interpreter without the lock has threads inherit that of whoever starts
        # them, here often a worker, whose load would then seem to wait for itself.
        thread = threading.Thread(
            target=Context().run, args=(self._work,), name=f"{self._name}-worker", daemon=True
        )
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads to be had; those that are there do the work, later
            self._threads.discard(thread)
            if not self._threads:
                raise
            return False
        return True

    def take(self, request: Request) -> bool:
        """Take out a queued request to run it on the calling thread, beside all limits; False if begun."""
        with self._lock:
            if not request.queued:
                return False
            request._state = _State.RUNNING
            return True

    def drop(self, request: Request) -> bool:
        """Take out a queued request that nobody wants any more; False if it has begun."""
        with self._lock:
            if not request.queued:
                return False
            request._state = _State.DROPPED
            self._lanes[request.type][request.lane].head()
            return True

    def reprioritise(self, request: Request, type: RequestType, priority: int) -> None:
        """Move a queued request to another type or priority; one that runs asks for its permits by them."""
        with self._lock:
            queued = request.queued and (request.type, request.priority) != (type, priority)
            if queued:
                self._take_out(request)
            request.type, request.priority = type, priority
            if queued:
                self._enqueue(request)

    def _take_out(self, request: Request) -> None:
        lane = self._lanes[request.type][request.lane]
        lane.queue = [each for each in lane.queue if each[2] is not request]
        heapq.heapify(lane.queue)

    def filter(self, keep: Callable[[Request], bool]) -> int:
        """Drop the queued requests that `keep` refuses; return how many."""
        with self._lock:
            dropped = [request for request in self._queued() if not keep(request)]
            for request in dropped:
                request._state = _State.DROPPED
        for request in dropped:
            _quietly(request.dropped)
        return len(dropped)

    def clear(self, type: RequestType | None = None) -> int:
        """Drop all queued requests, or those of one type; return how many."""
        return self.filter(lambda request: type is not None and request.type is not type)

    def _queued(self) -> list[Request]:
        return [
            request
            for lanes in self._lanes.values()
            for lane in lanes.values()
            for _, _, request in lane.queue
            if request.queued
        ]

    def limit(self, type: RequestType, lane: str = "") -> int:
        """Return how many requests of a type that lane runs at a time, or one without a limit of its own."""
        return self._of_lanes.get((type, lane), self._limits[type])

    def set_limit(self, type: RequestType, limit: int) -> None:
        """Change the limit of every lane: raised, waiting requests start; lowered, running ones finish."""
        if limit < 1:
            raise ValueError(f"a limit is at least 1, not {limit}")
        with self._lock:
            self._limits[type] = limit
            self._of_lanes = {key: own for key, own in self._of_lanes.items() if key[0] is not type}
            for lane in self._lanes[type].values():
                lane.limit = limit
            self._add_hands()

    def stats(self) -> PoolStats:
        """Count what waits and what runs."""
        with self._lock:
            queued = Counter(request.type for request in self._queued())
            running = {
                kind: sum(lane.running for lane in lanes.values()) for kind, lanes in self._lanes.items()
            }
            return PoolStats({kind: queued[kind] for kind in RequestType}, running, len(self._threads))

    def close(self, timeout: float = 2.0) -> None:
        """Drop what is queued and wait up to `timeout` seconds for the threads."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            self._coming += len(self._asleep)
            while self._asleep:
                self._asleep.pop().set()
        self.clear()
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _next(self) -> tuple[Request, _Lane] | None:
        for lanes in self._lanes.values():
            heads = [
                (head, lane)
                for lane in lanes.values()
                if lane.running < lane.limit and (head := lane.head()) is not None
            ]
            if heads:
                head, lane = min(heads, key=lambda each: each[0][:2])
                heapq.heappop(lane.queue)
                return head[2], lane
        return None

    def _work(self) -> None:
        awake = threading.Event()
        awake.set()
        while (found := self._begin(awake)) is not None:
            request, lane = found
            _quietly(request.run)
            with self._lock:
                request._state = _State.DONE
                lane.running -= 1
            del request, found  # an idle thread must not keep a result alive

    def _begin(self, awake: threading.Event) -> tuple[Request, _Lane] | None:
        """Wait for the next request and mark it as running; None when this thread is to end."""
        while True:
            with self._lock:
                if awake.is_set():
                    awake.clear()
                    self._coming -= 1
                found = self._next()
                if found is not None:
                    found[0]._state = _State.RUNNING
                    found[1].running += 1
                    return found
                if self._closed:
                    self._threads.discard(threading.current_thread())
                    return None
                self._asleep.append(awake)
            if awake.wait(self._idle_seconds):
                continue
            with self._lock:
                if awake.is_set():
                    continue  # woken in the very moment of giving up
                self._asleep.remove(awake)
                self._threads.discard(threading.current_thread())
                return None


def _quietly(run: Callable[[], object]) -> None:
    """Run what must not raise; if it does, say so in the log rather than lose a thread and its place."""
    try:
        run()
    except BaseException:  # noqa: BLE001 - logged; the thread goes on
        _log.exception("a request of the pool failed outside its own boundary")
