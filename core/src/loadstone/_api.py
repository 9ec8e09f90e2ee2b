"""The functions of the package: the default session's; inside a loader, those of its own session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from loadstone._plugins import PluginInfo, RegistrationHandle, default_registry
from loadstone.default_session import current_session
from loadstone.events import Event, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from loadstone.hookspecs import ImageLoad, ImageLoader, VolumeLoader, VolumeOpen
    from loadstone.image import Image
    from loadstone.keywords import ImageKeywords, VolumeKeywords
    from loadstone.load_object import LoadObject
    from loadstone.scanning import SeriesTable
    from loadstone.session import ProgressWish, Session
    from loadstone.volume import Volume

E = TypeVar("E", bound=Event)
Source = str | os.PathLike[str]


def default_session() -> Session:
    """Return the session that the functions of the package use; made when first needed."""
    return current_session()


def load_image(source: Source, *, progress: ProgressWish = None, **keywords: Unpack[ImageKeywords]) -> Image:
    """Load an image and wait for it; see `Session.load_image`."""
    return current_session().load_image(source, progress=progress, **keywords)


def request_image(source: Source, **keywords: Unpack[ImageKeywords]) -> LoadObject[Image]:
    """Ask for an image and return at once; see `Session.request_image`."""
    return current_session().request_image(source, **keywords)


def load_volume(
    source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
) -> Volume:
    """Load the volume that is there and wait for it; see `Session.load_volume`."""
    return current_session().load_volume(source, progress=progress, **keywords)


def request_volume(source: Source, **keywords: Unpack[VolumeKeywords]) -> LoadObject[Volume]:
    """Ask for a volume and return at once; see `Session.request_volume`."""
    return current_session().request_volume(source, **keywords)


def create_volume(
    source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
) -> Volume:
    """Load a volume that stays in memory until it is released; see `Session.create_volume`."""
    return current_session().create_volume(source, progress=progress, **keywords)


def release(what: Volume | Image, *, keep_images: bool = False) -> None:
    """Let go of a volume that `create_volume` keeps, or of what was made here; see `Session.release`."""
    current_session().release(what, keep_images=keep_images)


def create_local_volume(
    array: npt.ArrayLike,
    volume_id: str | None = None,
    *,
    affine: npt.NDArray[np.float64] | None = None,
    spacing: tuple[float | None, float | None, float | None] = (None, None, None),
    axes: Sequence[str] | None = None,
    units: str = "",
    allocate: Literal["ram", "file"] = "ram",
) -> Volume:
    """Make a volume of an array; see `Session.create_local_volume`."""
    return current_session().create_local_volume(
        array, volume_id, affine=affine, spacing=spacing, axes=axes, units=units, allocate=allocate
    )


def create_derived_volume(
    volume: Volume, *, dtype: npt.DTypeLike | None = None, volume_id: str | None = None
) -> Volume:
    """Make a volume of zeros where another one lies; see `Session.create_derived_volume`."""
    return current_session().create_derived_volume(volume, dtype=dtype, volume_id=volume_id)


def create_labelmap_volume(volume: Volume, *, volume_id: str | None = None) -> Volume:
    """Make a volume of labels where another one lies; see `Session.create_labelmap_volume`."""
    return current_session().create_labelmap_volume(volume, volume_id=volume_id)


def create_local_image(image: Image | npt.ArrayLike, image_id: str | None = None) -> Image:
    """Make an image of pixels; see `Session.create_local_image`."""
    return current_session().create_local_image(image, image_id)


def create_derived_image(
    image: Image, *, dtype: npt.DTypeLike | None = None, image_id: str | None = None
) -> Image:
    """Make an image of zeros where another one lies; see `Session.create_derived_image`."""
    return current_session().create_derived_image(image, dtype=dtype, image_id=image_id)


def create_labelmap_image(image: Image, *, image_id: str | None = None) -> Image:
    """Make an image of labels where another one lies; see `Session.create_labelmap_image`."""
    return current_session().create_labelmap_image(image, image_id=image_id)


def subscribe(kind: type[E], callback: Callable[[E], object]) -> Subscription:
    """Call `callback` with every event of that type; see `Session.subscribe`."""
    return current_session().subscribe(kind, callback)


def load_volumes(
    source: Source, *, progress: ProgressWish = None, **keywords: Unpack[VolumeKeywords]
) -> list[Volume]:
    """Load all volumes that are there; see `Session.load_volumes`."""
    return current_session().load_volumes(source, progress=progress, **keywords)


def volume_ids(source: Source) -> list[str]:
    """Return the id of each volume that is there; see `Session.volume_ids`."""
    return current_session().volume_ids(source)


def image_ids(source: Source) -> list[str]:
    """Return the ids of the images of all volumes that are there; see `Session.image_ids`."""
    return current_session().image_ids(source)


def scan(source: Source) -> SeriesTable:
    """Return a row for each volume that is there, from headers only; see `Session.scan`."""
    return current_session().scan(source)


def to_id(source: Source) -> str:
    """
    Return the id that a path or plain URL stands for.

    Parameters
    ----------
    source
        A path, a ``file:`` URL, an http(s) URL, or an id, which is returned as it is.

    Raises
    ------
    InvalidIdError
        If no installed plugin claims its suffix, or several do.

    Examples
    --------
    >>> loadstone.to_id("/data/t1.nii.gz")  # doctest: +SKIP
    'nifti:/data/t1.nii.gz'
    """
    return default_registry().to_id(source)


def register_image_loader(
    scheme: str,
    load: ImageLoad | ImageLoader,
    *,
    replace: bool = False,
    **fields: Any,  # noqa: ANN401 - fields of VolumeLoader
) -> RegistrationHandle:
    """
    Register a loader of images for this process.

    Parameters
    ----------
    scheme
        The scheme that it loads.
    load
        A function ``(image_id, context) -> Image``, or a whole `ImageLoader` record.
    replace
        Whether it takes the place of an installed or registered one.
    **fields
        Further fields of `ImageLoader`.

    Returns
    -------
    RegistrationHandle
        Ends the registration; also a context manager.

    Raises
    ------
    SchemeConflictError
        If somebody claims the scheme and `replace` is False.
    """
    return default_registry().register_image_loader(scheme, load, replace=replace, **fields)


def register_volume_loader(
    scheme: str,
    open: VolumeOpen | VolumeLoader,
    *,
    replace: bool = False,
    **fields: Any,  # noqa: ANN401 - fields of VolumeLoader
) -> RegistrationHandle:
    """Register a loader of volumes for this process; otherwise as `register_image_loader`."""
    return default_registry().register_volume_loader(scheme, open, replace=replace, **fields)


def unregister_image_loader(scheme: str) -> None:
    """Take back the registration of a scheme; an installed plugin serves it again."""
    default_registry().unregister_image_loader(scheme)


def unregister_volume_loader(scheme: str) -> None:
    """Take back the registration of a scheme; an installed plugin serves it again."""
    default_registry().unregister_volume_loader(scheme)


def register_unknown_image_loader(load: ImageLoad | None) -> ImageLoad | None:
    """Set what loads images of unknown schemes, and return what did before."""
    return default_registry().register_unknown_image_loader(load)


def register_unknown_volume_loader(open: VolumeOpen | None) -> VolumeOpen | None:
    """Set what opens volumes of unknown schemes, and return what did before."""
    return default_registry().register_unknown_volume_loader(open)


def plugins() -> tuple[PluginInfo, ...]:
    """List the installed plugins and registered loaders, without importing any."""
    return default_registry().plugins()


def refresh_plugins() -> None:
    """Look again which plugins are installed."""
    default_registry().refresh()
