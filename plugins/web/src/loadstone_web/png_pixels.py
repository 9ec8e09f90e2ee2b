"""
From the packed pixels of a PNG to an array.

libpng spends most of its time in zlib. libdeflate unpacks the same stream about twice as fast, but wants to
know the size and have it in one piece. Both are known here, so it unpacks, and libpng is given the rows in a
stream that is not packed: what is left to it, undoing the filters and expanding the samples, it does well.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import imagecodecs

from loadstone_web.png import SIGNATURE, chunks

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_web.header import WebHeader

__all__ = ["decode_png"]

_BLOCK: Final = 2**16 - 1
"""Most bytes of a stored block (RFC 1951, 3.2.4)."""
_MOST_CHUNK: Final = 2**30
"""Rows beyond this would not fit into one chunk."""
_ZLIB_HEADER = b"\x78\x01"
_COLOUR_TYPE: Final = 9
"""Where in IHDR it says that there is a palette."""
_GREY: Final = 0
_WHITE: Final = 255


def decode_png(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """
    Decode a PNG whose header was read with ``verify=True``.

    Nothing that is packed is looked at but the pixels: texts and profiles never reach the decoder.

    Parameters
    ----------
    data
        The whole file.
    header
        What `read_header` made of it.
    out
        C-contiguous, with the stored shape and the dtype of the header; None: a new array.

    Returns
    -------
    numpy.ndarray
        `out`, or the new array: ``(rows, columns)`` or ``(rows, columns, 2, 3 or 4)``.

    Raises
    ------
    ValueError
        If a pixel has a colour that is not in the palette.
    Exception
        Whatever the decoder raises when it refuses the data.
    """
    head, packed = _parts(data)
    rows = _unpacked(packed, header)
    image = _chunk(b"IDAT", packed) if rows is None else _unpacked_chunk(rows)
    if header.kind == "palette":
        _check_colours(head, image, header)
    named = [piece for kind, payload in head.items() for piece in _chunk(kind, payload)]
    return _decoded(named, image, out)


def _decoded(
    head: list[bytes | memoryview], image: list[bytes | memoryview], out: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]:
    stored: npt.NDArray[Any] = imagecodecs.png_decode(
        b"".join((SIGNATURE, *head, *image, *_chunk(b"IEND", b""))), out=out
    )
    return stored


def _check_colours(head: dict[bytes, memoryview], image: list[bytes | memoryview], header: WebHeader) -> None:
    """Refuse colours that the palette does not have, which libpng makes black; read as grey, indices show."""
    colours = len(head[b"PLTE"]) // 3
    if colours >= 1 << header.stored_bits:
        return
    ihdr = bytearray(head[b"IHDR"])
    ihdr[_COLOUR_TYPE] = _GREY
    spread = _WHITE // ((1 << header.stored_bits) - 1)
    most = int(_decoded(_chunk(b"IHDR", bytes(ihdr)), image).max()) // spread
    if most >= colours:
        raise ValueError(f"a pixel has the colour {most} of a palette with {colours}")


def _parts(data: bytes) -> tuple[dict[bytes, memoryview], bytes]:
    """Return what the chunks in front of the pixels say that tell what they mean, and the packed pixels."""
    whole = memoryview(data)
    head, packed = {}, []
    for chunk in chunks(BytesIO(data), source=""):
        payload = whole[chunk.offset : chunk.offset + chunk.length]
        if chunk.kind == b"IDAT":
            packed.append(payload)
        elif chunk.kind in {b"IHDR", b"PLTE", b"tRNS"}:
            head[chunk.kind] = payload
    return head, b"".join(packed)


def _unpacked(packed: bytes, header: WebHeader) -> bytes | None:
    """Return the filtered rows; None where libpng has to look: interlaced, damaged, of another size."""
    row_bytes = 1 + (header.stored_columns * header.stored_samples * header.stored_bits + 7) // 8
    size = header.stored_rows * row_bytes
    if header.interlaced or size > _MOST_CHUNK:
        return None
    try:
        rows = bytes(imagecodecs.deflate_decode(packed, out=size))
    except imagecodecs.DeflateError:
        return None
    return rows if len(rows) == size else None


def _unpacked_chunk(rows: bytes) -> list[bytes | memoryview]:
    """Return the pieces of an ``IDAT`` chunk that holds the rows in stored blocks."""
    view = memoryview(rows)
    pieces: list[bytes | memoryview] = [_ZLIB_HEADER]
    for start in range(0, len(view), _BLOCK):
        block = view[start : start + _BLOCK]
        last = start + _BLOCK >= len(view)
        pieces += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    pieces.append(int(imagecodecs.deflate_adler32(rows, 1)).to_bytes(4, "big"))
    return _chunk(b"IDAT", *pieces)


def _chunk(kind: bytes, *payload: bytes | memoryview) -> list[bytes | memoryview]:
    checksum = int(imagecodecs.deflate_crc32(kind))
    for piece in payload:
        checksum = int(imagecodecs.deflate_crc32(piece, checksum))  # type: ignore[arg-type] # any buffer
    length = sum(map(len, payload))
    return [length.to_bytes(4, "big"), kind, *payload, checksum.to_bytes(4, "big")]
