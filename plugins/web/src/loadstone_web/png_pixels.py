"""
From the packed pixels of a PNG to an array.

libpng spends most of its time in zlib. libdeflate unpacks the same stream about twice as fast, but wants to
know the size and have it in one piece. Both are known here, so it unpacks, and libpng is given the rows in a
stream that is not packed: what is left to it, undoing the filters and expanding the samples, it does well.
Large images without a palette are decoded in bands.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import imagecodecs
import numpy as np

from loadstone_web.png import SIGNATURE, chunks
from loadstone_web.png_bands import decode_bands, has_bands, row_bytes
from loadstone_web.png_writing import stored_chunk, written_chunk

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_web.header import WebHeader
    from loadstone_web.png_bands import Submit
    from loadstone_web.png_writing import Bytes

__all__ = ["decode_png"]

_MOST_CHUNK: Final = 2**30
"""Rows beyond this would not fit into one chunk."""
_COLOUR_TYPE: Final = 9
"""Where in IHDR it says that there is a palette."""
_GREY: Final = 0
_WHITE: Final = 255


def decode_png(
    data: bytes, header: WebHeader, out: npt.NDArray[Any] | None, submit: Submit
) -> npt.NDArray[Any]:
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
    submit
        Runs beside this what can be done on another core.

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
    head, pieces = _parts(data)
    if has_bands(header):
        pixels = np.empty(_decoded_shape(header), header.dtype) if out is None else out
        if decode_bands(pieces, header, pixels, submit):
            return pixels
    packed = b"".join(pieces)
    rows = _unpacked(packed, header)
    image = written_chunk(b"IDAT", packed) if rows is None else stored_chunk([rows])
    if header.kind == "palette":
        _check_colours(head, image, header)
    named = [piece for kind, payload in head.items() for piece in written_chunk(kind, payload)]
    return _decoded(named, image, out)


def _decoded_shape(header: WebHeader) -> tuple[int, ...]:
    plane = (header.stored_rows, header.stored_columns)
    return plane if header.stored_samples == 1 else (*plane, header.stored_samples)


def _decoded(head: list[Bytes], image: list[Bytes], out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    stored: npt.NDArray[Any] = imagecodecs.png_decode(
        b"".join((SIGNATURE, *head, *image, *written_chunk(b"IEND", b""))), out=out
    )
    return stored


def _check_colours(head: dict[bytes, memoryview], image: list[Bytes], header: WebHeader) -> None:
    """Refuse colours that the palette does not have, which libpng makes black; read as grey, indices show."""
    colours = len(head[b"PLTE"]) // 3
    if colours >= 1 << header.stored_bits:
        return
    ihdr = bytearray(head[b"IHDR"])
    ihdr[_COLOUR_TYPE] = _GREY
    spread = _WHITE // ((1 << header.stored_bits) - 1)
    most = int(_decoded(written_chunk(b"IHDR", bytes(ihdr)), image).max()) // spread
    if most >= colours:
        raise ValueError(f"a pixel has the colour {most} of a palette with {colours}")


def _parts(data: bytes) -> tuple[dict[bytes, memoryview], list[memoryview]]:
    """Return what the chunks in front of the pixels say that tell what they mean, and the packed pixels."""
    whole = memoryview(data)
    head, packed = {}, []
    for chunk in chunks(BytesIO(data), source=""):
        payload = whole[chunk.offset : chunk.offset + chunk.length]
        if chunk.kind == b"IDAT":
            packed.append(payload)
        elif chunk.kind in {b"IHDR", b"PLTE", b"tRNS"}:
            head[chunk.kind] = payload
    return head, packed


def _unpacked(packed: bytes, header: WebHeader) -> bytes | None:
    """Return the filtered rows; None where libpng has to look: interlaced, damaged, of another size."""
    size = header.stored_rows * row_bytes(header)
    if header.interlaced or size > _MOST_CHUNK:
        return None
    try:
        rows = bytes(imagecodecs.deflate_decode(packed, out=size))
    except imagecodecs.DeflateError:
        return None
    return rows if len(rows) == size else None
