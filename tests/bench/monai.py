"""A folder with a classic series through MONAI, where it is installed."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tests.bench.contest import Contest
from tests.bench.folders import bare_reads, loaded
from tests.bench.phantom import ct_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["monai_contests"]

INSTALL = "to have it: .tools/bin/uv pip install --python .venv/bin/python -c constraints.txt torch monai itk"
READERS = {"ITKReader": "itk", "PydicomReader": "pydicom"}
"""MONAI's names, and the module that each needs."""


def monai_contests(root: Path) -> Iterator[Contest]:
    """300 uncompressed slices, with each of its readers for DICOM."""
    missing = [name for name in ("monai", "torch") if find_spec(name) is None]
    if missing:
        print(f"(no MONAI: {' and '.join(missing)} not installed; {INSTALL})")
        return
    folder = ct_folder(root, "1 kB")
    for reader, needed in READERS.items():
        if find_spec(needed) is None:
            print(f"(no MONAI with {reader}: {needed} is not installed)")
            continue
        yield Contest(
            "folder of 300 slices, headers of 1 kB",
            f"MONAI, {reader}",
            partial(loaded, f"dicomfile:{folder}"),
            partial(_monai_volume, folder, reader),
            goal=None,
            bare=bare_reads(folder),
        )


def _monai_volume(folder: Path, reader: str) -> npt.NDArray[Any]:
    """Read as its documentation shows, in the smallest dtype that holds the values; its axes are i, j, k."""
    load = import_module("monai.transforms").LoadImage(reader=reader, image_only=True, dtype=np.int16)
    return np.asarray(load(folder)).T
