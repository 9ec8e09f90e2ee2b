"""A frame as a picture: a plain PNG for previews."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from loadstone_wado.server.errors import NotAcceptableError, NotFoundError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from loadstone_wado.server.index import Instance

__all__ = ["render_png"]


def render_png(instance: Instance, number: int) -> bytes:
    """Return a frame as PNG: through its modality LUT and first window, or its colours.

    Parameters
    ----------
    instance
        What it is a frame of.
    number
        Counts from 1.

    Raises
    ------
    DamagedObjectError
        If the file is gone or was changed.
    NotAcceptableError
        If the frame cannot be decoded.
    NotFoundError
        If there is no such frame.
    """
    if instance.pixels is None or not 1 <= number <= instance.pixels.frames:
        raise NotFoundError(f"this instance has no frame {number}")
    with instance.source.open() as file:
        try:
            dataset = dcmread(file)
            return _png(_display(pixel_array(dataset, index=number - 1), dataset))
        except Exception as error:  # pydicom raises whatever its parsing and its decoders do
            raise NotAcceptableError(f"this frame cannot be rendered: {error}") from error


def _display(pixels: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    colours = str(dataset.get("PhotometricInterpretation", ""))
    if colours == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(pixels, dataset))
    if pixels.ndim == 3:
        return _eight_bits(pixels, high=2.0 ** int(dataset.BitsStored) - 1)
    shown = _eight_bits(*_windowed(pixels, dataset))
    return 255 - shown if colours == "MONOCHROME1" else shown


def _windowed(pixels: NDArray[Any], dataset: Dataset) -> tuple[NDArray[Any], float | None, float | None]:
    values = apply_modality_lut(pixels, dataset)
    if "WindowCenter" in dataset or "VOILUTSequence" in dataset:
        values = apply_voi_lut(values, dataset)
    return values, float(values.min()), float(values.max())


def _eight_bits(values: NDArray[Any], low: float | None = 0, high: float | None = None) -> NDArray[np.uint8]:
    least = low or 0.0
    greatest = float(np.iinfo(values.dtype).max) if high is None else high
    scaled = (values.astype(np.float64) - least) * (255 / max(greatest - least, 1e-9))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    rows, columns = pixels.shape[:2]
    colour_type = 2 if pixels.ndim == 3 else 0
    lines = np.zeros((rows, 1 + pixels[0].size), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(rows, -1)
    chunks = (
        (b"IHDR", struct.pack(">LLBBBBB", columns, rows, 8, colour_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
        for kind, data in chunks
    )
