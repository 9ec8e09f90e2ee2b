"""The keywords of the loading functions, for type checkers wherever they are passed on, and their meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

from loadstone.errors import LoadstoneError
from loadstone.geometry import GeometryPolicy
from loadstone.options import LoadOptions
from loadstone.pools import RequestType
from loadstone.volume.memory import ZEROED
from loadstone.volume.wish import VolumeWish

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import numpy.typing as npt

    from loadstone.image_requests import ImageRequest
    from loadstone.retrieve import RetrieveConfiguration
    from loadstone.retrieve.registry import RetrieveWish
    from loadstone.volume.memory import Allocation
    from loadstone.volume_requests import VolumeRequest

__all__ = ["ImageKeywords", "VolumeKeywords", "to_image_request", "to_volume_request"]


class ImageKeywords(TypedDict, total=False):
    """What may be asked for beside the name of an image."""

    scaled: bool
    """Whether to apply slope and intercept and to convert to RGB (default); False gives the stored values."""
    dtype: npt.DTypeLike | None
    """dtype of the pixels, in place of the one that follows from the headers; every value is checked."""
    values: str | None
    """A kind of values that the plugin knows, such as ``"suvbw"``."""
    options: Mapping[str, Hashable] | None
    """Further options that the plugin knows."""
    type: RequestType
    """What the request is for; decides who goes first. Default INTERACTION."""
    priority: int
    """Within one type lower numbers go first. Default 0."""
    cache: bool
    """Whether the session keeps the result (default)."""
    reload: bool
    """Whether to load it anew even if the session keeps it."""
    retrieve: RetrieveConfiguration | str | None
    """
    By which stages to load it: a configuration, or the name of a built-in one; default: what the session has
    for it, see `loadstone.retrieve`. The result is the same.
    """


class VolumeKeywords(ImageKeywords, total=False):
    """What may be asked for beside the name of a volume."""

    geometry: GeometryPolicy | None
    """What to do about slices that do not form a regular volume; default: refuse all but gantry tilt."""
    errors: Literal["raise", "collect"]
    """Whether a volume that lacks images is an error (default), or a result that says what is missing."""
    pinned: bool
    """Whether the volume stays in memory until it is released."""
    image_ids: Sequence[str] | None
    """The images that it is to consist of; then the source is just its name."""
    prefetch_metadata: bool
    """
    Whether its images are described before any is loaded (default). Else they are loaded at once, sorted and
    checked afterwards, and take memory beside the volume until then.
    """
    writable: bool
    """
    Whether its array can be written to, as torch wants it. It is then the caller's own: nobody else gets it,
    and the session does not keep it.
    """
    allocate: Literal["ram", "file"]
    """
    Where its voxels are: in memory (default), or in a temporary file that is mapped into memory, for volumes
    beyond it. Such a file counts in no budget; it is gone when the last view of the volume is.
    """


def to_image_request(
    *,
    scaled: bool = True,
    dtype: npt.DTypeLike | None = None,
    values: str | None = None,
    options: Mapping[str, Hashable] | None = None,
    type: RequestType = RequestType.INTERACTION,
    priority: int = 0,
    cache: bool = True,
    reload: bool = False,
    retrieve: RetrieveWish = None,
) -> ImageRequest:
    """
    Return what is to be done for the keywords of a request for an image.

    Raises
    ------
    LoadstoneError
        If one of them is not what it may be.
    """
    if not isinstance(type, RequestType):
        raise LoadstoneError(
            f"type={type!r} is no RequestType", hint="Use RequestType.INTERACTION or the like."
        )
    if not isinstance(priority, int):
        raise LoadstoneError(f"priority={priority!r} is no integer", hint="Lower numbers go first.")
    return {
        "options": LoadOptions.of(scaled=scaled, dtype=dtype, values=values, extra=options),
        "type": type,
        "priority": priority,
        "cache": cache,
        "reload": reload,
        "retrieve": retrieve,
    }


def to_volume_request(
    *,
    geometry: GeometryPolicy | None = None,
    errors: Literal["raise", "collect"] = "raise",
    pinned: bool = False,
    image_ids: Sequence[str] | None = None,
    prefetch_metadata: bool = True,
    writable: bool = False,
    allocate: Allocation = "ram",
    **keywords: Unpack[ImageKeywords],
) -> VolumeRequest:
    """
    Return what is to be done for the keywords of a request for a volume.

    Raises
    ------
    LoadstoneError
        If one of them is not what it may be, or they contradict each other.
    """
    if errors not in {"raise", "collect"}:
        raise LoadstoneError(f"errors={errors!r}", hint="Use 'raise' or 'collect'.")
    if image_ids is not None:
        _check_names(image_ids)
    if writable and pinned:
        raise LoadstoneError(
            "writable=True and pinned=True: what the session keeps is read-only", hint="Ask for one of them."
        )
    if allocate not in ZEROED:
        raise LoadstoneError(f"allocate={allocate!r}", hint=f"Use one of {', '.join(map(repr, ZEROED))}.")
    request = to_image_request(**keywords)
    wish = VolumeWish(
        request["options"],
        geometry or GeometryPolicy(),
        None if image_ids is None else tuple(image_ids),
        request["cache"] and not writable,
        pinned,
        errors == "collect",
        writable,
        prefetch_metadata=prefetch_metadata,
        retrieve=request["retrieve"],
        allocate=allocate,
    )
    return {
        "wish": wish,
        "type": request["type"],
        "priority": request["priority"],
        "reload": request["reload"],
    }


def _check_names(image_ids: Sequence[str]) -> None:
    if not image_ids:
        raise LoadstoneError("image_ids is empty", hint="Name at least one image.")
    # An image has one place in a volume: loaded for the first, it would never come to the second.
    repeated = len(image_ids) - len(set(image_ids))
    if repeated:
        raise LoadstoneError(
            f"image_ids names {repeated} of its {len(image_ids)} images again", hint="Name each image once."
        )
