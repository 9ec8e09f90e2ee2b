"""
Formats that are opened only when a caller names them: BMP, GIF, TIFF and WebP, by Pillow.

They are off by default: each further decoder is a further way in for hostile files, and a name that ends in
``.png`` says nothing of what is behind it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import DecodeError, UnsupportedError
from loadstone_web.exif import upright
from loadstone_web.header import WebHeader
from loadstone_web.webp import read_webp_header

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

__all__ = ["ON_REQUEST", "decode_on_request", "read_header_on_request"]

ON_REQUEST: Final = {
    "BMP": re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "TIFF": re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"),
    "WebP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
"""What their files begin with."""

_SAMPLES = {"1": 1, "L": 1, "LA": 4, "P": 3, "RGB": 3, "RGBX": 3, "RGBA": 4, "CMYK": 3, "YCbCr": 3}
"""Pillow's modes with up to 8 bits a sample, and the samples of the array that each becomes."""
_16_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_BACK = {6: 8, 8: 6}
"""What undoes an orientation, where that is another one: TIFF alone is turned by Pillow itself."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_COLUMNS, _ROWS, _BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_MIN_IS_WHITE = 0
_MOST_BITS = 8


def read_header_on_request(name: str, file: BinaryIO, *, source: str) -> WebHeader:
    """
    Read the header of a file in one of the formats of `ON_REQUEST`.

    Raises
    ------
    UnsupportedError
        If Pillow is not installed, or the file has samples that Pillow would not give as they are.
    IntegrityError
        If a WebP file is truncated.
    DecodeError
        If the header makes no sense.
    """
    if name == "WebP":
        return read_webp_header(file, source=source)
    try:
        with _opened(name, file) as image:
            return _header(name, image, source)
    except (UnsupportedError, ImportError):
        raise
    except Exception as error:  # Pillow raises what it likes: OSError, SyntaxError, struct.error, ValueError
        raise DecodeError(f"the header of the {name} cannot be read: {error}", source=source) from error


def decode_on_request(data: bytes, header: WebHeader, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """
    Decode a file whose header was read by `read_header_on_request`.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array with the stored shape and the dtype of the header.
    """
    from io import BytesIO

    with _opened(header.format, BytesIO(data)) as image:
        converted = image if image.mode in _16_BITS else image.convert(_MODES[header.samples])
        stored = np.asarray(converted).astype(header.dtype, copy=False)
    if header.format == "TIFF":
        stored = upright(stored, _BACK.get(header.orientation, header.orientation))
    if out is None or stored.shape != out.shape:
        return stored
    np.copyto(out, stored)
    return out


def _opened(name: str, file: BinaryIO) -> PilImage:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnsupportedError(
            f"{name} images are read by Pillow, which is not installed",
            hint='Install it: pip install "loadstone-web[pillow]".',
        ) from error
    return Image.open(file, formats=[name.upper()])


def _header(name: str, image: PilImage, source: str) -> WebHeader:
    tags = getattr(image, "tag_v2", {})
    depths = tags.get(_BITS_PER_SAMPLE, (_MOST_BITS,))
    inverted = tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE
    deep = image.mode in _16_BITS
    if deep:
        readable, samples = len(depths) == 1 and not inverted, 1
    else:
        readable = image.mode in _SAMPLES and max(depths) <= _MOST_BITS
        samples = 4 if image.has_transparency_data else _SAMPLES.get(image.mode, 0)
    if not readable:
        bits = "/".join(map(str, depths))
        polarity = ", 0 for white," if inverted else ""
        raise UnsupportedError(
            f"{name} with samples of {bits} bits{polarity} (mode {image.mode}) is not read",
            source=source,
            hint="Convert it to PNG, or read it with a library for that format.",
        )
    orientation = image.getexif().get(_ORIENTATION, 1)
    return WebHeader(
        format=name,
        stored_rows=tags.get(_ROWS, image.height),
        stored_columns=tags.get(_COLUMNS, image.width),
        samples=samples,
        bits=max(depths) if deep else _MOST_BITS,
        stored_bits=max(depths),
        stored_samples=len(image.getbands()),
        kind=image.mode,
        transparent=image.has_transparency_data,
        orientation=orientation if orientation in range(1, 9) else 1,
        frames=getattr(image, "n_frames", 1),
        icc_profile=image.info.get("icc_profile"),
    )
