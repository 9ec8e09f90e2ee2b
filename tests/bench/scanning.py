"""What is in a folder of 5,000 mixed files: hot, and on a disk where each open and read takes 2 ms."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pydicom

import loadstone
from tests.bench.bare import CORES, spread
from tests.bench.contest import Contest
from tests.bench.kept import kept_folder
from tests.bench.phantom import write_series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["scan_contests"]

SERIES = 45
IMAGES = 100
OTHERS = 500
DELAY = 0.002
IN_FLIGHT = 32
HEAD = 16_384
"""Bytes in which the whole header of most files is."""
GOAL_PYDICOM = 4.0
GOAL_IN_FLIGHT = 1 / 1.3


def scan_contests(root: Path) -> Iterator[Contest]:
    """Count the images of each volume."""
    folder = kept_folder(root, "mixed", _write)
    work = "scan of 5,000 mixed files"
    yield Contest(
        work,
        "pydicom loop",
        partial(_scan, folder),
        partial(_pydicom, folder),
        GOAL_PYDICOM,
        [partial(_at_best, folder, threads) for threads in (1, CORES)],
        equal=_alike,
    )
    with _slow_disk():
        at_best = partial(_at_best, folder, IN_FLIGHT)
        yield Contest(
            f"{work}, 2 ms an open and read",
            "32 in flight",
            partial(_scan, folder),
            at_best,
            GOAL_IN_FLIGHT,
            equal=_alike,
        )


def _write(folder: Path) -> None:
    for number in range(SERIES):
        place = folder / f"{number:03d}"
        place.mkdir()
        write_series(place, header="1 kB" if number % 2 else "16 kB", count=IMAGES, size=64)
    for number in range(OTHERS):
        (folder / f"notes-{number}.txt").write_text("no image\n" * number, encoding="ascii")


def _alike(ours: object, theirs: object) -> bool:
    return ours == theirs


def _scan(folder: Path) -> list[int]:
    with loadstone.Session() as session:
        return sorted(row.count for row in session.scan(f"dicomfile:{folder}"))


def _files(folder: Path) -> list[str]:
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]  # noqa: PTH118


def _pydicom(folder: Path) -> list[int]:
    """Read every header, and count by series."""
    counted: Counter[str] = Counter()
    for path in _files(folder):
        try:
            counted[pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID] += 1
        except pydicom.errors.InvalidDicomError:
            continue
    return sorted(counted.values())


def _at_best(folder: Path, threads: int) -> list[int]:
    """Open and read so many files at a time, and look at nothing but the name of the series."""
    found = list[bytes | None]()
    spread(lambda path: found.append(_series_of(path)), _files(folder), threads)
    return sorted(Counter(filter(None, found)).values())


def _series_of(path: str) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY)
    head = os.pread(descriptor, HEAD, 0)
    os.close(descriptor)
    at = head.find(b"\x20\x00\x0e\x00UI")
    return head[at + 8 : at + 72].split(b"\x20\x00", 1)[0] if at >= 0 else None


@contextmanager
def _slow_disk() -> Iterator[None]:
    """Have every open and read of this process wait first, as on a network disk."""
    names = ("open", "pread", "preadv", "read")
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in names}

    def delayed(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        time.sleep(DELAY)
        return function(*arguments, **named)

    for name, function in real.items():
        setattr(os, name, partial(delayed, function))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
