"""What this package gives to Loadstone: loaders for ``dicomfile:``, ``wadouri:`` and ``wadors:``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import ImageLoader, VolumeLoader, hookimpl
from loadstone_wado import files, rs, rs_many, uri
from loadstone_wado.output import VALUES
from loadstone_wado.tiles import Tiled, TiledStream

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["loadstone_image_loaders", "loadstone_volume_loaders"]

FILES_AT_A_TIME = 16
"""Files that one worker reads in a row: enough to spread over the workers, few enough to share evenly."""


_FILES: Final = TiledStream(files.load, files.metadata, files.canonical, files.instance_of, files.load_many)
_URI: Final = Tiled(uri.load, uri.metadata, uri.canonical, uri.instance_of)
_RS: Final = TiledStream(rs.load, rs.metadata, rs.canonical, rs.instance_of, rs_many.load_many)


@hookimpl
def loadstone_image_loaders() -> Iterable[ImageLoader]:
    """Return the loaders of images."""
    return [
        ImageLoader(
            "dicomfile",
            _FILES.load,
            load_many=_FILES.load_many,
            metadata=_FILES.metadata,
            canonical=_FILES.canonical,
            batch_size=FILES_AT_A_TIME,
            values=VALUES,
            summary="DICOM Part-10 files",
        ),
        ImageLoader(
            "wadouri",
            _URI.load,
            metadata=_URI.metadata,
            canonical=_URI.canonical,
            values=VALUES,
            summary="DICOM objects over WADO-URI or a plain URL",
        ),
        ImageLoader(
            "wadors",
            _RS.load,
            load_many=_RS.load_many,
            metadata=_RS.metadata,
            canonical=_RS.canonical,
            values=VALUES,
            options=frozenset({"bulkdata"}),
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
