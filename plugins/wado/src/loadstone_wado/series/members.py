"""The instances of a series, and their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.frame import Frame
    from loadstone_wado.instance import Instance

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
    """One image of a series."""

    member: Member
    """The instance that it is a frame of."""
    number: int
    """Which frame, from 1."""

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
        return self.member.image_id(self.number)
