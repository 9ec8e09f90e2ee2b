"""What was made of equal attributes, so that the images of a series share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from loadstone_wado.elements import Elements
    from loadstone_wado.tags import Attribute

__all__ = ["Memo"]

T = TypeVar("T")

_MOST: Final = 256
"""Results that are kept; one for each kind of image in the series that are being loaded."""


class Memo(Generic[T]):
    """
    Results by the bytes of the attributes they are made of.

    Decoding the attributes that are equal in all images of a series costs as much as everything else about an
    image. Results are immutable, and results of equal attributes are equal, so that a race only computes one
    twice.

    Parameters
    ----------
    *names
        All attributes that the result depends on.
    """

    __slots__ = ("_made", "_names")

    def __init__(self, *names: Attribute) -> None:
        self._names = names
        self._made: dict[Hashable, T] = {}

    def get(self, elements: Elements, make: Callable[[Elements], T]) -> T:
        """
        Return what `make` gives for `elements`; what it raises is not kept.

        Parameters
        ----------
        elements
            The attributes.
        make
            Makes the result; looks at nothing but the names of this memo.
        """
        key = elements.fingerprint(self._names)
        if key is None:
            return make(elements)
        made = self._made.get(key)
        if made is None:
            made = make(elements)
            if len(self._made) >= _MOST:
                self._made.clear()
            self._made[key] = made
        return made
