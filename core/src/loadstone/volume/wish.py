"""What a caller asks for beside the id of a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadstone.geometry import GeometryPolicy
from loadstone.options import LoadOptions

if TYPE_CHECKING:
    from collections.abc import Hashable

    from loadstone.retrieve.registry import RetrieveWish
    from loadstone.volume.memory import Allocation

__all__ = ["VolumeWish"]


@dataclass(frozen=True, slots=True)
class VolumeWish:
    """What a caller asked for beside the id of a volume."""

    options: LoadOptions = field(default_factory=LoadOptions)
    """What changes voxels."""
    policy: GeometryPolicy = field(default_factory=GeometryPolicy)
    """What to do about irregular geometry."""
    image_ids: tuple[str, ...] | None = None
    """The images that it is to consist of, in place of asking a loader."""
    cache: bool = True
    """Whether the session keeps it."""
    pinned: bool = False
    """Whether it stays until it is released."""
    collect: bool = False
    """Whether an incomplete volume is a result rather than an error."""
    writable: bool = False
    """Whether its memory is the caller's own, to be written to; then the session does not keep it."""
    prefetch_metadata: bool = True
    """Whether its images are described before they are loaded; the result is the same."""
    retrieve: RetrieveWish = None
    """By which stages it is loaded; the result is the same."""
    allocate: Allocation = "ram"
    """Where its voxels are; a volume that is already kept stays where it is."""

    def key(self, volume_id: str) -> Hashable:
        """Return what two loads have in common that give the same volume."""
        return "volume", volume_id, self.options, self.policy, self.image_ids
