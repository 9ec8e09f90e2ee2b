"""Loaders that are wrong in one way each, with the one check that must fail for it."""

from __future__ import annotations

import itertools
import os
import threading
import urllib.request
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.tests.testing import toys
from core.tests.testing.toys import BLOCK, IMAGES, VOLUMES, filled, filler, image, source
from loadstone import (
    FetchError,
    Image,
    ImageId,
    ImageLoader,
    InvalidIdError,
    LoadContext,
    Quality,
    StashKey,
    VolumeId,
    VolumeLoader,
    VoxelSource,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadstone.hookspecs import ImageLoad, VolumeOpen
    from loadstone.ids import LoadId
    from loadstone.metadata import Modules

FLAG: StashKey[bool] = StashKey()
COUNTER = itertools.count()
KEPT: list[Any] = []
MODULE_PIXELS = [toys.values(number) for number in range(toys.COUNT)]
GIVEN: weakref.WeakValueDictionary[Any, npt.NDArray[Any]] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Case:
    """A loader."""

    check: str
    """The one check that fails; empty for a right one."""
    contract: type[toys.ToyImages | toys.ToyVolumes]
    """Which contract, with which ids."""
    images: ImageLoader = IMAGES
    """The loader of images."""
    volumes: VolumeLoader = VOLUMES
    """The loader of volumes."""


# Images: the pixels


def foreign_byte_order(image_id: ImageId, context: LoadContext) -> Image:
    stored = toys.fetched(image_id, context)
    return image(stored.astype(stored.dtype.newbyteorder()))


def off_by_one(image_id: ImageId, context: LoadContext) -> Image:
    return image(filled(image_id, context, add=1))


def uses_its_buffer_again(image_id: ImageId, context: LoadContext) -> Image:
    key = context.session, context.options.scaled
    if (earlier := GIVEN.get(key)) is not None:
        earlier[:] = 0
    GIVEN[key] = pixels = filled(image_id, context)
    return Image(pixels)  # without slope and intercept, so that the core hands out this very memory


def scales_what_it_keeps(image_id: ImageId, context: LoadContext) -> Image:
    if context.options.scaled:
        context.session.stash[FLAG] = True
    is_spoilt = not context.options.scaled and FLAG in context.session.stash
    return image(filled(image_id, context, add=-1024 if is_spoilt else 0))


def keeps_what_is_evicted(image_id: ImageId, context: LoadContext) -> Image:
    pixels = filled(image_id, context)
    context.on_evict(lambda: KEPT.append(pixels.copy()))
    return image(pixels)


class Light(Image):
    """Says that it is small."""

    @property
    def nbytes(self) -> int:
        return 1


def says_it_is_small(image_id: ImageId, context: LoadContext) -> Image:
    return Light(filled(image_id, context))


def allocates_in_vain(image_id: ImageId, context: LoadContext) -> Image:
    return image(filled(image_id, context).copy())


def vouches_for_too_little(image_id: ImageId, context: LoadContext) -> Image:
    return image(filled(image_id, context), stored_bounds=(0, 1))


def keeps_pixels_in_its_module(image_id: ImageId, context: LoadContext) -> Image:
    return image(MODULE_PIXELS[toys.number_of(image_id)])


def gets_worse(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
    yield image(filled(image_id, context, add=4), quality=Quality.SUBRESOLUTION)
    yield image(filled(image_id, context, add=9), quality=Quality.LOSSY)
    yield image(filled(image_id, context))


# Images: load_many, metadata, canonical


def forgets_the_scaling(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Image]]:
    return ((each, Image(filled(each, context))) for each in ids)


def takes_rows_for_columns(ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    return {each: toys.modules(rows=toys.IMAGE[1], columns=toys.IMAGE[0]) for each in ids}


def promises_another_dtype(ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    return {each: toys.modules(dtype="uint16") for each in ids}


def never_the_same_name(image_id: ImageId) -> str:
    return f"{image_id} {next(COUNTER)}"


def reads_by_urllib(identity: LoadId, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Read what no cancel can stop."""
    try:
        with urllib.request.urlopen(identity.rest) as answer:
            return np.frombuffer(answer.read(), np.int16).reshape(shape)
    except OSError as error:
        raise FetchError(f"{error}", source=identity) from error


def image_by_urllib(image_id: ImageId, context: LoadContext) -> Image:
    toys.number_of(image_id)
    return image(reads_by_urllib(image_id, toys.IMAGE))


# Volumes


def finds_nothing(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    return []


def voxels_off_by_one(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    return [source(volume_id, filler(volume_id, add=1))]


def uses_its_block_again(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        key = context.session, context.options.scaled
        if (earlier := GIVEN.get(key)) is not None:
            earlier[:] = 0
        GIVEN[key] = array if array.base is None else array.base
        yield from filler(volume_id)(array, context)

    return [source(volume_id, fill)]


def scales_its_voxels(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    if context.options.scaled:
        context.session.stash[FLAG] = True
    is_spoilt = not context.options.scaled and FLAG in context.session.stash
    return [source(volume_id, filler(volume_id, add=-1024 if is_spoilt else 0))]


def keeps_voxels_in_its_module(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        yield from filler(volume_id)(array, context)
        KEPT.append(array.copy())

    return [source(volume_id, fill)]


def names_two_by_one_id(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    rest, _ = volume_id.selections("part")
    parts = (1,) if rest == volume_id.rest else (1, 2)
    return [replace(source(VolumeId(f"toy:{rest}")), volume_id=f"toy:{rest}?part={part}") for part in parts]


def decodes_at_once(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    decoded = [toys.fetched(volume_id, context, BLOCK).copy()]

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        array[:] = decoded.pop()
        yield from range(len(array))

    return [replace(source(volume_id, fill), header=toys.UNSCALED)]


def reports_too_early(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        yield from range(len(array))
        for _ in filler(volume_id)(array, context):
            pass

    return [replace(source(volume_id, fill), header=toys.UNSCALED)]


def names_its_images_backwards(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    return [source(volume_id, image_ids=tuple(f"toy:{k}" for k in reversed(range(BLOCK[0]))))]


def slice_by_number(image_id: ImageId, context: LoadContext) -> Image:
    return image(toys.values(1, BLOCK)[int(image_id.rest)])


def volume_by_urllib(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        array[:] = reads_by_urllib(volume_id, BLOCK)
        yield from range(len(array))

    return [source(volume_id, fill)]


def asks_for_it_anew(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    return [source(volume_id, filler(volume_id, query=f"?{next(COUNTER)}"))]


# Failures, the same for both: what goes wrong before anything is loaded


class UnpicklableError(FetchError):
    """Carries what no other process can have."""

    def __init__(self, identity: LoadId) -> None:
        self.lock = threading.Lock()
        super().__init__("there is no such toy", source=identity)


def untyped_if_missing(identity: LoadId, context: LoadContext) -> None:
    if identity.rest == "99":
        raise KeyError(99)


def untyped_if_malformed(identity: LoadId, context: LoadContext) -> None:
    int(identity.rest)


def unchained(identity: LoadId, context: LoadContext) -> None:
    try:
        int(identity.rest)
    except ValueError:
        raise InvalidIdError("a toy has a number", source=identity) from None


def unpicklable(identity: LoadId, context: LoadContext) -> None:
    if identity.rest == "99":
        raise UnpicklableError(identity)


def fails_for_ever(identity: LoadId, context: LoadContext) -> None:
    if FLAG in context.session.stash:
        raise FetchError("it failed before", source=identity)
    if identity.rest == "99":
        context.session.stash[FLAG] = True


def leaves_a_file_open(identity: LoadId, context: LoadContext) -> None:
    if identity.rest == "1":
        KEPT.append(Path(os.devnull).open("rb"))  # noqa: SIM115 - that is what is wrong


def image_after(first: Callable[[LoadId, LoadContext], None]) -> ImageLoad:
    """Return a loader that first does something wrong."""

    def load(image_id: ImageId, context: LoadContext) -> Image:
        first(image_id, context)
        return toys.load(image_id, context)

    return load


def volume_after(first: Callable[[LoadId, LoadContext], None]) -> VolumeOpen:
    """Return a loader that first does something wrong."""

    def open_volumes(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
        first(volume_id, context)
        return toys.open_volumes(volume_id, context)

    return open_volumes


_IMAGES: dict[str, ImageLoad] = {
    "test_it_loads": foreign_byte_order,
    "test_array_is_the_expected_one": off_by_one,
    "test_array_is_final": uses_its_buffer_again,
    "test_same_call_gives_same_array": scales_what_it_keeps,
    "test_memory_is_counted": keeps_what_is_evicted,
    "test_nbytes_is_true": says_it_is_small,
    "test_output_is_made_once": allocates_in_vain,
    "test_stored_bounds_hold": vouches_for_too_little,
    "test_sessions_share_no_pixels": keeps_pixels_in_its_module,
    "test_partial_images_never_get_worse": gets_worse,
}
_RECORDS = {
    "test_load_many_agrees_with_load": replace(IMAGES, load_many=forgets_the_scaling),
    "test_metadata_agrees_with_load": replace(IMAGES, metadata=takes_rows_for_columns),
    "test_metadata_promises_the_dtype": replace(IMAGES, metadata=promises_another_dtype),
}
_VOLUMES: dict[str, VolumeOpen] = {
    "test_it_loads": finds_nothing,
    "test_array_is_the_expected_one": voxels_off_by_one,
    "test_array_is_final": uses_its_block_again,
    "test_same_call_gives_same_array": scales_its_voxels,
    "test_memory_is_counted": keeps_voxels_in_its_module,
    "test_described_ids_name_one_volume": names_two_by_one_id,
    "test_describing_decodes_nothing": decodes_at_once,
    "test_final_slices_stay": reports_too_early,
    "test_slices_agree_with_images": names_its_images_backwards,
}
_FAILURES = {
    "test_missing_id_raises_its_error": untyped_if_missing,
    "test_malformed_id_raises_its_error": untyped_if_malformed,
    "test_errors_keep_their_cause": unchained,
    "test_ids_and_errors_pickle": unpicklable,
    "test_failure_leaves_nothing_behind": fails_for_ever,
    "test_nothing_stays_open": leaves_a_file_open,
}

TABLE: list[Case] = [
    *(Case(check, toys.ToyImages, images=ImageLoader("toy", load)) for check, load in _IMAGES.items()),
    *(Case(check, toys.ToyImages, images=record) for check, record in _RECORDS.items()),
    *(
        Case(check, toys.ToyImages, images=ImageLoader("toy", image_after(first)))
        for check, first in _FAILURES.items()
    ),
    Case("test_cancel_closes_the_connection", toys.ServedImages, images=ImageLoader("toy", image_by_urllib)),
    Case(
        "test_concurrent_loads_share_requests",
        toys.ServedImages,
        images=replace(IMAGES, canonical=never_the_same_name),
    ),
    *(
        Case(
            check,
            toys.ToyVolumes,
            images=ImageLoader("toy", slice_by_number),
            volumes=VolumeLoader("toy", open_volumes),
        )
        for check, open_volumes in _VOLUMES.items()
    ),
    *(
        Case(check, toys.ToyVolumes, volumes=VolumeLoader("toy", volume_after(first)))
        for check, first in _FAILURES.items()
    ),
    Case(
        "test_cancel_closes_the_connection", toys.ServedVolumes, volumes=VolumeLoader("toy", volume_by_urllib)
    ),
    Case(
        "test_concurrent_loads_share_requests",
        toys.ServedVolumes,
        volumes=VolumeLoader("toy", asks_for_it_anew),
    ),
]
"""One for each check of each contract."""


def yielding_better_ones(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
    """Yield images as a right loader does."""
    yield image(filled(image_id, context, add=9), quality=Quality.SUBRESOLUTION)
    yield image(filled(image_id, context, add=4), quality=Quality.LOSSY)
    yield image(filled(image_id, context))


def naming_its_images(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    """Describe a volume with the ids of its slices."""
    return [source(volume_id, image_ids=tuple(f"toy:{k}" for k in range(BLOCK[0])))]


RIGHT = {
    "TestRightImages": Case("", toys.ToyImages),
    "TestRightServedImages": Case("", toys.ServedImages),
    "TestRightProgressiveImages": Case("", toys.ToyImages, ImageLoader("toy", yielding_better_ones)),
    "TestRightServedVolumes": Case("", toys.ServedVolumes),
    "TestRightSlicedVolumes": Case(
        "", toys.ToyVolumes, ImageLoader("toy", slice_by_number), VolumeLoader("toy", naming_its_images)
    ),
}
"""Loaders for which no check fails."""
