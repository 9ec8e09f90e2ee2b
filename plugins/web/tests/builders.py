"""Images for tests: made of known pixels, damaged on purpose, or found in the shared data."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from loadstone_web.decode import decode
from loadstone_web.formats import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone_web.header import WebHeader

ROOT = Path(__file__).parents[3]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def shared(*parts: str) -> Path:
    """Return a path in the shared test data, or skip."""
    data = Path(os.environ.get("LOADSTONE_TEST_DATA", ROOT / "../shared/data"))
    path = data.joinpath("images", *parts)
    if not path.exists():
        pytest.skip(f"no test data at {path}; set LOADSTONE_TEST_DATA")
    return path


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def ihdr(columns: int, rows: int, depth: int, colour: int, methods: bytes = bytes(3)) -> bytes:
    """Return the header chunk; the methods are those of compression, filtering and interlacing."""
    return chunk(b"IHDR", struct.pack(">IIBB", columns, rows, depth, colour) + methods)


def scanlines(pixels: npt.NDArray[Any]) -> bytes:
    """Return unfiltered rows of 8 or 16-bit samples, big-endian."""
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big)


def png(pixels: npt.NDArray[Any], *, before: bytes = b"", after: bytes = b"") -> bytes:
    """Write ``(rows, columns)`` or ``(rows, columns, 2-4)`` of 8 or 16 bits, chunks around the pixels."""
    rows, columns = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    head = ihdr(columns, rows, pixels.dtype.itemsize * 8, COLOUR_TYPES[samples])
    data = chunk(b"IDAT", zlib.compress(scanlines(pixels)))
    return SIGNATURE + head + before + data + after + chunk(b"IEND", b"")


def by_pillow(pixels: npt.NDArray[Any], kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    image = Image.fromarray(pixels)
    file = BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def photo(rows: int = 24, columns: int = 40) -> npt.NDArray[np.uint8]:
    """Return a smooth RGB picture without symmetry, which JPEG keeps to a few levels."""
    row, column = np.mgrid[0:rows, 0:columns]
    planes = (row * 255 // rows, column * 255 // columns, (row + column) * 255 // (rows + columns))
    return np.stack(planes, axis=-1).astype(np.uint8)


def exif(orientation: int, order: str = ">") -> bytes:
    """Return a TIFF block that records an orientation."""
    magic = b"MM\0*" if order == ">" else b"II*\0"
    return magic + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


class AtOnce:
    """A call that was submitted, done here and now."""

    def __init__(self, function: Callable[..., bool], *args: Any) -> None:
        self._done = function(*args)

    def result(self) -> bool:
        return self._done


def header_of(data: bytes, *formats: str) -> WebHeader:
    return read_header(BytesIO(data), verify=True, source="test", formats=frozenset(formats))


def pixels_of(data: bytes, *formats: str) -> npt.NDArray[Any]:
    header = header_of(data, *formats)
    pixels = np.full(header.shape, 77, header.dtype)
    decode(data, header, pixels, submit=AtOnce, source="test")
    return pixels


@contextmanager
def memory_growth_below(most: int) -> Iterator[None]:
    """Fail when Python and numpy allocate more than `most` bytes inside."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < most
