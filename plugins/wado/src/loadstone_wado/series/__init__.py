"""Sorting instances into volumes."""

from __future__ import annotations

from loadstone_wado.series.cornerstone import TimePointGroups, split_by_4d_tags
from loadstone_wado.series.left_out import LeftOut
from loadstone_wado.series.members import Member
from loadstone_wado.series.stacks import stacks_of

__all__ = ["LeftOut", "Member", "TimePointGroups", "split_by_4d_tags", "stacks_of"]
