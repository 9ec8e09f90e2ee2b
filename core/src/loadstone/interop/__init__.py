"""Volumes for other libraries: `Volume.to_nibabel`, `to_simpleitk`, `to_xarray`, `to_canonical`."""

from loadstone.interop.canonical import Canonical

__all__ = ["Canonical"]
