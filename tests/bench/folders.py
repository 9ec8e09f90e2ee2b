"""A folder with a classic series to a volume in HU: three kinds of header, and all lossless syntaxes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import SimpleITK

import loadstone
from tests.bench import bare
from tests.bench.contest import Contest
from tests.bench.phantom import HEADERS, ct_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["bare_reads", "codec_contests", "folder_contests", "loaded", "pydicom_volume", "simpleitk_volume"]

GOALS = {"1 kB": 5.0, "16 kB": 3.5, "150 kB": 3.5}
"""Against pydicom."""
GOAL_SIMPLEITK = 8.0
CODEC_GOALS = {
    "RLE": ("pydicom", 2.4),
    "JPEG lossless": ("SimpleITK", 3.5),
    "JPEG-LS": ("SimpleITK", 2.2),
    "HTJ2K": ("pydicom", 5.0),
    "JPEG 2000": ("SimpleITK", 1.2),
}


def loaded(volume_id: str) -> npt.NDArray[Any]:
    """Load in a session of its own, so that nothing comes out of a cache."""
    with loadstone.Session() as session:
        return session.load_volume(volume_id).array


def folder_contests(root: Path) -> Iterator[Contest]:
    """300 uncompressed slices, for each kind of header."""
    for header in HEADERS:
        folder = ct_folder(root, header)
        ours = partial(loaded, f"dicomfile:{folder}")
        work = f"folder of 300 slices, headers of {header}"
        limits = bare_reads(folder)
        yield Contest(work, "pydicom", ours, partial(pydicom_volume, folder), GOALS[header], limits)
        yield Contest(work, "SimpleITK", ours, partial(simpleitk_volume, folder), GOAL_SIMPLEITK, limits)
        yield Contest(work, "highdicom", ours, partial(_highdicom_volume, folder), None, limits)


def codec_contests(root: Path) -> Iterator[Contest]:
    """300 compressed slices, for each lossless syntax, against the fastest peer."""
    peers = {"pydicom": pydicom_volume, "SimpleITK": simpleitk_volume}
    for syntax, (peer, goal) in CODEC_GOALS.items():
        folder = ct_folder(root, "1 kB", syntax)
        yield Contest(
            f"folder of 300 slices, {syntax}",
            peer,
            partial(loaded, f"dicomfile:{folder}"),
            partial(peers[peer], folder),
            goal,
            (partial(bare.decode, bare.frames_of(folder.glob("*.dcm")), syntax),),
        )


def bare_reads(folder: Path) -> list[Callable[[], object]]:
    """Return what reads the end of each file into one array, on one thread and on all cores."""
    places = bare.places_of(sorted(folder.glob("*.dcm")))
    return [partial(bare.read, places, threads) for threads in (1, bare.CORES)]


def pydicom_volume(folder: Path) -> npt.NDArray[Any]:
    """Read, sort and stack with pydicom."""
    files = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    files.sort(key=lambda each: each.ImagePositionPatient[2])
    return np.stack([each.pixel_array for each in files]).astype(np.int16) + np.int16(-1024)


def simpleitk_volume(folder: Path) -> npt.NDArray[Any]:
    """Read with SimpleITK's series reader."""
    sitk: Any = SimpleITK
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    voxels: npt.NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
    return voxels


def _highdicom_volume(folder: Path) -> npt.NDArray[Any]:
    """Read with pydicom, let highdicom sort, scale and stack; its first slice is our last."""
    files = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    return highdicom.get_volume_from_series(files, dtype=np.float32).array[::-1]
