"""Finding out which volumes an id names, before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadstone.errors import InvalidIdError, PluginContractError
from loadstone.hookspecs import ImageStack, VoxelSource
from loadstone.image import LoaderInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.context import LoadContext
    from loadstone.ids import VolumeId
    from loadstone.volume.wish import VolumeWish

__all__ = ["describe", "the_only"]

STREAMING = LoaderInfo("loadstone.volume", "loadstone")
"""Who makes a volume from ``image_ids=`` alone."""


def describe(
    context: LoadContext,
    volume_id: VolumeId,
    wish: VolumeWish,
    described: ImageStack | VoxelSource | None = None,
) -> tuple[Sequence[ImageStack | VoxelSource], LoaderInfo]:
    """
    Ask the loader which volumes an id names, unless that is known already.

    Raises
    ------
    LoadstoneError
        If the id cannot be opened, or names no volume.
    """
    if wish.image_ids is not None:
        return [ImageStack(volume_id, wish.image_ids)], STREAMING
    registration = context.session.registry.volume_loader(volume_id.scheme)
    if described is not None:
        return [described], registration.info
    found = list(registration.record.open(volume_id, context.for_memory(NoMemory())))
    if not found:
        raise PluginContractError("the loader found no volume and did not say why", source=volume_id)
    for each in found:
        if not isinstance(each, ImageStack | VoxelSource):
            raise PluginContractError(f"the loader described {type(each).__name__}", source=volume_id)
    return found, registration.info


class NoMemory:
    """Stands for the output memory while a volume is only described."""

    def allocate(self, shape: tuple[int, ...], dtype: Any, image_id: str | None) -> Any:  # noqa: ANN401
        """Refuse."""
        raise PluginContractError("a volume is described without allocating pixels")

    def charge(self, nbytes: int, image_id: str | None) -> None:
        """Charge nothing: what is fetched to describe volumes is kept by sources, which are charged."""


def the_only(found: Sequence[ImageStack | VoxelSource], volume_id: VolumeId) -> ImageStack | VoxelSource:
    """
    Return the one volume that was found.

    Raises
    ------
    InvalidIdError
        If there are several; the message lists their ids.
    """
    if len(found) == 1:
        return found[0]
    listed = "\n  ".join(f"{each.volume_id}  {each.description}".rstrip() for each in found)
    raise InvalidIdError(
        f"there are {len(found)} volumes",
        source=volume_id,
        hint=f"Load one of them, or all with load_volumes():\n  {listed}",
    )
