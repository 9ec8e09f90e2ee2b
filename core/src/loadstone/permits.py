"""
Permits: how many may do one kind of thing at a time, in order of priority.

A retrieval needs one of its host and type, a file read and a decode one of their own. A worker that waits for
another load gives its permits back for that time, so that limits of one never deadlock.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from loadstone.cancel import CancelToken

__all__ = ["Gate", "Order", "Permits", "permits_given_back"]

Order = tuple[int, int]
"""(type, priority): lower goes first, equal ones in order of arrival."""

_held = threading.local()


class _Waiter:
    __slots__ = ("admitted", "wake")

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.admitted = False


class Gate:
    """A semaphore that admits by priority."""

    def __init__(self, limit: int) -> None:
        self._lock = threading.Lock()
        self._limit = limit
        self._inside = 0
        self._arrivals = itertools.count()
        self._queue: list[tuple[Order, int, _Waiter]] = []

    @property
    def inside(self) -> int:
        """How many are inside now."""
        return self._inside

    @property
    def limit(self) -> int:
        """How many may be."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._lock:
            self._limit = limit
            self._admit()

    def acquire(self, order: Order, token: CancelToken | None = None) -> None:
        """
        Wait for a place.

        Raises
        ------
        LoadCancelled
            If `token` is set before there is one.
        """
        with self._lock:
            if self._inside < self._limit and not self._queue:
                self._inside += 1
                return
            waiter = _Waiter()
            heapq.heappush(self._queue, (order, next(self._arrivals), waiter))
        forget = token.on_cancel(waiter.wake.set) if token else None
        waiter.wake.wait()
        if forget:
            forget()
        with self._lock:
            if waiter.admitted:
                return
            self._queue = [each for each in self._queue if each[2] is not waiter]
            heapq.heapify(self._queue)
        if token:
            token.raise_if_cancelled()

    def release(self) -> None:
        """Give the place to the next."""
        with self._lock:
            self._inside -= 1
            self._admit()

    def _admit(self) -> None:
        while self._queue and self._inside < self._limit:
            waiter = heapq.heappop(self._queue)[2]
            waiter.admitted = True
            self._inside += 1
            waiter.wake.set()


class Permits:
    """All gates of one session, made when first needed."""

    def __init__(self, limit_of: Callable[[Hashable], int]) -> None:
        self._limit_of = limit_of
        self._lock = threading.Lock()
        self._gates: dict[Hashable, Gate] = {}

    def gate(self, key: Hashable) -> Gate:
        """Return the gate of that key."""
        gate = self._gates.get(key)
        if gate is None:
            with self._lock:
                gate = self._gates.setdefault(key, Gate(self._limit_of(key)))
        return gate

    @contextmanager
    def hold(self, key: Hashable, order: Order, token: CancelToken | None = None) -> Iterator[None]:
        """Hold a permit; a thread that already holds one of this gate needs no second."""
        gate = self.gate(key)
        held: list[tuple[Gate, Order]] = _held.__dict__.setdefault("gates", [])
        if any(each is gate for each, _ in held):
            yield
            return
        gate.acquire(order, token)
        held.append((gate, order))
        try:
            yield
        finally:
            held.remove((gate, order))
            gate.release()


@contextmanager
def permits_given_back() -> Iterator[None]:
    """Give back all permits that this thread holds, and take them again at the end."""
    held: list[tuple[Gate, Order]] = list(_held.__dict__.get("gates", ()))
    for gate, _ in held:
        gate.release()
    try:
        yield
    finally:
        for gate, order in held:
            gate.acquire(order)
