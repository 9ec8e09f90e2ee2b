"""What is known along an axis that is not one of space: time points, b-values, segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loadstone.errors import LoadstoneError

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Axis"]


@dataclass(frozen=True, slots=True)
class Axis:
    """
    One axis of a volume in front of the slices, with a value for each of its indices.

    Raises
    ------
    LoadstoneError
        If it has no name or no values.

    Examples
    --------
    >>> time = Axis("t", (0.0, 2.5, 5.0), "s", "TriggerTime")
    >>> len(time), time.values[1], time.units
    (3, 2.5, 's')
    """

    name: str
    """As in the axes of the array: ``t`` time or whatever distinguishes time points, ``v``, ``segment``."""
    values: tuple[float | str, ...]
    """What is recorded for each index: all numbers, or all text; 0, 1, 2, … where nothing is."""
    units: str = ""
    """Of numbers: ``s``, ``ms``, ``s/mm2``; empty for counts, labels and what is not recorded."""
    source: str = ""
    """The attribute that the values are, by its standard name (``TemporalPositionIdentifier``,
    ``DiffusionBValue``); ``InstanceNumber`` where only the order of the images tells; empty: nothing does."""

    def __post_init__(self) -> None:
        """Refuse what is no axis."""
        if not self.name or not self.values:
            raise LoadstoneError(
                f"an axis of the name {self.name!r} with {len(self.values)} values",
                hint="Name it, and give a value for each of its indices.",
            )

    def __len__(self) -> int:
        """Return how many indices it has."""
        return len(self.values)

    @property
    def array(self) -> npt.NDArray[Any]:
        """The values as a new 1-D array: float64, or text."""
        return np.array(self.values)
