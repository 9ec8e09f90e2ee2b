"""Attributes that are computed when they are first asked for, and whose errors say what was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from loadstone.errors import LoadstoneError
from loadstone_wado.naming import named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - used like `property`
    """
    A property that is computed once.

    `functools.cached_property` of Python 3.11 takes a lock that all instances share: 1 µs, and threads that
    describe different objects wait for each other. Here two threads may both compute; the values are equal
    and either stays.

    Parameters
    ----------
    compute
        The method.
    """

    def __init__(self, compute: Callable[..., T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | Self:
        """Compute the value and leave it in the instance, which is looked at before this."""
        if instance is None:
            return self
        try:
            value = self._compute(instance)
        except LoadstoneError as error:
            raise named(error, getattr(instance, "source", "")) from error.__cause__
        instance.__dict__[self._name] = value
        return value
