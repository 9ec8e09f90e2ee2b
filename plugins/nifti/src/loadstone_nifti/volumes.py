"""Files as volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadstone.errors import InvalidIdError
from loadstone.hookspecs import VolumeHeader, VoxelSource
from loadstone_nifti.files import NiftiFile, open_file
from loadstone_nifti.ids import locator_of, slice_ids
from loadstone_nifti.streams import content
from loadstone_nifti.voxels import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from loadstone.context import LoadContext
    from loadstone.ids import VolumeId

__all__ = ["open_volume"]


def open_volume(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
    """
    Describe the volume of a file, from its header.

    Raises
    ------
    InvalidIdError
        If the id names a slice.
    LoadstoneError
        As `open_file` does.
    """
    locator, chosen = locator_of(volume_id)
    if chosen:
        raise InvalidIdError(
            f"{', '.join(chosen)} chooses a slice, and this asks for a volume",
            source=str(volume_id),
            hint="Leave it out, or load the id as an image.",
        )
    file = open_file(locator, context)
    return [
        VoxelSource(
            volume_id=str(volume_id),
            header=_volume_header(file),
            fill=_Fill(file),
            image_ids=tuple(slice_ids(locator, file.header.dims)),
            description=file.meaning.summary,
        )
    ]


def _volume_header(file: NiftiFile) -> VolumeHeader:
    header, placement, meaning = file.header, file.placement, file.meaning
    return VolumeHeader(
        shape=header.shape,
        dtype=header.datatype.dtype,
        axes=header.axes,
        coordinates=meaning.coordinates,
        affine=placement.affine,
        spacing=placement.spacing,
        scaling=meaning.scaling,
        bits_stored=header.datatype.bits,
        series=meaning.series,
        voi_lut=meaning.voi_lut,
        findings=file.findings,
        header=header.for_nibabel,
    )


class _Fill:
    """Streams the voxels of a file into an array."""

    __slots__ = ("_file",)

    def __init__(self, file: NiftiFile) -> None:
        self._file = file

    def __call__(self, array: npt.NDArray[Any], context: LoadContext) -> Iterator[range]:
        """Yield slices, counted over all leading axes, when their voxels are final."""
        file = self._file
        with content(file.place, context) as stream:
            file.skip_head(stream)
            steps = fill(array, file.header, stream, tail=context.settings.free_ratio_bytes)
            while True:
                # Given back while the core scales what has arrived.
                with file.place.working(context, computes=file.compressed):
                    done = next(steps, None)
                if done is None:
                    return
                yield done
