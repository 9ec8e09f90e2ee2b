"""Encoded frames to arrays of stored values."""

from __future__ import annotations

from loadstone_wado.codecs.reduced import REDUCIBLE, ends_with_mark, level_for, prepare_reduced
from loadstone_wado.codecs.registry import CODECS, Decoding, prepare

__all__ = ["CODECS", "REDUCIBLE", "Decoding", "ends_with_mark", "level_for", "prepare", "prepare_reduced"]
