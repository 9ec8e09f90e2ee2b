"""How much memory loading a volume takes beside the volume."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOST_BESIDE = 24
"""MiB; the volume has 64."""

SCRIPT = """
import sys, tracemalloc
from pathlib import Path
import numpy as np
import loadstone
from loadstone import Image, ImageLoader

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))

def load(image_id, context):
    if sys.argv[1] == "its own":
        return Image(np.full((512, 512), int(image_id.rest), "u2"))
    out = context.allocate((512, 512), np.dtype("u2"), image_id)
    out[...] = int(image_id.rest)
    return Image(out)

with loadstone.Session() as session:
    loadstone.register_image_loader("toy", load)
    session.load_volume("streaming:warm", image_ids=["toy:1", "toy:2"])
    traced = sys.argv[2] == "traced"
    if traced:
        tracemalloc.start()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    volume = session.load_volume("streaming:all", image_ids=[f"toy:{k}" for k in range(128)])
    peak = tracemalloc.get_traced_memory()[1] / 2**20 if traced else status("VmHWM") - before
    assert (volume.array[:, 0, 0] == np.arange(128)).all()
    print(peak - volume.nbytes / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells its peak this way")
@pytest.mark.parametrize("measured", ["traced", "resident"])
@pytest.mark.parametrize("memory", ["allocated", "its own"])
def test_images_that_are_loaded_first_are_not_there_twice(memory: str, measured: str) -> None:
    """Each goes as it is copied into the volume, in numpy's accounts and in those of the system."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, memory, measured], capture_output=True, text=True, check=True
    )

    assert float(done.stdout) < MOST_BESIDE
