"""
From the packed pixels of a large PNG to an array, band by band.

While the rows of one band are unpacked, another worker undoes the filters of the band before it: two cores
work at once, and beside the array there are never more than a few bands. libpng decodes whole files, and so
is given each band as one. A filter may refer to the row above; the row above a band is already decoded, and
stands in front of it once more, as a row without a filter.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, cast

import imagecodecs
from isal import igzip_lib

from loadstone_web.png import SIGNATURE
from loadstone_web.png_writing import stored_chunk, written_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from loadstone_web.header import WebHeader

    Submit: TypeAlias = "Callable[..., Job]"
    """Begins a call on another worker, as `LoadContext.submit` does."""

__all__ = ["Job", "Submit", "decode_bands", "has_bands", "row_bytes"]

_BAND: Final = 2**20
"""Bytes of a band: few enough for the processor's cache, many enough that handing one over does not count."""
_PIECE: Final = 2**18
_BYTE: Final = 8
_DAMAGED = cast("type[Exception]", igzip_lib.IsalError)  # isal's stub says it is an instance


class Job(Protocol):
    """What was begun on another worker."""

    def result(self) -> bool:
        """Wait for it; do it here if nobody has begun it."""
        ...


class _Band(NamedTuple):
    first: int
    last: int
    rows: list[bytes]
    """Filtered, in pieces."""


def has_bands(header: WebHeader) -> bool:
    """Whether an image is worth several bands, and made of rows that follow from the one above."""
    plain = header.kind != "palette" and header.stored_bits >= _BYTE
    whole = header.interlaced or header.transparent
    return plain and not whole and header.stored_rows * row_bytes(header) > 2 * _BAND


def row_bytes(header: WebHeader) -> int:
    """Return the bytes of a filtered row."""
    return 1 + (header.stored_columns * header.stored_samples * header.stored_bits + 7) // 8


def decode_bands(
    packed: Sequence[memoryview], header: WebHeader, out: npt.NDArray[Any], submit: Submit
) -> bool:
    """
    Decode an image that `has_bands`.

    Parameters
    ----------
    packed
        The pixels as they are in the file, in pieces.
    header
        Of the file.
    out
        C-contiguous, with one sample for each that is stored.
    submit
        Runs what is to be done beside this.

    Returns
    -------
    bool
        False where libpng has to look at the whole: the data are damaged, or more or less than the rows.
    """
    job: Job | None = None
    try:
        for band in _bands(packed, header):
            if job is not None and not job.result():
                return False
            job = submit(_undo_filters, band, header, out)
        return job is not None and job.result()
    except (_DAMAGED, EOFError):
        return False
    finally:
        if job is not None:
            job.result()  # it writes to the array, which is used again or given back


def _bands(packed: Sequence[memoryview], header: WebHeader) -> Iterator[_Band]:
    """Yield the bands; the last one only if the data end behind it, with the right checksum."""
    stream = _Unpacked(packed)
    size = row_bytes(header)
    step = max(1, _BAND // size)
    for first in range(0, header.stored_rows, step):
        last = min(first + step, header.stored_rows)
        rows = list(stream.read((last - first) * size))
        if last == header.stored_rows:
            stream.check_end()
        yield _Band(first, last, rows)


class _Unpacked:
    """What packed pixels unpack to; isal gives it piece by piece, about as fast as libdeflate all at once."""

    def __init__(self, packed: Sequence[memoryview]) -> None:
        self._packed = iter(packed)
        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)

    def read(self, size: int) -> Iterator[bytes]:
        """Yield pieces of `size` bytes in all; raise EOFError if there are less."""
        while size:
            piece = self._next(min(size, _PIECE))
            size -= len(piece)
            yield piece

    def check_end(self) -> None:
        """Raise EOFError unless this is the end."""
        while not self._inflate.eof:
            if self._next(1):
                raise EOFError

    def _next(self, most: int) -> bytes:
        more = next(self._packed, None) if self._inflate.needs_input else b""
        if more is None:
            raise EOFError
        return self._inflate.decompress(more, most)


def _undo_filters(band: _Band, header: WebHeader, out: npt.NDArray[Any]) -> bool:
    """Fill the rows of a band; False if libpng refuses it."""
    first = max(0, band.first - 1)
    above = [] if first == band.first else [b"\0" + out[first].astype(out.dtype.newbyteorder(">")).tobytes()]
    size = struct.pack(">II", header.stored_columns, band.last - first)
    colour = _COLOUR_TYPES[header.stored_samples]
    ihdr = written_chunk(b"IHDR", size, bytes((header.stored_bits, colour, 0, 0, 0)))
    pixels = stored_chunk([*above, *band.rows])
    data = b"".join((SIGNATURE, *ihdr, *pixels, *written_chunk(b"IEND", b"")))
    try:
        imagecodecs.png_decode(data, out=out[first : band.last])
    except imagecodecs.PngError:
        return False
    return True


_COLOUR_TYPES: Final = {1: 0, 2: 4, 3: 2, 4: 6}
"""Samples of a pixel to the colour type without a palette."""
