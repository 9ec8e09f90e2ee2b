"""
Who waits for whom: finds the loads that would wait for themselves.

A load is done when all that work for it are done: threads and coroutines, here strands. A strand may wait for
a load, or for another strand (which opens a source). A way back to the strand itself means waiting for ever.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from loadstone.errors import LoadCycleError
from loadstone.pools import RequestType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from queue import SimpleQueue

    from loadstone.permits import Order
    from loadstone.shared_load import SharedLoad

__all__ = [
    "Strand",
    "asking",
    "current_load",
    "current_order",
    "current_strand",
    "forget_strands",
    "waiting",
    "working",
]

_lock = threading.Lock()
_current: ContextVar[Strand | None] = ContextVar("loadstone_strand", default=None)
"""A context variable, so that a coroutine belongs to the load of the worker that waits for it."""
_order: ContextVar[Order | None] = ContextVar("loadstone_order", default=None)
"""How urgent its requests are, where that is not how urgent its load is: the frames of a volume."""


class Strand:
    """The work of one thread or coroutine for a load."""

    __slots__ = ("errands", "load", "waits_for")

    def __init__(self, load: SharedLoad[Any]) -> None:
        self.load = load
        self.waits_for: list[SharedLoad[Any] | Strand] = []
        self.errands: SimpleQueue[Callable[[], object] | None] | None = None
        """What a coroutine asks the thread to do that waits for it meanwhile."""


def current_strand() -> Strand | None:
    """Return what the calling thread or coroutine works on, or None."""
    return _current.get()


def current_load() -> SharedLoad[Any] | None:
    """Return the load that the calling thread or coroutine works on, or None."""
    strand = _current.get()
    return None if strand is None else strand.load


def current_order() -> Order:
    """Return how urgent the requests of the calling thread or coroutine are."""
    order = _order.get()
    if order is not None:
        return order
    load = current_load()
    request = load.request if load is not None else None
    return (RequestType.PREFETCH, 0) if request is None else (request.type, request.priority)


@contextmanager
def asking(order: Order) -> Iterator[None]:
    """Mark the calling thread as one whose requests are that urgent, whatever its load is."""
    before = _order.set(order)
    try:
        yield
    finally:
        _order.reset(before)


@contextmanager
def working(load: SharedLoad[Any]) -> Iterator[None]:
    """Mark the calling thread as working on a load; one that does already stays the same strand."""
    current = _current.get()
    if current is not None and current.load is load:
        yield
        return
    strand = Strand(load)
    with _lock:
        load.strands.append(strand)
    before, order = _current.set(strand), _order.set(None)
    try:
        yield
    finally:
        _order.reset(order)
        _current.reset(before)
        with _lock:
            load.strands.remove(strand)


@contextmanager
def waiting(strand: Strand, wanted: SharedLoad[Any] | Strand) -> Iterator[None]:
    """
    Surround the wait of a strand.

    Raises
    ------
    LoadCycleError
        If what it waits for waits for it.
    """
    with _lock:
        way = _way(wanted, strand)
        if way is None:
            strand.waits_for.append(wanted)
    if way is not None:
        ids = " → ".join([strand.load.id, *way])
        raise LoadCycleError(f"the load waits for itself: {ids}", source=strand.load.id)
    try:
        yield
    finally:
        with _lock:
            strand.waits_for.remove(wanted)


def _way(node: SharedLoad[Any] | Strand, target: Strand) -> list[str] | None:
    """Return the ids on the way from a node to a strand, or None if there is no way."""
    ways: list[tuple[SharedLoad[Any] | Strand, list[str]]] = [(node, _named(node))]
    seen: set[int] = set()
    while ways:
        each, ids = ways.pop()
        if each is target:
            return ids
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Strand):
            ways += ((further, ids + _named(further)) for further in each.waits_for)
        else:
            ways += ((further, [*ids, each.id]) for further in each.strands)
    return None


def _named(node: SharedLoad[Any] | Strand) -> list[str]:
    """Return the id that a strand adds to a way; that of a load comes with its strands."""
    return [node.load.id] if isinstance(node, Strand) else []


def forget_strands() -> None:
    """Start anew in a forked child, where no thread of the parent works any more."""
    global _lock  # noqa: PLW0603 - the one of the process, which somebody may have held at that moment
    _lock = threading.Lock()
    _current.set(None)
