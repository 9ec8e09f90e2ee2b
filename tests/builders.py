"""Series of DICOM files made for the tests, and where the test data lies."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

ROOT = Path(__file__).parents[1]
AXIAL = np.eye(3)


def data_folder() -> Path:
    """Return where the test data lie, if they are there."""
    return Path(os.environ.get("LOADSTONE_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_data(*parts: str) -> Path:
    """Return a path among the test data; skip the test where they are not."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set LOADSTONE_TEST_DATA")
    return folder.joinpath(*parts)


def rotation(x: float, y: float, z: float) -> npt.NDArray[np.float64]:
    """Return the matrix that turns about three axes, by angles in radians."""
    turns = [np.eye(3) for _ in range(3)]
    for axis, angle in enumerate((x, y, z)):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        turns[axis][[one, other], [one, other]] = np.cos(angle)
        turns[axis][one, other], turns[axis][other, one] = -np.sin(angle), np.sin(angle)
    return np.asarray(turns[0] @ turns[1] @ turns[2])


def ct_slice(stored: npt.NDArray[np.uint16], **attributes: Any) -> Dataset:
    """Return a CT slice with 12 bits stored and an intercept of -1024; `attributes` override."""
    dataset = Dataset()
    defaults = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "FrameOfReferenceUID": "1.2.3.2",
        "Modality": "CT",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "InstanceNumber": 1,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelSpacing": [1.0, 1.0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 0],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        "PixelData": stored.astype("<u2").tobytes(),
    }
    for keyword, value in (defaults | attributes).items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    return dataset


def part10(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the bytes of a Part-10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    file = BytesIO()
    # A private syntax is written as what nearly all private ones are.
    dataset.save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return file.getvalue()


def write_ct(
    folder: Path,
    shape: tuple[int, int, int] = (6, 5, 7),
    *,
    axes: npt.NDArray[np.float64] = AXIAL,
    spacing: Sequence[float] = (0.5, 0.75, 2.0),
    origin: Sequence[float] = (-100.0, 50.5, 12.25),
    seed: int = 0,
) -> npt.NDArray[np.uint16]:
    """
    Write a CT series, one file a slice; neither file names nor instance numbers follow the positions.

    Parameters
    ----------
    folder
        Where to.
    shape
        Slices, rows, columns.
    axes
        Its columns are the unit vectors of i, j, k in LPS.
    spacing
        Of i, j, k in mm.
    origin
        Centre of the first voxel, LPS, mm.
    seed
        Of the stored values and of the order.

    Returns
    -------
    numpy.ndarray
        The stored values, ``(k, j, i)``.
    """
    random = np.random.default_rng(seed)
    stored = random.integers(0, 4096, shape, np.uint16)
    for name, k in enumerate(random.permutation(shape[0])):
        dataset = ct_slice(
            stored[k],
            InstanceNumber=name + 1,
            PixelSpacing=decimals(spacing[1::-1]),
            ImageOrientationPatient=decimals([*axes[:, 0], *axes[:, 1]]),
            ImagePositionPatient=decimals(np.asarray(origin) + k * spacing[2] * axes[:, 2]),
        )
        (folder / f"{name}.dcm").write_bytes(part10(dataset))
    return stored


def decimals(values: npt.ArrayLike) -> list[str]:
    """Return numbers as decimal strings of DICOM, which have at most 16 characters."""
    return [f"{value:.9f}"[:16] for value in np.asarray(values, np.float64)]
