"""What a progressive load consists of: stages, each of which asks for some images at some quality."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from loadstone.errors import LoadstoneError
from loadstone.image import Quality
from loadstone.pools import RequestType

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FINAL", "NearbyFill", "RetrieveConfiguration", "RetrieveOptions", "Stage"]


@dataclass(frozen=True, slots=True)
class RetrieveOptions:
    """
    How an image is to be retrieved: what a loader finds in `LoadContext.retrieve`.

    A loader may always give a better image than that: one that knows no other gives the final one.
    """

    quality: Quality = Quality.FULL
    """The quality that is enough."""
    byte_range: tuple[int, int | None] | None = None
    """
    First byte, and the byte behind the last, of what is to be fetched of an encoded image; what comes before
    is there from earlier stages. None behind the last: to the end. None for both: the loader decides.
    """
    decode_level: int | None = None
    """How often rows and columns are halved when the image is decoded; None: the loader decides."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        start, stop = self.byte_range or (0, None)
        if start < 0 or (stop is not None and stop <= start):
            raise LoadstoneError(f"byte_range={self.byte_range} holds no byte")
        if self.decode_level is not None and self.decode_level < 0:
            raise LoadstoneError(f"decode_level={self.decode_level} is negative")

    @property
    def is_final(self) -> bool:
        """Whether only the final image will do."""
        return self.quality >= Quality.FULL


FINAL: Final = RetrieveOptions()
"""How every image is retrieved that is not loaded progressively."""


@dataclass(frozen=True, slots=True)
class NearbyFill:
    """An index next to one that has arrived, which its pixels are copied to while it has nothing better."""

    offset: int
    """From the index that has arrived."""
    quality: Quality
    """How the copy counts: ADJACENT_REPLICATE, FAR_REPLICATE."""

    def __post_init__(self) -> None:
        """Refuse copies that would pass for the real thing."""
        if not self.offset or self.quality > Quality.ADJACENT_REPLICATE:
            raise LoadstoneError(f"{self} is no copy of a neighbour")


@dataclass(frozen=True, slots=True)
class Stage:
    """Which images to ask for next, and how."""

    name: str
    """For events."""
    positions: tuple[float, ...] | None = None
    """
    Which images: an index from 1 on; below 0 from the end; from 0 to below 1 the share of the way from the
    first to the last. None: `decimate` and `offset` say it.
    """
    decimate: int = 1
    """Every how manieth image."""
    offset: int = 0
    """The first of them."""
    retrieve_type: str = "default"
    """Which of the configuration's options it uses."""
    request_type: RequestType = RequestType.PREFETCH
    """What its requests count as."""
    priority: int = 0
    """Within that type, added to the priority of the load: lower goes first, whichever volume asks."""
    nearby: tuple[NearbyFill, ...] = ()
    """Which neighbours each of its images stands in for."""

    def __post_init__(self) -> None:
        """Refuse what asks for nothing."""
        if self.decimate < 1 or self.offset < 0:
            raise LoadstoneError(
                f"stage {self.name!r} has decimate={self.decimate} and offset={self.offset}",
                hint="decimate is at least 1, offset at least 0.",
            )

    def indices(self, count: int) -> tuple[int, ...]:
        """
        Return the indices that it asks for among `count` images, in its order.

        Raises
        ------
        LoadstoneError
            If a position lies outside.
        """
        if self.positions is None:
            return tuple(range(self.offset, count, self.decimate))
        return tuple(dict.fromkeys(self._index(position, count) for position in self.positions))

    def _index(self, position: float, count: int) -> int:
        index = math.floor((count - 1) * position) if 0 <= position < 1 else int(position)
        index += count if position < 0 else 0
        if not 0 <= index < count:
            raise LoadstoneError(f"stage {self.name!r} asks for position {position:g} of {count} images")
        return index


@dataclass(frozen=True, slots=True)
class RetrieveConfiguration:
    """
    The stages of a progressive load, in order.

    An image that is better already is asked for no more. What the stages leave out, or leave at a lower
    quality, is loaded at the end, so that every configuration ends with what a plain load gives.
    """

    stages: tuple[Stage, ...]
    """In order: a stage begins when the one before has ended."""
    options: tuple[tuple[str, RetrieveOptions], ...] = field(default=())
    """Of each retrieve type; one that is not named is that of ``default``, else the final quality."""

    def options_of(self, stage: Stage) -> RetrieveOptions:
        """Return how a stage retrieves its images."""
        known = dict(self.options)
        return known.get(stage.retrieve_type) or known.get("default") or FINAL

    def with_options(self, **options: RetrieveOptions) -> Self:
        """Return the same stages with other options for some retrieve types."""
        return replace(self, options=tuple(sorted((dict(self.options) | options).items())))

    @classmethod
    def of(cls, stages: Iterable[Stage], **options: RetrieveOptions) -> Self:
        """Return a configuration of some stages with options for their retrieve types."""
        return cls(tuple(stages)).with_options(**options)
