"""Slices as images: an uncompressed local file is read in part, others once for all their slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone.errors import IntegrityError
from loadstone.image import Image
from loadstone.metadata import ImagePixel, ImagePlane, ModuleSet
from loadstone_nifti.files import NiftiFile, open_file
from loadstone_nifti.ids import locator_of, slice_index
from loadstone_nifti.places import LocalFile
from loadstone_nifti.streams import content
from loadstone_nifti.voxels import bytes_of, fill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId
    from loadstone.metadata import Modules
    from loadstone_nifti.header import NiftiHeader

__all__ = ["describe", "load"]


def load(image_id: ImageId, context: LoadContext) -> Image:
    """
    Load one slice.

    Raises
    ------
    InvalidIdError
        If the id does not say which slice, or names one that the file does not have.
    FetchError
        If the file cannot be had.
    UnsupportedError
        If it is no NIfTI file that can be read.
    IntegrityError
        If it is truncated or damaged.
    LimitError, CacheFullError
        If it is larger than the settings allow.
    """
    file = open_file(locator_of(image_id)[0], context)
    header = file.header
    index, k = slice_index(image_id, header.dims)
    pixels = context.allocate(header.slice_shape, header.datatype.dtype)
    if isinstance(file.place, LocalFile) and not file.compressed:
        _read_slice(file.place, header, index, pixels, context)
    else:
        np.copyto(pixels, _all_slices(file, context)[index])
    return Image(
        pixels,
        slope=file.meaning.scaling.slope,
        intercept=file.meaning.scaling.intercept,
        photometric_interpretation=header.datatype.photometric_interpretation,
        bits_stored=header.datatype.bits,
        plane=_plane(file, k),
        voi_lut=file.meaning.voi_lut,
        header=header.for_nibabel,
    )


def describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """
    Describe slices from the headers of their files.

    Raises
    ------
    LoadstoneError
        As `load` does, as far as the header tells.
    """
    files: dict[str, NiftiFile] = {}
    modules: dict[ImageId, Modules] = {}
    for image_id in image_ids:
        locator, _ = locator_of(image_id)
        if locator not in files:
            files[locator] = open_file(locator, context)
        modules[image_id] = _modules(files[locator], slice_index(image_id, files[locator].header.dims)[1])
    return modules


def _modules(file: NiftiFile, k: int) -> ModuleSet:
    header = file.header
    return ModuleSet(
        ImagePixel(
            rows=header.dims[1],
            columns=header.dims[0],
            dtype=header.datatype.dtype,
            samples_per_pixel=header.datatype.samples,
            photometric_interpretation=header.datatype.photometric_interpretation,
            bits_stored=header.datatype.bits,
        ),
        file.meaning.scaling,
        file.meaning.voi_lut,
        file.meaning.series,
        builders={ImagePlane: lambda: _plane(file, k)},
    )


def _plane(file: NiftiFile, k: int) -> ImagePlane:
    plane = file.placement.slice_plane(k)
    if plane is not None:
        return ImagePlane(
            pixel_spacing=plane.pixel_spacing,
            image_position_patient=plane.position,
            image_orientation_patient=plane.orientation,
            spacing_between_slices=plane.slice_distance,
        )
    i, j, distance = file.placement.spacing
    pixel_spacing = None if i is None or j is None else (j, i)
    return ImagePlane(pixel_spacing=pixel_spacing, spacing_between_slices=distance)


def _read_slice(
    place: LocalFile, header: NiftiHeader, index: int, pixels: npt.NDArray[Any], context: LoadContext
) -> None:
    with context.reading():
        got = place.read_at(header.voxels_at + index * header.slice_bytes, bytes_of(pixels))
    if got < pixels.nbytes:
        raise IntegrityError(
            f"slice {index} is truncated: {got:,} bytes of {pixels.nbytes:,}",
            source=place.label,
            hint="Fetch or copy the file again.",
        )
    if header.swapped:
        pixels.byteswap(inplace=True)


@dataclass(frozen=True, slots=True)
class _Slices:
    """All slices of a file that cannot be read in part; a source of the session."""

    array: npt.NDArray[Any]

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def close(self) -> None:
        """Nothing is open: memory is freed with the last view of it."""


def _all_slices(file: NiftiFile, context: LoadContext) -> npt.NDArray[Any]:
    def read_all() -> _Slices:
        header = file.header
        with content(file.place, context) as stream, context.computing():
            file.skip_head(stream)
            array = np.empty((header.slices, *header.slice_shape), header.datatype.dtype)
            tail = context.settings.free_ratio_bytes
            for _ in fill(array, header, stream, tail=tail, source=file.place.label):
                pass
        return _Slices(array)

    size = file.header.voxel_bytes
    return context.source(("voxels", file.key), read_all, nbytes=size).array
