"""
What is left when sessions are closed: no threads, no descriptors, no memory.

The numbers measured are logged: ``pytest --log-cli-level=INFO tests/test_leftovers.py``.
"""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from core.tests.builders import WAIT
from loadstone import CacheFullError, LoadCancelled, RequestType, Session
from loadstone_wado.server import DicomWebServer
from tests.builders import write_ct
from tests.test_budget import BUDGET, LEFT, MIB, SIDE, SLICES, VOLUMES, Names, Traced, files, folders

_log = logging.getLogger(__name__)


def descriptors() -> int:
    """Return how many files and sockets are open; 0 where that cannot be seen."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def some_loads(session: Session, names: Names, count: int, choice: random.Random) -> int:
    """Ask for things at random, cancel many of them at different moments; return how many."""
    cancelled = 0
    for _ in range(count // 50):
        handles: list[Any] = []
        for _ in range(50):
            kind = choice.choice(list(RequestType)[:3])
            if choice.random() < 0.1:
                volume_id, image_ids = choice.choice(names.volumes)
                handles.append(session.request_volume(volume_id, image_ids=image_ids, type=kind))
            else:
                handles.append(session.request_image(choice.choice(names.images), type=kind))
            if choice.random() < 0.5:
                choice.choice(handles).cancel()
        for handle in handles:
            error = handle.exception(WAIT)
            cancelled += isinstance(error, LoadCancelled)
            assert isinstance(error, LoadCancelled | CacheFullError | None)
    return cancelled


def test_a_thousand_loads_with_random_cancels_leave_nothing_behind(tmp_path: Path) -> None:
    """Files, compressed ones, a server: threads, descriptors, memory are afterwards what they were."""
    (tmp_path / "served").mkdir()
    write_ct(tmp_path / "served", (SLICES, SIDE, SIDE))
    with folders(tmp_path) as local, files(tmp_path) as compressed, Traced() as memory:

        def round_of(count: int) -> tuple[int, tuple[int, int, int]]:
            with (
                DicomWebServer(tmp_path / "served") as server,
                Session(cache_bytes=BUDGET, idle_seconds=0.05) as session,
            ):
                series = f"wadors:{server.url}/studies/1.2.3/series/1.2.3.1"
                remote = Names(session.image_ids(series), [(series, None)])
                names = Names(
                    local.images + compressed.images + remote.images * VOLUMES,
                    local.volumes + compressed.volumes + remote.volumes * VOLUMES,
                )
                cancelled = some_loads(session, names, count, random.Random(count))
            return cancelled, (threading.active_count(), descriptors(), memory.at_rest())

        _, before = round_of(50)  # imports, caches of the libraries
        cancelled, after = round_of(1000)
    _log.info("%d cancelled; threads, descriptors, bytes: before %s, after %s", cancelled, before, after)

    assert cancelled > 50
    assert after[:2] == before[:2]
    assert after[2] <= before[2] + LEFT


RESIDENT = """
import os
import random
from pathlib import Path

import numpy as np

import loadstone
from loadstone import Image, LoadCancelled, Session

SIDE = 512


def load(image_id, context):
    own = int(image_id.rest) % 2
    out = np.empty((SIDE, SIDE), "u2") if own else context.allocate((SIDE, SIDE), "u2")
    out[...] = int(image_id.rest)
    return Image(out, 2.0)


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def some_loads(count):
    choice = random.Random(count)
    with Session(cache_bytes=8 * 2**20, idle_seconds=0.05) as session:
        for start in range(0, count, 8):
            handles = [session.request_image(f"big:{number}") for number in range(start, start + 8)]
            for handle in handles:
                if choice.random() < 0.4:
                    handle.cancel()
            for handle in handles:
                assert isinstance(handle.exception(30), LoadCancelled | None)


loadstone.register_image_loader("big", load)
some_loads(200)
before = resident()
some_loads(1000)
print(before, resident())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells it this way")
def test_a_thousand_loads_leave_no_memory_resident() -> None:
    """Half a gigabyte goes through a small budget; afterwards the process is as large, but for 48 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT], capture_output=True, text=True, timeout=60, check=True
    )
    before, after = map(int, done.stdout.split())
    _log.info("resident bytes: before %d, after %d", before, after)

    assert after - before < 48 * MIB
