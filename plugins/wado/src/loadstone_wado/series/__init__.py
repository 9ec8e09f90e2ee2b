"""Sorting instances into volumes."""

from __future__ import annotations

from loadstone_wado.series.stacks import Member, stacks_of

__all__ = ["Member", "stacks_of"]
