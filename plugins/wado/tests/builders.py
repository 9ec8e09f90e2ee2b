"""DICOM objects and files for the tests of the pixel side."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from loadstone import Settings
from loadstone_wado.part10 import Part10

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

SETTINGS = Settings()
ROOT = Path(__file__).parents[3]
BUNDLED = Path(pydicom.__path__[0]) / "data" / "test_files"


def bundled_files() -> list[Path]:
    """Return every file inside the pydicom wheel, whatever it is."""
    return sorted(path for path in BUNDLED.rglob("*") if path.is_file())


def bundled(name: str) -> Path:
    """Return a file inside the pydicom wheel."""
    return BUNDLED / name


def shared_data() -> Path:
    """Return the folder with real data, or skip the test, saying so."""
    folder = Path(os.environ.get("LOADSTONE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "EXPECTED.csv").is_file():
        pytest.skip(f"no test data in {folder} (LOADSTONE_TEST_DATA)")
    return folder


def identity(**attributes: Any) -> Dataset:
    """Return a data set of a CT without image attributes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["sop"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.Modality = "CT"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def image(pixels: npt.NDArray[Any] | None = None, *, frames: int | None = None, **attributes: Any) -> Dataset:
    """
    Return the data set of an image with native pixels.

    `pixels` is (rows, columns) or (rows, columns, 3), with a leading axis when `frames` is given.
    """
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) if pixels is None else pixels
    dataset = identity()
    frame = pixels[0] if frames else pixels
    dataset.Rows, dataset.Columns = frame.shape[:2]
    dataset.SamplesPerPixel = frame.shape[2] if frame.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if frame.ndim == 3 else "MONOCHROME2"
    if frame.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if frames:
        dataset.NumberOfFrames = frames
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def item(**attributes: Any) -> Dataset:
    """Return an item of a sequence."""
    dataset = Dataset()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def part10(dataset: Dataset, transfer_syntax_uid: str = "") -> bytes:
    """Return the bytes of a Part-10 object."""
    if transfer_syntax_uid:
        dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    if dataset.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in dataset:
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def opened(dataset: Dataset, transfer_syntax_uid: str = "", *, settings: Settings = SETTINGS) -> Part10:
    """Write a data set and open what was written."""
    return Part10.from_bytes(part10(dataset, transfer_syntax_uid), settings, source="made.dcm")


def items_of(*fragments: bytes, table: tuple[int, ...] = (), delimiter: bool = True) -> bytes:
    """Return encapsulated pixel data with exactly these fragments and this basic offset table."""
    entries = b"".join(offset.to_bytes(4, "little") for offset in table)
    parts = b"".join(_item(each) for each in (entries, *fragments))
    return parts + (b"\xfe\xff\xdd\xe0\0\0\0\0" if delimiter else b"")


def _item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


def encapsulated(dataset: Dataset, transfer_syntax_uid: str, pixel_data: bytes) -> bytes:
    """Return a Part-10 object whose pixel data is exactly `pixel_data`, with undefined length."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    del dataset.PixelData
    head = part10(dataset)
    # pydicom would complete what is to be broken: change the transfer syntax and append the element here.
    old = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    uid = transfer_syntax_uid.encode() + b"\0" * (len(transfer_syntax_uid) % 2)
    new = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    assert head.count(old) == 1
    return head.replace(old, new) + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + pixel_data


def prefixes(data: bytes, step: int) -> Iterator[bytes]:
    """Yield ever longer beginnings of `data`."""
    for length in range(0, len(data), step):
        yield data[:length]
