"""The plugin's records; nibabel and isal are imported with the first load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone.hookspecs import ImageLoader, VolumeLoader, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone.context import LoadContext
    from loadstone.hookspecs import VoxelSource
    from loadstone.ids import ImageId, VolumeId
    from loadstone.image import Image
    from loadstone.metadata import Modules

_OPTIONS = frozenset({"seek_index"})


def _load(image_id: ImageId, context: LoadContext) -> Image:
    from loadstone_nifti.images import load

    return load(image_id, context)


def _describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    from loadstone_nifti.images import describe

    return describe(image_ids, context)


def _canonical(image_id: ImageId) -> str:
    from loadstone_nifti.ids import canonical

    return canonical(image_id)


def _open(volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
    from loadstone_nifti.volumes import open_volume

    return open_volume(volume_id, context)


@hookimpl
def loadstone_image_loaders() -> Iterable[ImageLoader]:
    """Claim ``nifti:`` for slices."""
    summary = "a slice of a NIfTI file: nifti:<path or URL>?frame=k, k from 0"
    return [
        ImageLoader(
            "nifti",
            load=_load,
            metadata=_describe,
            canonical=_canonical,
            options=_OPTIONS,
            summary=summary,
        )
    ]


@hookimpl
def loadstone_volume_loaders() -> Iterable[VolumeLoader]:
    """Claim ``nifti:`` for volumes."""
    summary = "NIfTI-1, NIfTI-2, Analyze 7.5: .nii, .nii.gz, .hdr with .img; from a path or URL"
    return [VolumeLoader("nifti", open=_open, summary=summary)]
