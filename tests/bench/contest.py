"""Ours and a peer's way of doing the same work: in turn, in one process, checked to give the same voxels."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Contest", "Outcome", "run"]

Load = Callable[[], npt.ArrayLike]


@dataclass(frozen=True, slots=True)
class Contest:
    """One row of the table."""

    work: str
    """What is done."""
    peer: str
    """Who else does it."""
    ours: Load
    """Loads the volume with Loadstone: the call that the README shows."""
    theirs: Load
    """Loads the same volume, in the same order and units, as the peer's documentation shows."""
    goal: float
    """How many times faster it is meant to be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contest gave; times in milliseconds."""

    contest: Contest
    """Which."""
    ours: float
    """Median."""
    theirs: float
    """Median."""
    ratios: tuple[float, ...]
    """Of each pair of runs, sorted."""

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)


def run(contest: Contest, pairs: int) -> Outcome:
    """Run both once to warm up and to compare what they give, then in turn `pairs` times."""
    if not np.array_equal(np.asarray(contest.ours()), np.asarray(contest.theirs())):
        raise AssertionError(f"{contest.work}: {contest.peer} and Loadstone do not give the same voxels")
    times = [(_timed(contest.ours), _timed(contest.theirs)) for _ in range(pairs)]
    return Outcome(
        contest,
        statistics.median(ours for ours, _ in times),
        statistics.median(theirs for _, theirs in times),
        tuple(sorted(theirs / ours for ours, theirs in times)),
    )


def _timed(load: Load) -> float:
    gc.collect()
    started = time.perf_counter()
    result = load()
    milliseconds = 1000 * (time.perf_counter() - started)
    del result
    return milliseconds
