"""A CT-like series: a disc with noise, 12 bits in 16, in several syntaxes, with small and large headers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels.encoders.base import RLELosslessEncoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests.bench.kept import kept_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "HEADERS",
    "SIZE",
    "SLICES",
    "SYNTAXES",
    "ct_folder",
    "enhanced_file",
    "slices",
    "write_enhanced",
    "write_series",
]

SLICES: Final = 300
SIZE: Final = 512
HEADERS: Final = {"1 kB": 0, "16 kB": 350, "150 kB": 350}
"""Name of a kind of header, and how many further elements it has; the largest has private binary data too."""
SYNTAXES: Final = {
    "raw": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "HTJ2K": HTJ2KLossless,
    "JPEG 2000": JPEG2000Lossless,
}

PRIVATE_BYTES: Final = 67_000
"""Of each of the two private elements of the largest kind, as in Siemens' CSA headers."""


def _rle(pixels: npt.NDArray[Any]) -> bytes:
    return RLELosslessEncoder.encode(
        pixels.tobytes(),
        index=0,
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=12,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        number_of_frames=1,
    )


_ENCODE: Final[dict[str, Callable[[npt.NDArray[Any]], bytes]]] = {
    "raw": lambda pixels: pixels.tobytes(),
    "RLE": _rle,
    "JPEG lossless": lambda pixels: bytes(
        imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=16)
    ),
    "JPEG-LS": lambda pixels: bytes(imagecodecs.jpegls_encode(pixels)),
    "HTJ2K": lambda pixels: bytes(imagecodecs.htj2k_encode(pixels, reversible=True)),
    "JPEG 2000": lambda pixels: bytes(
        imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", reversible=True, bitspersample=16)
    ),
}


def slices(count: int = SLICES, size: int = SIZE) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield stored values, slice by slice: (rows, columns)."""
    random = np.random.default_rng(20)
    rows, columns = np.mgrid[:size, :size] - size / 2
    body = np.where(rows**2 + columns**2 < (0.4 * size) ** 2, 1064.0, 24.0)
    for _ in range(count):
        yield np.clip(body + random.normal(0, 15, (size, size)), 0, 4095).astype("<u2")


def ct_folder(root: Path, header: str, syntax: str = "raw", count: int = SLICES) -> Path:
    """Return a folder with the classic series; the order of its files is not that of its slices."""
    name = f"ct-{header}-{syntax}-{count}".replace(" ", "")
    return kept_folder(root, name, partial(write_series, header=header, syntax=syntax, count=count))


def write_series(
    folder: Path, header: str = "1 kB", syntax: str = "raw", count: int = SLICES, size: int = SIZE
) -> None:
    """Write the slices as classic objects."""
    names = np.random.default_rng(21).permutation(count)
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    for k, pixels in enumerate(slices(count, size)):
        dataset = _slice(k)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame_of_reference
        _fill_header(dataset, header)
        _put_pixels(dataset, syntax, [pixels])
        dataset.save_as(folder / f"{names[k]:05d}.dcm", enforce_file_format=True)


def _put_pixels(dataset: Dataset, syntax: str, frames: list[npt.NDArray[Any]]) -> None:
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    dataset.Rows, dataset.Columns = frames[0].shape
    encoded = [_ENCODE[syntax](frame) for frame in frames]
    if syntax == "raw":
        dataset.PixelData = b"".join(encoded)
    elif len(frames) == 1:
        dataset.PixelData = encapsulate(encoded)
    else:
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = (
            encapsulate_extended(encoded)
        )
    dataset["PixelData"].VR = "OW" if syntax == "raw" else "OB"


def _slice(k: int) -> Dataset:
    dataset = _described(CTImageStorage)
    dataset.InstanceNumber = k + 1
    dataset.ImagePositionPatient = [-200.0, -200.0, 1.5 * k]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [0.78125, 0.78125], 1.5
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    return dataset


def _described(sop_class: UID) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyDate, dataset.Modality = "20260101", "CT"
    dataset.PatientName, dataset.PatientID = "Phantom", "0"
    dataset.SeriesNumber = 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
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


def enhanced_file(root: Path, syntax: str = "raw", count: int = SLICES) -> Path:
    """Return the same slices as one enhanced multi-frame object."""
    write = partial(write_enhanced, syntax=syntax, count=count)
    return kept_folder(root, f"enhanced-{syntax}-{count}".replace(" ", ""), write) / "enhanced.dcm"


def write_enhanced(folder: Path, syntax: str = "raw", count: int = SLICES, size: int = SIZE) -> None:
    """Write the slices as one object."""
    dataset = _described(EnhancedCTImageStorage)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.NumberOfFrames = count
    dataset.SharedFunctionalGroupsSequence = [_shared_groups()]
    dataset.PerFrameFunctionalGroupsSequence = [_frame_groups(k) for k in range(count)]
    _put_pixels(dataset, syntax, list(slices(count, size)))
    dataset.save_as(folder / "enhanced.dcm", enforce_file_format=True)


def _shared_groups() -> Dataset:
    measures, orientation, values, shared = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.78125, 0.78125], 1.5
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    return shared


def _frame_groups(k: int) -> Dataset:
    content, position, groups = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", k + 1, [1, k + 1]
    position.ImagePositionPatient = [-200.0, -200.0, 1.5 * k]
    groups.FrameContentSequence, groups.PlanePositionSequence = [content], [position]
    return groups
