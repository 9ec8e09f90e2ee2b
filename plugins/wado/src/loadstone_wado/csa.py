"""
The header that Siemens hides in its private elements, as far as mosaics need it.

Its format was never published; what is read here is what converters agree about. There are two: the newer one
begins with ``SV10``, the older one has no mark and measures the length of items against that of the first.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class, and `error` says too little
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["csa_values"]

_COUNT: Final = Struct("<II").unpack_from
_TAG: Final = Struct("<64si4siii").unpack_from
_ITEM: Final = Struct("<iiii").unpack_from
_TAG_LENGTH, _ITEM_LENGTH = 84, 16
_MOST_TAGS: Final = 1024
"""Scanners write about a hundred."""
_MOST_ITEMS: Final = 4096


def csa_values(data: bytes) -> Mapping[str, tuple[str, ...]]:
    """
    Read the elements of a CSA header.

    Parameters
    ----------
    data
        The value of the private element.

    Returns
    -------
    mapping
        Name to the values as text, empty ones left out. What follows a damaged place is not there.
    """
    newer = data[:4] == b"SV10"
    found: dict[str, tuple[str, ...]] = {}
    try:
        for name, values in _elements(data, 8 if newer else 0, newer=newer):
            found.setdefault(name, values)
    except StructError:
        # It ends early: what was there up to here is as good as before.
        pass
    return found


def _elements(data: bytes, position: int, *, newer: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    count, _ = _COUNT(data, position)
    position += 8
    first_length: int | None = None
    for _ in range(min(count, _MOST_TAGS)):
        name, _, _, _, items, _ = _TAG(data, position)
        position += _TAG_LENGTH
        first_length = items if first_length is None else first_length
        values = []
        for _ in range(min(max(items, 0), _MOST_ITEMS)):
            sizes = _ITEM(data, position)
            position += _ITEM_LENGTH
            length = sizes[1] if newer else sizes[0] - first_length
            if length < 0 or position + length > len(data):
                return
            values.append(_text(data[position : position + length]))
            position += -(-length // 4) * 4
        yield _text(name), tuple(value for value in values if value)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1").strip()
