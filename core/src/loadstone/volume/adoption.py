"""What a session already has of a volume's images, copied into the volume in place of being loaded again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.hookspecs import VoxelSource

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from loadstone.image import Image
    from loadstone.image_requests import ImageKey
    from loadstone.options import LoadOptions
    from loadstone.session import Session
    from loadstone.volume.volume import Volume

__all__ = ["absorb", "adopt", "holds_exactly", "own_images"]

_Variants: TypeAlias = "Mapping[Hashable, Sequence[ImageKey]]"
"""Keys of cached images by what they have in common whatever their dtype."""


def adopt(volume: Volume) -> Iterator[int]:
    """
    Copy into a volume what its session has of its images, in the same values; yield the index of each.

    A volume that comes as one block adopts all of its images or none.
    """
    assembly = volume._assembly
    session = assembly.session
    variants = _variants(session, assembly.options)
    if not volume.image_ids or not (variants or session.views.shares_any(volume)):
        return
    names = session.views.keys(volume)
    keys = [(index, key) for index in assembly.missing if (key := names[index]) is not None]
    is_whole = isinstance(assembly.chosen, VoxelSource)
    if is_whole and not all(key[:3] in variants for _, key in keys):
        return
    for index, key in keys:
        image, is_same = _found(session, key, variants)
        if image is not None and assembly.adopt(index, image, is_same=is_same):
            yield index
        elif is_whole:  # it is filled as a whole then, from the start
            return


def own_images(
    session: Session, image_ids: Sequence[str], options: LoadOptions
) -> Callable[[Hashable], bool]:
    """Return what says whether a key of the cache is that of a volume's image, whatever its dtype."""
    cached = session.cache.keys("image")
    keys = session.views.keys_of(image_ids, options) if cached else ()
    known = {key[:3] for key in keys if key is not None}
    own = {key for key in cached if key[:3] in known}
    return own.__contains__


def _variants(session: Session, options: LoadOptions) -> _Variants:
    """Return what is cached of images that were asked for with these options but perhaps for their dtype."""
    variants: dict[Hashable, list[ImageKey]] = defaultdict(list)
    for key in session.cache.keys("image"):
        if _but_dtype(key[3]) == _but_dtype(options):
            variants[key[:3]].append(key)
    return variants


def _but_dtype(options: LoadOptions) -> Hashable:
    return options.scaled, options.values, options.extra


def _found(session: Session, key: ImageKey, variants: _Variants) -> tuple[Image | None, bool]:
    """Return an image that is cached, or a view of another volume, and whether it is of that very key."""
    known = variants.get(key[:3], ())
    image: Image | None = session.cache.get(key) if key in known else session.views.find(key)
    if image is not None:
        return image, True
    for other in known:
        image = session.cache.get(other)
        if image is not None:
            return image, False
    return None, False


def holds_exactly(dtype: np.dtype[Any], pixels: npt.NDArray[Any]) -> bool:
    """Say whether pixels converted to a dtype are what loading them with it gives: floats were rounded."""
    given = pixels.dtype
    if given == dtype:
        return True
    if given.kind not in "iu" or dtype.kind not in "iuf":
        return False
    if np.can_cast(given, dtype):
        return True
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    return limits is not None and limits.min <= int(pixels.min()) and int(pixels.max()) <= limits.max


def absorb(volume: Volume) -> None:
    """Have the images of a volume counted once: those that it shows are no longer kept beside it."""
    session = volume._assembly.session
    if not session.cache.keys("image"):
        return
    for index, key in enumerate(session.views.keys(volume)):
        if key in session.cache and volume._assembly.viewed(index, volume.loader) is not None:
            session.cache.remove(key)
