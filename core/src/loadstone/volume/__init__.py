"""Volumes: planned from metadata, filled slice by slice, usable on the way."""

from __future__ import annotations

from loadstone.volume.volume import Volume

__all__ = ["Volume"]
