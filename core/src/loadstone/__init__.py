"""
Load medical images by name, through plugins.

>>> image = loadstone.load_image("nifti:/data/t1.nii.gz?frame=90")  # doctest: +SKIP
>>> volume = loadstone.load_volume("dicomfile:/data/ct")  # doctest: +SKIP

Importing it looks which plugins are installed, and imports none of them.
"""

from __future__ import annotations

from loadstone import _plugins
from loadstone._api import (
    create_derived_image,
    create_derived_volume,
    create_labelmap_image,
    create_labelmap_volume,
    create_local_image,
    create_local_volume,
    create_volume,
    default_session,
    image_ids,
    load_image,
    load_volume,
    load_volumes,
    plugins,
    refresh_plugins,
    register_image_loader,
    register_unknown_image_loader,
    register_unknown_volume_loader,
    register_volume_loader,
    release,
    request_image,
    request_volume,
    scan,
    subscribe,
    to_id,
    unregister_image_loader,
    unregister_volume_loader,
    volume_ids,
)
from loadstone._plugins import PluginInfo, PluginPolicy, RegistrationHandle
from loadstone.context import LoadContext
from loadstone.errors import (
    CacheFullError,
    DecodeError,
    FetchError,
    GeometryError,
    IntegrityError,
    InvalidIdError,
    LimitError,
    LoadCancelled,
    LoadCycleError,
    LoadstoneError,
    MetadataError,
    PluginContractError,
    PluginLoadError,
    SchemeConflictError,
    SecurityError,
    UnknownSchemeError,
    UnsupportedError,
)
from loadstone.geometry import Axis, GeometryPolicy
from loadstone.hookspecs import (
    ImageLoader,
    ImageStack,
    MetadataProvider,
    VolumeHeader,
    VolumeLoader,
    VoxelSource,
    hookimpl,
)
from loadstone.ids import ImageId, VolumeId, path_of
from loadstone.image import Image, LoaderInfo, Quality
from loadstone.load_object import LoadObject, Progress
from loadstone.metadata import Window
from loadstone.options import LoadOptions
from loadstone.pools import RequestType
from loadstone.scanning import SeriesInfo, SeriesTable
from loadstone.session import Session
from loadstone.settings import Settings
from loadstone.stash import StashKey
from loadstone.volume import Volume

__all__ = [
    "Axis",
    "CacheFullError",
    "DecodeError",
    "FetchError",
    "GeometryError",
    "GeometryPolicy",
    "Image",
    "ImageId",
    "ImageLoader",
    "ImageStack",
    "IntegrityError",
    "InvalidIdError",
    "LimitError",
    "LoadCancelled",
    "LoadContext",
    "LoadCycleError",
    "LoadObject",
    "LoadOptions",
    "LoaderInfo",
    "LoadstoneError",
    "MetadataError",
    "MetadataProvider",
    "PluginContractError",
    "PluginInfo",
    "PluginLoadError",
    "PluginPolicy",
    "Progress",
    "Quality",
    "RegistrationHandle",
    "RequestType",
    "SchemeConflictError",
    "SecurityError",
    "SeriesInfo",
    "SeriesTable",
    "Session",
    "Settings",
    "StashKey",
    "UnknownSchemeError",
    "UnsupportedError",
    "Volume",
    "VolumeHeader",
    "VolumeId",
    "VolumeLoader",
    "VoxelSource",
    "Window",
    "create_derived_image",
    "create_derived_volume",
    "create_labelmap_image",
    "create_labelmap_volume",
    "create_local_image",
    "create_local_volume",
    "create_volume",
    "default_session",
    "hookimpl",
    "image_ids",
    "load_image",
    "load_volume",
    "load_volumes",
    "path_of",
    "plugins",
    "refresh_plugins",
    "register_image_loader",
    "register_unknown_image_loader",
    "register_unknown_volume_loader",
    "register_volume_loader",
    "release",
    "request_image",
    "request_volume",
    "scan",
    "subscribe",
    "to_id",
    "unregister_image_loader",
    "unregister_volume_loader",
    "volume_ids",
]

_plugins.default_registry()
