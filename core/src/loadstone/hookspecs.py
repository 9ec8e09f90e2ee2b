"""
The contract between the core and a plugin: the hooks, the records they return, the protocols.

A plugin is a module or an object that an entry point names. It implements the hooks below with `hookimpl`;
they are called once, when one of its schemes is first used, and return frozen records. From then on a load is
one dictionary look-up and a direct call of the record's function: pluggy is not on the hot path.

The core allocates, reserves, scales, assembles and cancels; a plugin never does. It returns **stored values
with slope and intercept**.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

import pluggy

from loadstone.metadata import GeneralSeries, Module, Modules, Scaling, VoiLut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from loadstone.context import LoadContext
    from loadstone.errors import LoadstoneError
    from loadstone.events import LoadFinished
    from loadstone.geometry import Axis, Finding, GeometryReport
    from loadstone.ids import ImageId, VolumeId
    from loadstone.image import Image
    from loadstone.transport import HttpRequest

__all__ = [
    "API_VERSION",
    "FutureLike",
    "ImageLoader",
    "ImageStack",
    "MetadataProvider",
    "VolumeHeader",
    "VolumeLoader",
    "VoxelSource",
    "hookimpl",
]

API_VERSION: Final = 1
"""The plugin API that this core speaks; a record of another one is refused."""

hookspec = pluggy.HookspecMarker("loadstone")
hookimpl = pluggy.HookimplMarker("loadstone")
"""Marks a function of a plugin as the implementation of the hook with its name."""

T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=Module)


class FutureLike(Protocol[T_co]):
    """Anything with a blocking ``result()``: a `concurrent.futures.Future`, a `LoadObject`."""

    def result(self) -> T_co:
        """Wait and return the result, or raise."""
        ...


ImageAnswer: TypeAlias = "Image | Iterator[Image] | Awaitable[Image] | FutureLike[Image]"
"""What a loader may return: an image; images of rising quality, the last one final; something to wait for."""


class ImageLoad(Protocol):
    """Loads one image."""

    def __call__(self, image_id: ImageId, context: LoadContext, /) -> ImageAnswer:
        """Return the image with stored values, slope and intercept; raise a `LoadstoneError` on bad input."""
        ...


class ImageLoadMany(Protocol):
    """Loads several images with one request or one open file."""

    def __call__(
        self, image_ids: Sequence[ImageId], context: LoadContext, /
    ) -> Iterator[tuple[ImageId, Image | FutureLike[Image] | Exception]]:
        """
        Yield each id with its image, in any order, as soon as it is there.

        An exception in place of an image means that this one image failed; raising ends all of them.
        """
        ...


class MetadataLoad(Protocol):
    """Describes images without reading pixels."""

    def __call__(self, image_ids: Sequence[ImageId], context: LoadContext, /) -> Mapping[ImageId, Modules]:
        """Return the modules of each id; raise a `LoadstoneError` on bad input."""
        ...


@dataclass(frozen=True, slots=True)
class ImageLoader:
    """What a plugin claims for a scheme of image ids."""

    scheme: str
    """The scheme, in lower case; also the name of the entry point."""
    load: ImageLoad
    """Loads one image."""
    load_many: ImageLoadMany | None = None
    """Loads several at once; None: they are loaded one by one."""
    metadata: MetadataLoad | None = None
    """Describes images without reading pixels; None: volumes load their first image to learn it."""
    canonical: Callable[[ImageId], str] | None = None
    """Maps ids of this plugin that name the same pixels to one text; None: the id itself."""
    batch_size: int | None = None
    """Most ids that one call of `load_many` takes; None: a whole stack, for one request or one stream."""
    values: frozenset[str] = frozenset()
    """Kinds of values beside modality values that it can give: what a caller may ask for by ``values=``."""
    options: frozenset[str] = frozenset()
    """Names of further options that it understands; a caller who gives others gets an error."""
    api: int = API_VERSION
    """The plugin API that it is written for."""
    summary: str = ""
    """One line for `loadstone plugins`."""


@dataclass(frozen=True, slots=True)
class ImageStack:
    """A volume that consists of images; the core sorts, allocates and streams it."""

    volume_id: str
    """The id that loads exactly this one."""
    image_ids: tuple[str, ...]
    """Its images, in any order."""
    description: str = ""
    """One line for a person who has to choose between several."""
    findings: tuple[Finding, ...] = ()
    """What the plugin noticed while it looked (files skipped, duplicates left out)."""
    coordinates: tuple[Axis, ...] = ()
    """The axes in front of the slices, the slowest first: time, segments; empty for a 3-D volume."""
    places: tuple[tuple[int, ...], ...] = ()
    """For each image its index on each of `coordinates`; where it lies along k, its position says."""
    sparse: bool = False
    """Whether images may be left out because all their voxels are 0, as in segmentations."""
    geometry: GeometryReport | None = None
    """What sorting the images has shown, for `scan`; None: it looks at the metadata of all of them."""
    refusal: LoadstoneError | None = None
    """Why it must not be loaded: raised when it is, and said in its row by `scan`; None: nothing is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class VolumeHeader:
    """A volume described before a single voxel is read."""

    shape: tuple[int, ...]
    """Of the array: the slowest axis first."""
    dtype: np.dtype[Any]
    """Of the stored values, native byte order."""
    axes: tuple[str, ...] = ("k", "j", "i")
    """A name for each axis of `shape`."""
    coordinates: tuple[Axis, ...] = ()
    """What is known along axes in front of the slices: time points, echoes, directions; any of `axes`."""
    affine: npt.NDArray[np.float64] | None = None
    """4 x 4, LPS, mm: columns are the steps of i, j, k and the centre of voxel (0, 0, 0); None: unknown."""
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)
    """Of i, j, k in mm, for when the affine is unknown."""
    scaling: Scaling = field(default_factory=Scaling)
    """Slope, intercept and units."""
    bits_stored: int | None = None
    """Bits of a stored sample that carry a value, for integers."""
    series: GeneralSeries = field(default_factory=GeneralSeries)
    """What is known about the series."""
    voi_lut: VoiLut = field(default_factory=VoiLut)
    """How it is meant to be shown."""
    findings: tuple[Finding, ...] = ()
    """What was noticed about the geometry."""
    header: Callable[[], Any] = field(default=lambda: None, repr=False)
    """Gives the header that the loader read, or None."""


