"""Slices as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone.image import Image
from loadstone.metadata import ImagePixel, ImagePlane, ModuleSet
from loadstone_nifti.files import NiftiFile, open_file
from loadstone_nifti.ids import locator_of, slice_index
from loadstone_nifti.slices import read_slice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId
    from loadstone.metadata import Modules

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
    read_slice(file, index, pixels, context)
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
