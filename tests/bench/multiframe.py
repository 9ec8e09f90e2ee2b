"""Enhanced multi-frame objects: the whole as a volume, and one frame of many."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import pixel_array

import loadstone
from tests.bench import bare
from tests.bench.contest import Contest
from tests.bench.folders import loaded
from tests.bench.phantom import SLICES, enhanced_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["multiframe_contests"]

GOALS = {"raw": 3.0, "HTJ2K": 7.0}
GOAL_ONE_FRAME = 20.0
GOAL_INDEX = 1.0
"""Both read one frame then; the session and its thread are ours alone."""
FRAMES = 1000
FRAME = 700


def multiframe_contests(root: Path) -> Iterator[Contest]:
    """300 frames to a volume in HU, uncompressed and HTJ2K; frame 700 of 1,000."""
    for syntax, goal in GOALS.items():
        file = enhanced_file(root, syntax)
        yield Contest(
            f"enhanced CT of 300 frames, {syntax}",
            "pydicom",
            partial(loaded, f"dicomfile:{file}"),
            partial(_pydicom_volume, file),
            goal,
            _limits(file, syntax),
        )
    file = enhanced_file(root, "raw", FRAMES)
    ours = partial(_one_frame, f"dicomfile:{file}?frame={FRAME}")
    work = f"one frame of {FRAMES}"
    limits = [partial(bare.read, bare.places_of([file], FRAMES)[FRAME - 1 : FRAME], 1)]
    yield Contest(work, "pydicom", ours, partial(_pydicom_frame, file), GOAL_ONE_FRAME, limits)
    yield Contest(work, "pydicom, index=", ours, partial(_pydicom_index, file), GOAL_INDEX, limits)


def _limits(file: Path, syntax: str) -> list[Callable[[], object]]:
    """Return what reads the frames of an object into one array, or decodes them."""
    if syntax == "raw":
        places = bare.places_of([file], SLICES)
        return [partial(bare.read, places, threads) for threads in (1, bare.CORES)]
    return [partial(bare.decode, bare.frames_of([file], SLICES), syntax)]


def _pydicom_volume(file: Path) -> npt.NDArray[Any]:
    return pydicom.dcmread(file).pixel_array.astype(np.int16) + np.int16(-1024)


def _one_frame(image_id: str) -> npt.NDArray[Any]:
    with loadstone.Session() as session:
        return session.load_image(image_id).pixels


def _pydicom_frame(file: Path) -> npt.NDArray[Any]:
    """Take the way that is shown everywhere."""
    frame: npt.NDArray[Any] = pydicom.dcmread(file).pixel_array[FRAME - 1]
    return frame.astype(np.int16) + np.int16(-1024)


def _pydicom_index(file: Path) -> npt.NDArray[Any]:
    """Take the way on which pydicom reads one frame and not the others; the scale is in the header."""
    header = pydicom.dcmread(file, stop_before_pixels=True)
    values = header.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    stored = pixel_array(file, index=FRAME - 1).astype(np.int16)
    return np.int16(values.RescaleSlope) * stored + np.int16(values.RescaleIntercept)
