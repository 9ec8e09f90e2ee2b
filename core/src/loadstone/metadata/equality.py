"""Equality by value for records that hold arrays, which Python's own comparison cannot decide."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

__all__ = ["EqualByValue"]


class EqualByValue:
    """Base of dataclasses made with ``eq=False``: equal when all fields are, arrays element by element."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Compare type and fields."""
        if type(self) is not type(other):
            return NotImplemented
        return self is other or _values(self) == _values(other)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(_values(self))


def _values(record: Any) -> tuple[object, ...]:  # noqa: ANN401 - a dataclass instance
    return tuple(_comparable(getattr(record, each.name)) for each in fields(record))


def _comparable(value: Any) -> object:  # noqa: ANN401 - of any field
    if hasattr(value, "tobytes"):
        return value.shape, value.dtype.str, value.tobytes()
    return value
