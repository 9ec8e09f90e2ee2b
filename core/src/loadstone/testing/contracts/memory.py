"""Counting the memory of arrays, by what numpy itself reports to `tracemalloc`."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LEAST_BYTES", "SLACK_BYTES", "array_memory"]

SLACK_BYTES: Final = 2**14
"""What small arrays may take: a lookup table, a parsed header."""
LEAST_BYTES: Final = 4 * SLACK_BYTES
"""A smaller array would not stand out from them."""


@contextmanager
def array_memory() -> Iterator[Callable[[], int]]:
    """Give a function that counts the bytes of all living arrays that were made since."""
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    before = _living()
    try:
        yield lambda: _living() - before
    finally:
        if not was_tracing:
            tracemalloc.stop()


def _living() -> int:
    gc.collect()
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size for trace in traces if trace.domain == np.lib.tracemalloc_domain)
