"""A CT-like series made once: a disc with noise, 12 bits in 16, intercept -1024, headers of several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HEADERS", "ct_folder"]

SLICES: Final = 300
SIZE: Final = 512
HEADERS: Final = {"1 kB": 0, "16 kB": 350, "150 kB": 350}
"""Name of a kind of header, and how many further elements it has; the largest has private binary data too."""

PRIVATE_BYTES: Final = 67_000
"""Of each of the two private elements of the largest kind, as in Siemens' CSA headers."""


def ct_folder(root: Path, header: str) -> Path:
    """Return a folder with the series, written when it is first asked for; file order is not slice order."""
    folder = root / f"ct-{header.replace(' ', '')}"
    done = folder / ".done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, header)
        done.touch()
    return folder


def _write(folder: Path, header: str) -> None:
    random = np.random.default_rng(20)
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    body = np.where(rows**2 + columns**2 < (0.4 * SIZE) ** 2, 1064.0, 24.0)
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    names = random.permutation(SLICES)
    for k in range(SLICES):
        pixels = np.clip(body + random.normal(0, 15, (SIZE, SIZE)), 0, 4095).astype("<u2")
        dataset = _slice(k, pixels, header)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame_of_reference
        dataset.save_as(folder / f"{names[k]:04d}.dcm", enforce_file_format=True)


def _slice(k: int, pixels: np.ndarray, header: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyDate, dataset.Modality = "20260101", "CT"
    dataset.PatientName, dataset.PatientID = "Phantom", "0"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, k + 1
    dataset.ImagePositionPatient = [-200.0, -200.0, 1.5 * k]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.78125, 0.78125], 1.5
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    _fill_header(dataset, header)
    dataset.PixelData = pixels.tobytes()
    return dataset


def _fill_header(dataset: Dataset, header: str) -> None:
    """Add what vendors add: private text elements, and large private binary ones."""
    block = dataset.private_block(0x0019, "PHANTOM TEXT", create=True)
    for number in range(min(HEADERS[header], 200)):
        block.add_new(number, "LO", f"a private value of {number:3d}, some 40 characters")
    more = dataset.private_block(0x0021, "PHANTOM NUMBERS", create=True)
    for number in range(HEADERS[header] - 200):
        more.add_new(number, "DS", ["1.25"] * 6)
    if header == "150 kB":
        binary = dataset.private_block(0x0029, "PHANTOM BINARY", create=True)
        binary.add_new(0x10, "OB", bytes(PRIVATE_BYTES))
        binary.add_new(0x20, "OB", bytes(PRIVATE_BYTES))
