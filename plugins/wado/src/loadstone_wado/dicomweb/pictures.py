"""JPEG and PNG pictures as servers render them, decoded within limits."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone import DecodeError, IntegrityError, LimitError
from loadstone_wado.codecs.codestream import inspect_jpeg

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone import Settings

__all__ = ["decoded_picture"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE: Final = Struct(">4sII").unpack_from
_JPEG: Final = b"\xff\xd8\xff"


def decoded_picture(data: memoryview, settings: Settings, *, source: str) -> npt.NDArray[np.uint8]:
    """
    Return the pixels of a picture, ``(rows, columns)`` or ``(rows, columns, 3)``.

    Parameters
    ----------
    data
        A JPEG or PNG file; found by its bytes.
    settings
        Limits.
    source
        Where it comes from, for messages.

    Raises
    ------
    DecodeError
        If it is neither, or damaged.
    LimitError
        If it is larger than an image may be; nothing is allocated for it.
    """
    import imagecodecs

    head = bytes(data[:24])
    try:
        if head.startswith(_JPEG):
            stream = inspect_jpeg(data)
            _check_size(stream.rows, stream.columns, settings, source)
            return _as_shown(imagecodecs.jpeg8_decode(bytes(data)))
        if head.startswith(_PNG) and len(head) == 24:
            _, columns, rows = _PNG_SIZE(head, 12)
            _check_size(rows, columns, settings, source)
            return _as_shown(imagecodecs.png_decode(bytes(data)))
    except LimitError:
        raise
    except (IntegrityError, RuntimeError, ValueError, TypeError) as error:
        raise DecodeError("the picture is damaged", source=source) from error
    raise DecodeError("the picture is neither JPEG nor PNG", source=source)


def _check_size(rows: int, columns: int, settings: Settings, source: str) -> None:
    if rows * columns > settings.max_pixels:
        raise LimitError(
            f"the picture has {rows:,} x {columns:,} pixels, more than {settings.max_pixels:,}",
            source=source,
            hint="If that is right, raise max_pixels (LOADSTONE_MAX_PIXELS).",
        )


def _as_shown(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Leave out transparency, and the low byte of 16 bits."""
    if pixels.ndim == 3 and pixels.shape[2] in {2, 4}:
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype.itemsize == 2:
        pixels = pixels >> 8
    if pixels.ndim not in {2, 3}:
        raise ValueError(f"a picture of the shape {pixels.shape}")
    return np.ascontiguousarray(pixels, np.uint8)
