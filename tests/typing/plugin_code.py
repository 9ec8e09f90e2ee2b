"""Code as the author of a plugin writes it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np
import numpy.typing as npt

import loadstone
from loadstone import (
    Image,
    ImageId,
    ImageLoader,
    ImageStack,
    IntegrityError,
    LoadContext,
    MetadataProvider,
    StashKey,
    VolumeHeader,
    VolumeId,
    VolumeLoader,
    VoxelSource,
    hookimpl,
)
from loadstone.metadata import ImagePixel, ImagePlane, Module, Modules, ModuleSet, Scaling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from typing import TypeVar

    from loadstone.events import LoadFinished
    from loadstone.transport import HttpRequest

    M = TypeVar("M", bound=Module)

COUNT = StashKey[dict[str, int]]()


class Table:
    """Something that is opened once per session."""

    nbytes = 1024

    def row(self, number: int) -> bytes:
        """Return a row."""
        return bytes(number)

    def close(self) -> None:
        """Close it."""


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Return the whole image."""
    table = context.source("table", Table)
    assert_type(table, Table)
    body = context.fetch(f"https://example.org/{image_id.rest}").body
    with context.reading(), context.computing():
        pixels = context.allocate((2, 3), np.uint16)
    assert_type(pixels, npt.NDArray[Any])
    if len(body) != pixels.nbytes:
        raise IntegrityError(f"{len(body)} bytes", source=image_id, hint="Fetch it again.")
    plane = context.metadata("acme:other", ImagePlane)
    assert_type(plane, ImagePlane | None)
    context.session.stash.setdefault(COUNT, dict)[image_id] = 1
    return Image(pixels, slope=2, intercept=-1024, units="HU", plane=plane or ImagePlane())


def load_better(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
    """Yield an image of rising quality."""
    yield context.load_image("acme:thumbnail")
    yield load(image_id, context)


async def load_later(image_id: ImageId, context: LoadContext) -> Image:
    """Return the image from a coroutine."""
    return Image(np.zeros((1, 1)))


POOL = ThreadPoolExecutor(1)


def load_elsewhere(image_id: ImageId, context: LoadContext) -> Future[Image]:
    """Return something that will have the image."""
    return POOL.submit(load, image_id, context)


def load_many(
    image_ids: Sequence[ImageId], context: LoadContext
) -> Iterator[tuple[ImageId, Image | Exception]]:
    """Yield each image, or why there is none."""
    for image_id in image_ids:
        yield image_id, Image(context.allocate((2, 3), np.uint16, image_id))


def describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe the images."""
    pixel = ImagePixel(rows=2, columns=3, dtype=np.dtype(np.uint16))
    return {image_id: ModuleSet(pixel, Scaling(units="HU")) for image_id in image_ids}


def open_stack(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """Describe a volume that consists of images."""
    rest, selection = volume_id.selections("series")
    assert_type(selection, dict[str, str])
    return [ImageStack(volume_id, (f"acme:{rest}/1", f"acme:{rest}/2"))]


def open_block(volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
    """Describe a volume that comes as one block."""

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        for k in range(len(array)):
            array[k] = k
            yield k

    return [VoxelSource(volume_id, VolumeHeader(shape=(4, 2, 3), dtype=np.dtype(np.int16)), fill)]


@hookimpl
def loadstone_image_loaders() -> Iterable[ImageLoader]:
    """Claim some schemes."""
    return [
        ImageLoader(
            "acme", load, load_many=load_many, metadata=describe, batch_size=16, options=frozenset({"gain"})
        ),
        ImageLoader("acme-better", load_better),
        ImageLoader("acme-later", load_later),
        ImageLoader("acme-elsewhere", load_elsewhere),
    ]


@hookimpl
def loadstone_volume_loaders() -> Iterable[VolumeLoader]:
    """Claim some schemes of volumes."""
    return [VolumeLoader("acme", open_stack), VolumeLoader("acme-block", open_block)]


def override(image_id: ImageId, kind: type[M], /) -> M | None:
    """Say what is known better."""
    known = ModuleSet(ImagePlane(pixel_spacing=(0.5, 0.5)))
    return known.get(kind)


@hookimpl
def loadstone_metadata_providers() -> Iterable[MetadataProvider]:
    """Override metadata."""
    return [MetadataProvider("acme", override, priority=10)]


@hookimpl
def loadstone_prepare_request(request: HttpRequest) -> HttpRequest | None:
    """Sign requests."""
    return request.with_headers({"X-Signature": "…"})


@hookimpl
def loadstone_load_finished(event: LoadFinished) -> None:
    """Observe."""
    assert_type(event.nbytes, int)


def at_run_time() -> None:
    """Register a loader without a package."""
    with loadstone.register_image_loader("acme", load, replace=True):
        pass
    handle = loadstone.register_volume_loader("acme", VolumeLoader("acme", open_stack))
    handle.unregister()
