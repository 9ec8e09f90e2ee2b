"""What this package gives to Loadstone: loaders for ``dicomfile:``, ``wadouri:`` and ``wadors:``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone import ImageLoader, VolumeLoader, hookimpl
from loadstone_wado import files, rs, rs_many, uri
from loadstone_wado.output import VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["loadstone_image_loaders", "loadstone_volume_loaders"]

FILES_AT_A_TIME = 16
"""Files that one worker reads in a row: enough to spread over the workers, few enough to share evenly."""


@hookimpl
def loadstone_image_loaders() -> Iterable[ImageLoader]:
    """Return the loaders of images."""
    return [
        ImageLoader(
            "dicomfile",
            files.load,
            load_many=files.load_many,
            metadata=files.metadata,
            canonical=files.canonical,
            batch_size=FILES_AT_A_TIME,
            values=VALUES,
            summary="DICOM Part-10 files",
        ),
        ImageLoader(
            "wadouri",
            uri.load,
            metadata=uri.metadata,
            canonical=uri.canonical,
            values=VALUES,
            summary="DICOM objects over WADO-URI or a plain URL",
        ),
        ImageLoader(
            "wadors",
            rs.load,
            load_many=rs_many.load_many,
            metadata=rs.metadata,
            canonical=rs.canonical,
            values=VALUES,
            summary="DICOM frames over WADO-RS",
        ),
    ]


@hookimpl
def loadstone_volume_loaders() -> Iterable[VolumeLoader]:
    """Return the loaders of volumes."""
    return [
        VolumeLoader("dicomfile", files.open_volumes, summary="DICOM files and folders"),
        VolumeLoader("wadouri", uri.open_volumes, summary="multi-frame DICOM objects over HTTP"),
        VolumeLoader("wadors", rs.open_volumes, summary="DICOM series and instances over WADO-RS"),
    ]
