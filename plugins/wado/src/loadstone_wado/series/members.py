"""The instances of a series, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone_wado.tiles import tile_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.metadata import ImagePlane
    from loadstone_wado.frame import Frame
    from loadstone_wado.instance import Instance
    from loadstone_wado.mosaics import Mosaic

__all__ = ["Member", "SeriesImage"]


@dataclass(frozen=True, slots=True)
class Member:
    """An instance and how its images are named."""

    instance: Instance
    """The instance."""
    image_id: Callable[[int], str]
    """Frame number, from 1, to image id."""


@dataclass(frozen=True, slots=True)
class SeriesImage:
    """One image of a series: a frame, or a tile of a mosaic."""

    member: Member
    """The instance that it is a frame of."""
    number: int
    """Which frame, from 1."""
    mosaic: Mosaic | None = None
    """How slices lie on the frame, if it is one of these."""
    tile: int = 0
    """Which of them, from 1; 0 for the whole frame."""

    @property
    def instance(self) -> Instance:
        """The instance that it is a frame of."""
        return self.member.instance

    @property
    def frame(self) -> Frame:
        """What is known about it."""
        return self.member.instance.frame(self.number)

    @property
    def image_id(self) -> str:
        """Its id."""
        frame = self.member.image_id(self.number)
        return tile_id(frame, self.tile) if self.tile else frame

    @property
    def plane(self) -> ImagePlane:
        """Where it lies in space."""
        plane = self.frame.plane
        return self.mosaic.plane(plane, self.tile) if self.mosaic else plane

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        whole = self.mosaic or self.instance.layout
        return whole.rows, whole.columns
