"""
From the bytes of an image file to an array.

imagecodecs decodes PNG and JPEG: it is exact where Pillow cuts 16 bits a sample to 8 or gets transparent grey
of 4 bits wrong, refuses a PNG whose pixels end early where Pillow pads it, and reads 12-bit and lossless
JPEG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.errors import DecodeError, IntegrityError, LoadCancelled
from loadstone_web.exif import upright
from loadstone_web.jpeg_pixels import decode_jpeg
from loadstone_web.on_request import decode_on_request
from loadstone_web.png_pixels import decode_png

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_web.header import WebHeader
    from loadstone_web.png_bands import Submit

__all__ = ["decode"]

_GREY_ALPHA = 2
_CMYK = 4

_Decoder: TypeAlias = "Callable[[bytes, WebHeader, npt.NDArray[Any] | None, Submit], npt.NDArray[Any]]"


def decode(data: bytes, header: WebHeader, out: npt.NDArray[Any], *, submit: Submit, source: str) -> None:
    """
    Decode an image whose header was read with ``verify=True`` and is within the limits.

    Parameters
    ----------
    data
        The whole file.
    header
        What `read_header` made of it.
    out
        C-contiguous, with shape and dtype of the header: ``(rows, columns)`` grey, ``(rows, columns, 3)`` RGB
        or ``(rows, columns, 4)`` RGBA; turned as the header has it when done.
    submit
        Runs beside this what can be done on another core.
    source
        What is decoded, for messages.

    Raises
    ------
    LoadCancelled
        If nobody waits for it any more.
    DecodeError
        If the decoder refuses the data.
    IntegrityError
        If the pixels are not those that the header describes.
    """
    try:
        stored = _decoder(header)(data, header, out if header.turn == 1 else None, submit)
    except LoadCancelled:
        raise
    except Exception as error:  # decoders raise what they like: OSError, ValueError, UnicodeDecodeError
        raise DecodeError(
            f"the {header.format} ({header.kind}) cannot be decoded: {error}",
            source=source,
            hint="Fetch the file again, or look at it with another program.",
        ) from error
    if stored is out:
        return
    if stored.shape != header.stored_shape or stored.dtype != header.dtype:
        raise IntegrityError(
            f"the {header.format} decodes to {stored.dtype} {stored.shape}, "
            f"its header says {header.dtype} {header.stored_shape}",
            source=source,
        )
    np.copyto(out, upright(stored, header.turn))


def _decoder(header: WebHeader) -> _Decoder:
    if header.format == "PNG":
        expanded = header.stored_samples == _GREY_ALPHA or (header.kind == "grey" and header.transparent)
        return _grey_alpha_png if expanded else decode_png
    if header.format == "JPEG":
        return _cmyk_jpeg if header.stored_samples == _CMYK else _jpeg
    return _on_request


def _jpeg(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None, _: Submit) -> npt.NDArray[Any]:
    return decode_jpeg(data, header, out)


def _on_request(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None, _: Submit) -> npt.NDArray[Any]:
    return decode_on_request(data, header, out)


def _grey_alpha_png(
    data: bytes, header: WebHeader, out: npt.NDArray[Any] | None, submit: Submit
) -> npt.NDArray[Any]:
    stored = decode_png(data, header, None, submit)
    if out is None:
        return stored[..., [0, 0, 0, 1]]
    out[..., :3], out[..., 3] = stored[..., :1], stored[..., 1]
    return out


def _cmyk_jpeg(data: bytes, header: WebHeader, _: object, __: object) -> npt.NDArray[Any]:
    """Turn CMYK and YCCK, which all programs store inverted as Adobe does, into RGB."""
    ink = decode_jpeg(data, header, None).astype(np.uint16)  # inverted: 255 is no ink
    return ((ink[..., :3] * ink[..., 3:] + 127) // 255).astype(np.uint8)
