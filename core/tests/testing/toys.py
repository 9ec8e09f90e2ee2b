"""A right loader of images and a right one of volumes, of which each wrong one changes one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from loadstone import (
    FetchError,
    Image,
    ImageId,
    ImageLoader,
    InvalidIdError,
    LoadContext,
    Session,
    VolumeHeader,
    VolumeId,
    VolumeLoader,
    VoxelSource,
)
from loadstone.metadata import ImagePixel, ImagePlane, Modules, ModuleSet, Scaling
from loadstone.testing import ImageLoaderContract, VolumeLoaderContract, WireTap
from loadstone.testing.faults import Answer, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadstone.ids import LoadId

COUNT = 3
"""``toy:0`` to ``toy:2`` are there, as images and as volumes; ``toy:http://…/1`` is on a server."""
IMAGE = (256, 200)
"""Shape of an image: large enough to stand out in memory."""
BLOCK = (4, 128, 100)
"""Shape of a volume."""
SCALING = Scaling(1.0, -1024.0, "HU")
PLANE = ImagePlane(pixel_spacing=(2.0, 1.0))


def number_of(identity: LoadId) -> int:
    """Return the number of a toy, or raise what is documented."""
    text = identity.rest.rpartition("/")[2]
    if not text.isdecimal():
        raise InvalidIdError("a toy has a number", source=identity)
    if int(text) >= COUNT:
        raise FetchError("there is no such toy", source=identity)
    return int(text)


def values(number: int, shape: tuple[int, ...] = IMAGE) -> npt.NDArray[np.int16]:
    """Return the stored values of a toy."""
    return np.arange(number, number + int(np.prod(shape)), dtype=np.uint16).view(np.int16).reshape(shape)


def fetched(
    identity: LoadId, context: LoadContext, shape: tuple[int, ...] = IMAGE, query: str = ""
) -> npt.NDArray[np.int16]:
    """Return the stored values, from the server if the id names one."""
    number = number_of(identity)
    if not identity.rest.startswith("http"):
        return values(number, shape)
    return np.frombuffer(context.fetch(identity.rest + query).body, np.int16).reshape(shape)


def filled(image_id: ImageId, context: LoadContext, *, add: int = 0) -> npt.NDArray[np.int16]:
    """Return the stored values, or wrong ones, in memory that the core gave."""
    stored = fetched(image_id, context)
    pixels = context.allocate(stored.shape, stored.dtype, image_id)
    np.add(stored, np.int16(add), out=pixels)
    return pixels


def image(pixels: npt.NDArray[Any], **fields: Any) -> Image:
    """Return the image of a toy."""
    told: dict[str, Any] = {"slope": 1.0, "intercept": -1024.0, "units": "HU", "plane": PLANE}
    told["stored_bounds"] = int(pixels.min()), int(pixels.max())
    return Image(pixels, **told | fields)


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load a toy."""
    return image(filled(image_id, context))


def load_many(image_ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Image]]:
    """Load toys, the last one first."""
    for image_id in reversed(image_ids):
        yield image_id, load(image_id, context)


def modules(*, rows: int = IMAGE[0], columns: int = IMAGE[1], dtype: str = "int16") -> Modules:
    """Describe a toy."""
    return ModuleSet(ImagePixel(rows, columns, np.dtype(dtype)), SCALING, PLANE)


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe toys."""
    return {image_id: modules() for image_id in image_ids}


HEADER = VolumeHeader(BLOCK, np.dtype(np.int16), scaling=SCALING)
UNSCALED = VolumeHeader(BLOCK, np.dtype(np.int16))


def source(volume_id: VolumeId, fill: Any = None, **fields: Any) -> VoxelSource:
    """Describe a volume of toys."""
    number_of(volume_id)
    return VoxelSource(volume_id, HEADER, fill or filler(volume_id), **fields)


def filler(
    volume_id: VolumeId, *, add: int = 0, query: str = ""
) -> Callable[[npt.NDArray[Any], LoadContext], Iterator[int]]:
    """Return what fills a volume, perhaps with wrong values."""

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        for k, stored in enumerate(fetched(volume_id, context, BLOCK, query)):
            np.add(stored, np.int16(add), out=array[k])
            yield k

    return fill


def open_volumes(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    """Describe a volume."""
    return [source(volume_id)]


IMAGES = ImageLoader("toy", load, load_many=load_many, metadata=metadata)
VOLUMES = VolumeLoader("toy", open_volumes)


class _Toys:
    """The loaders that are tested."""

    images: ClassVar[ImageLoader] = IMAGES
    volumes: ClassVar[VolumeLoader] = VOLUMES

    @pytest.fixture
    def new_session(self) -> Callable[[], Session]:
        def opened() -> Session:
            session = Session()
            session.registry.register_image_loader("toy", self.images)
            session.registry.register_volume_loader("toy", self.volumes)
            return session

        return opened


class ToyImages(_Toys, ImageLoaderContract):
    @pytest.fixture
    def image_id(self) -> str:
        return "toy:1"

    @pytest.fixture
    def image_ids(self) -> list[str]:
        return [f"toy:{number}" for number in range(COUNT)]

    @pytest.fixture
    def missing_image_id(self) -> str:
        return "toy:99"

    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return values(1)


class ToyVolumes(_Toys, VolumeLoaderContract):
    @pytest.fixture
    def volume_id(self) -> str:
        return "toy:1"

    @pytest.fixture
    def missing_volume_id(self) -> str:
        return "toy:99"

    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return values(1, BLOCK)


class _Served:
    is_remote = True
    shape: ClassVar[tuple[int, ...]]

    @pytest.fixture
    def server(self) -> Iterator[WireTap]:
        with FaultServer() as server:
            server.plan("/1", Answer(body=values(1, self.shape).tobytes()))
            with WireTap(server.url("")) as tap:
                yield tap


class ServedImages(_Served, ToyImages):
    shape = IMAGE

    @pytest.fixture
    def image_id(self, server: WireTap) -> str:
        return f"toy:{server.url}/1"

    @pytest.fixture
    def image_ids(self, image_id: str) -> list[str]:
        return [image_id]


class ServedVolumes(_Served, ToyVolumes):
    shape = BLOCK

    @pytest.fixture
    def volume_id(self, server: WireTap) -> str:
        return f"toy:{server.url}/1"
