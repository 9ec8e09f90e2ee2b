"""The keywords of the loading functions, so that a type checker knows them wherever they are passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import numpy.typing as npt

    from loadstone.geometry import GeometryPolicy
    from loadstone.pools import RequestType
    from loadstone.retrieve import RetrieveConfiguration

__all__ = ["ImageKeywords", "VolumeKeywords"]


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
