"""The contests: which work, against whom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import loadstone
from tests.bench.contest import Contest
from tests.bench.phantom import HEADERS, ct_folder
from tests.bench.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["folder_contests", "series_contests"]

GOAL_PYDICOM = {"1 kB": 5.0, "16 kB": 3.5, "150 kB": 3.5}
GOAL_SIMPLEITK = 8.0
GOAL_DICOMWEB = 2.0


def _loaded(volume_id: str) -> npt.ArrayLike:
    """Load in a session of its own, so that nothing comes out of a cache."""
    with loadstone.Session() as session:
        return session.load_volume(volume_id).array


def folder_contests(root: Path) -> Iterator[Contest]:
    """A folder with 300 slices to a volume in HU, for each kind of header."""
    for header in HEADERS:
        folder = ct_folder(root, header)
        ours = partial(_loaded, f"dicomfile:{folder}")
        work = f"folder of 300 slices, headers of {header}"
        yield Contest(work, "pydicom", ours, partial(_pydicom, folder), GOAL_PYDICOM[header])
        yield Contest(work, "SimpleITK", ours, partial(_simpleitk, folder), GOAL_SIMPLEITK)


def _pydicom(folder: Path) -> npt.ArrayLike:
    import pydicom

    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    slices.sort(key=lambda each: each.ImagePositionPatient[2])
    return np.stack([each.pixel_array for each in slices]).astype(np.int16) + np.int16(-1024)


def _simpleitk(folder: Path) -> npt.ArrayLike:
    import SimpleITK

    sitk: Any = SimpleITK
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    voxels: npt.NDArray[Any] = sitk.GetArrayFromImage(reader.Execute())
    return voxels


def series_contests(root: Path) -> Iterator[Contest]:
    """A WADO-RS series with 300 slices to a volume in HU, from the embedded server in another process."""
    with serving(ct_folder(root, "1 kB")) as (url, study, series):
        volume_id = f"wadors:{url}/studies/{study}/series/{series}"
        yield Contest(
            "WADO-RS series of 300 slices, embedded server",
            "dicomweb-client",
            partial(_loaded, volume_id),
            partial(_dicomweb_client, url, study, series),
            GOAL_DICOMWEB,
        )


def _dicomweb_client(url: str, study: str, series: str) -> npt.ArrayLike:
    """Take the fastest route that the client has: the series as a stream, not compressed on the way."""
    from dicomweb_client import DICOMwebClient

    client = DICOMwebClient(url, headers={"Accept-Encoding": "identity"})
    slices = sorted(client.iter_series(study, series), key=lambda each: each.ImagePositionPatient[2])
    return np.stack([each.pixel_array for each in slices]).astype(np.int16) + np.int16(-1024)
