"""Whether an id that may name both an image and a volume means the one or the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone.errors import LoadstoneError
from loadstone.hookspecs import ImageStack, VoxelSource
from loadstone.ids import ImageId
from loadstone.volume.wish import VolumeWish

if TYPE_CHECKING:
    from loadstone.session import Session

__all__ = ["described_volumes", "is_volume"]


def described_volumes(session: Session, source: str) -> list[ImageStack | VoxelSource]:
    """Return the loader's description of each volume that is there; nothing is decoded."""
    return list(session.described(source, VolumeWish()))


def is_volume(session: Session, source: str) -> bool:
    """
    Say whether an id holds several images, or whole volumes, rather than one image.

    Where its volumes cannot be described it is taken for an image, so that loading it says what is wrong.
    """
    image_id = ImageId(session.to_id(source))
    if image_id.frame is not None:
        return False
    try:
        found = described_volumes(session, source)
    except LoadstoneError:
        return not _loads_images(session, image_id.scheme)
    return len(found) != 1 or not isinstance(found[0], ImageStack) or len(found[0].image_ids) > 1


def _loads_images(session: Session, scheme: str) -> bool:
    try:
        session.registry.image_loader(scheme)
    except LoadstoneError:
        return False
    return True
