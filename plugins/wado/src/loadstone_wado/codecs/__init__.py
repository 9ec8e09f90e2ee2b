"""Encoded frames to arrays of stored values."""

from __future__ import annotations

from loadstone_wado.codecs.registry import CODECS, Decoding, prepare

__all__ = ["CODECS", "Decoding", "prepare"]
