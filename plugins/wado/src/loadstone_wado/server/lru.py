"""A small mapping that forgets what was not used for longest."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["LeastRecentlyUsed"]

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")


class LeastRecentlyUsed(Generic[Key, Value]):
    """Keep values up to a total weight; safe to use from many threads.

    Parameters
    ----------
    capacity
        The greatest total weight.
    weigh
        Weight of a value. One that is heavier than the capacity is not kept.
    """

    def __init__(self, capacity: int, weigh: Callable[[Value], int]) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._total = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made by `make` when it is not here.

        Two threads that miss at once both make it; the values are equal, and one of them stays.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        self._keep(key, value)
        return value

    def _keep(self, key: Key, value: Value) -> None:
        weight = self._weigh(value)
        with self._lock:
            if key in self._values or weight > self._capacity:
                return
            self._values[key] = value
            self._total += weight
            while self._total > self._capacity:
                _, dropped = self._values.popitem(last=False)
                self._total -= self._weigh(dropped)
