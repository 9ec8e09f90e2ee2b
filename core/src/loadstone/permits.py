"""
Permits: how many may do one kind of thing at a time, in order of priority.

A retrieval needs one of its host and type, a file read and a decode one of their own. Limits of one never
deadlock: a worker that waits for another load gives its permits back for that time, and several permits are
always taken in one order (host, file, compute), for which those that come later are given back for a moment.

Cores belong to the process: sessions that may use all of them take their permits to compute from one gate, so
that several sessions together decode no more at a time than one.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from loadstone.settings import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from loadstone.cancel import CancelToken

__all__ = ["Gate", "Order", "Permits", "forget_shared_permits", "permits_given_back"]

COMPUTE: Final = "compute"

Order = tuple[int, int]
"""(type, priority): lower goes first, equal ones in order of arrival."""


class _Waiter:
    __slots__ = ("admitted", "wake")

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.admitted = False


class Gate:
    """
    A semaphore that admits by priority.

    Parameters
    ----------
    limit
        How many may be inside.
    rank
        Its place in the order in which several are taken.
    """

    def __init__(self, limit: int, rank: tuple[int, str] = (0, "")) -> None:
        self.rank = rank
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
        """How many may be; raised, the next are admitted, lowered, nobody is sent out."""
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


_of_the_process = Gate(1, (2, "of all sessions"))
"""What sessions compute by that may use all cores; its limit is set when one of them asks."""


def forget_shared_permits() -> None:
    """Start anew in a forked child: the threads that hold permits are the parent's."""
    global _of_the_process  # noqa: PLW0603 - the one gate of the process
    _of_the_process = Gate(1, _of_the_process.rank)


class _Share(Gate):
    """
    The part of one session in the gate of the process.

    A loader that hangs keeps its permit, but not beyond the end of its session: others would wait for it.
    """

    def __init__(self) -> None:
        self._whole = _of_the_process
        super().__init__(self._whole.limit, self._whole.rank)
        self._ended = False

    @property
    def limit(self) -> int:
        """How many may be inside, of all sessions together."""
        return self._whole.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._whole.limit = limit

    def acquire(self, order: Order, token: CancelToken | None = None) -> None:
        """Wait for a place, as in every gate."""
        self._whole.acquire(order, token)
        with self._lock:
            self._inside += 1
            ended = self._ended
        if ended:
            self.end()

    def release(self) -> None:
        """Give the place to the next, of whatever session."""
        with self._lock:
            if not self._inside:
                return
            self._inside -= 1
        self._whole.release()

    def end(self) -> None:
        """Give all places back, also of those who will never come out."""
        with self._lock:
            self._ended = True
            left_behind, self._inside = self._inside, 0
        for _ in range(left_behind):
            self._whole.release()


@dataclass(frozen=True, slots=True, eq=False)
class _Permit:
    gate: Gate
    order: Order


class _Held(threading.local):
    """The permits of one thread."""

    def __init__(self) -> None:
        self.permits: list[_Permit] = []


_held = _Held()


class Permits:
    """
    All gates of one session, made when first needed.

    Parameters
    ----------
    limit_of
        Gives the limit of a gate that is made.
    """

    def __init__(self, limit_of: Callable[[Hashable], int]) -> None:
        self._limit_of = limit_of
        self._lock = threading.Lock()
        self._gates: dict[Hashable, Gate] = {}
        self._share = _Share()

    def gate(self, key: Hashable) -> Gate:
        """Return the gate of that key."""
        gate = self._gates.get(key)
        if gate is None:
            with self._lock:
                gate = self._gates.get(key)
                if gate is None:
                    gate = self._gates[key] = self._with_limit(key, None)
        return gate

    def update(self) -> None:
        """Give every gate the limit that it would be made with now."""
        with self._lock:
            for key, gate in self._gates.items():
                self._gates[key] = self._with_limit(key, gate)

    def _with_limit(self, key: Hashable, gate: Gate | None) -> Gate:
        """Return the gate for what the key may have now; whoever is inside another one leaves by that."""
        limit = self._limit_of(key)
        if key == COMPUTE and limit == cores():
            gate = self._share
        elif gate is None or gate is self._share:
            gate = Gate(limit, _rank(key))
        gate.limit = limit
        return gate

    def end(self) -> None:
        """Leave the cores to other sessions."""
        self._share.end()

    def hold(
        self, key: Hashable, order: Order, token: CancelToken | None = None
    ) -> AbstractContextManager[None]:
        """Hold a permit; a thread that already holds one of this gate needs no second."""
        return _Hold(self.gate(key), order, token)


class _Hold:
    """A permit while it is held; every image takes one, and a generator would cost three times as much."""

    __slots__ = ("_gate", "_order", "_permit", "_token")

    def __init__(self, gate: Gate, order: Order, token: CancelToken | None) -> None:
        self._gate = gate
        self._order = order
        self._token = token
        self._permit: _Permit | None = None

    def __enter__(self) -> None:
        gate, held = self._gate, _held.permits
        if not held:
            gate.acquire(self._order, self._token)
        elif any(permit.gate is gate for permit in held):
            return
        else:
            with _given_back([permit for permit in held if permit.gate.rank > gate.rank]):
                gate.acquire(self._order, self._token)
        self._permit = _Permit(gate, self._order)
        held.append(self._permit)

    def __exit__(self, *_: object) -> None:
        if self._permit is not None:
            _held.permits.remove(self._permit)
            self._gate.release()


def _rank(key: Hashable) -> tuple[int, str]:
    return {"file": 1, COMPUTE: 2}.get(str(key), 0), str(key)


@contextmanager
def permits_given_back() -> Iterator[None]:
    """Give back all permits that this thread holds, and take them again at the end."""
    with _given_back(list(_held.permits)):
        yield


@contextmanager
def _given_back(permits: Sequence[_Permit]) -> Iterator[None]:
    if not permits:
        yield
        return
    held = _held.permits
    for permit in permits:
        held.remove(permit)
        permit.gate.release()
    try:
        yield
    finally:
        for permit in sorted(permits, key=attrgetter("gate.rank")):
            permit.gate.acquire(permit.order)
            held.append(permit)
