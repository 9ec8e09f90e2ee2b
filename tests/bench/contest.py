"""Ours and a peer's way of doing the same work: in turn, in one process, checked to give the same voxels."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

__all__ = ["Contest", "Outcome", "equal_arrays", "run"]

SLOW_SECONDS = 8
"""A pair that takes longer is run three times at most, so that all rows take less than 20 minutes."""

Load = Callable[[], object]


def equal_arrays(ours: object, theirs: object) -> bool:
    """Say whether both gave the same voxels, bit for bit."""
    return np.array_equal(np.asarray(ours), np.asarray(theirs))


@dataclass(frozen=True, slots=True)
class Contest:
    """One row of the table."""

    work: str
    """What is done."""
    peer: str
    """Who else does it."""
    ours: Load
    """Does it with Loadstone: the call that the documentation shows."""
    theirs: Load
    """Does the same, in the same order and units, as the peer's documentation shows."""
    goal: float | None
    """How many times faster it is meant to be; None: it is only reported."""
    bare: Sequence[Load] = ()
    """The least that has to be done: the reads or the codec alone. Of several ways the fastest counts."""
    equal: Callable[[object, object], bool] = equal_arrays
    """Says whether both gave the same."""
    before: Load | None = None
    """What is done before each run and not measured."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contest gave; times in milliseconds, memory in MB."""

    contest: Contest
    """Which."""
    ours: float
    """Median time."""
    theirs: float
    """Median time."""
    bare: float | None
    """Median time of the fastest bare limit."""
    ratios: tuple[float, ...]
    """Of each pair of runs, sorted."""
    our_peak: float | None
    """Growth of the resident set while it ran; None where the system does not tell."""
    their_peak: float | None
    """The same of the peer."""

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)


def run(contest: Contest, pairs: int) -> Outcome:
    """Run both once to warm up and to compare what they give, then in turn `pairs` times, or 3 if slow."""
    started = time.perf_counter()
    ours, theirs = contest.ours(), contest.theirs()
    if time.perf_counter() - started > SLOW_SECONDS:
        pairs = min(pairs, 3)
    if not contest.equal(ours, theirs):
        raise AssertionError(f"{contest.work}: {contest.peer} and Loadstone do not give the same")
    del ours, theirs
    our_peak, their_peak = _peak(contest.ours), _peak(contest.theirs)
    timed = partial(_timed, before=contest.before)
    times = [(timed(contest.ours), timed(contest.theirs)) for _ in range(pairs)]
    return Outcome(
        contest,
        ours=statistics.median(ours for ours, _ in times),
        theirs=statistics.median(theirs for _, theirs in times),
        bare=min(
            (statistics.median(timed(way) for _ in range(max(3, pairs))) for way in contest.bare),
            default=None,
        ),
        ratios=tuple(sorted(theirs / ours for ours, theirs in times)),
        our_peak=our_peak,
        their_peak=their_peak,
    )


def _timed(load: Load, before: Load | None) -> float:
    if before is not None:
        before()
    gc.collect()
    started = time.perf_counter()
    result = load()
    milliseconds = 1000 * (time.perf_counter() - started)
    del result
    return milliseconds


def _peak(load: Load) -> float | None:
    """Return by how much the resident set grew at most, in MB (Linux only)."""
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak to what is there now
        before = _status("VmRSS")
        result = load()
        peak = _status("VmHWM")
    except OSError:
        return None
    del result
    return (peak - before) / 1000


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1.024
    raise OSError(name)