class VoxelFill(Protocol):
    """Fills a volume."""

    def __call__(self, array: npt.NDArray[Any], context: LoadContext, /) -> Iterator[int | range]:
        """
        Write stored values into `array` and yield the index of each image when it is done.

        Images that are done together are best yielded as one `range`: thousands of small ones then cost no
        more than a few large ones.

        `array` has the dtype and shape of the header. The index counts the 2-D images from 0 over all leading
        axes: ``k``, or ``t * slices + k``.
        """
        ...


@dataclass(frozen=True, slots=True)
class VoxelSource:
    """A volume that comes as one block: the core allocates, the plugin fills."""

    volume_id: str
    """The id that loads exactly this one."""
    header: VolumeHeader
    """What it will be."""
    fill: VoxelFill
    """Fills it."""
    image_ids: tuple[str, ...] = ()
    """Ids of its images over all leading axes, if they can be named."""
    description: str = ""
    """One line for a person who has to choose between several."""


class VolumeOpen(Protocol):
    """Describes the volumes that an id names."""

    def __call__(self, volume_id: VolumeId, context: LoadContext, /) -> Iterable[ImageStack | VoxelSource]:
        """Describe each volume there; decode nothing; raise a `LoadstoneError` on bad input."""
        ...


@dataclass(frozen=True, slots=True)
class VolumeLoader:
    """What a plugin claims for a scheme of volume ids."""

    scheme: str
    """The scheme, in lower case; also the name of the entry point."""
    open: VolumeOpen
    """Describes the volumes that an id names."""
    values: frozenset[str] = frozenset()
    """As for `ImageLoader`, for volumes that come as one block."""
    options: frozenset[str] = frozenset()
    """As for `ImageLoader`."""
    api: int = API_VERSION
    """The plugin API that it is written for."""
    summary: str = ""
    """One line for `loadstone plugins`."""


class MetadataGet(Protocol):
    """Overrides the metadata of an image."""

    def __call__(self, image_id: ImageId, kind: type[M], /) -> M | None:
        """Return a module to use in place of the loader's, or None to pass."""
        ...


@dataclass(frozen=True, slots=True)
class MetadataProvider:
    """Overrides what loaders say about images."""

    name: str
    """For messages and listings."""
    get: MetadataGet
    """Asked for each module."""
    priority: int = 0
    """Higher is asked first; of equal ones, the later registered."""


@hookspec
def loadstone_image_loaders() -> Iterable[ImageLoader]:  # type: ignore[empty-body]
    """Return a record for each scheme of image ids; the schemes equal the entry points."""


@hookspec
def loadstone_volume_loaders() -> Iterable[VolumeLoader]:  # type: ignore[empty-body]
    """Return a record for each scheme of volume ids; the schemes equal the entry points."""


@hookspec
def loadstone_metadata_providers() -> Iterable[MetadataProvider]:  # type: ignore[empty-body]
    """Return providers that override what loaders say about images."""


@hookspec(firstresult=True)
def loadstone_prepare_request(request: HttpRequest) -> HttpRequest | None:
    """Return a changed request (signed, authorised), or None to pass; runs before every attempt."""


@hookspec
def loadstone_load_finished(event: LoadFinished) -> None:
    """Observe that a load ended, well or not."""
