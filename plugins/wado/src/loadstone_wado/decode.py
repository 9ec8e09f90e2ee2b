"""A frame's bytes to an image: the one place where reading, decoding, colour and meaning come together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import IntegrityError
from loadstone.image import Image, Quality
from loadstone_wado.codecs import prepare, prepare_reduced
from loadstone_wado.colour import palette_to_rgb, to_rgb
from loadstone_wado.meaning import frame_scaling, frame_voi_lut
from loadstone_wado.naming import naming
from loadstone_wado.native import keep_low_bits
from loadstone_wado.real_world import real_world_map
from loadstone_wado.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, NATIVE

if TYPE_CHECKING:
    from loadstone_wado.codecs import Decoding
    from loadstone_wado.frames import EncodedFrame, FrameReader
    from loadstone_wado.instance import Instance
    from loadstone_wado.output import Output

__all__ = ["Allocate", "decode_frame", "decode_reduced", "is_direct", "load_direct", "load_frame"]

Allocate = Callable[[tuple[int, ...], np.dtype[Any]], npt.NDArray[Any]]
"""Gives the memory for an image: shape and dtype to a C-contiguous array (the load context's `allocate`)."""

_PLAIN_SYNTAXES: Final = NATIVE - {EXPLICIT_VR_BIG_ENDIAN} if sys.byteorder == "little" else frozenset()
"""Transfer syntaxes whose samples are in the machine's byte order."""


def decode_frame(
    instance: Instance,
    number: int,
    encoded: EncodedFrame,
    *,
    scaled: bool = True,
    values: str | None = None,
    allocate: Allocate = np.empty,
) -> Image:
    """
    Decode one frame.

    Parameters
    ----------
    instance
        The object.
    number
        The frame, from 1.
    encoded
        Its bytes, wherever they come from.
    scaled
        Convert colours to RGB, apply palette and modality LUT; False: stored values (as pydicom with
        ``raw=True``).
    values
        The kind of values, in place of modality values: one of `VALUES`.
    allocate
        Gives the memory of the result.

    Returns
    -------
    Image
        Stored values (or RGB) with slope and intercept, not yet scaled.

    Raises
    ------
    IntegrityError
        If the bytes are short or disagree with the attributes.
    DecodeError
        If the decoder fails.
    UnsupportedError
        If it is no image, or in an unknown transfer syntax or colour space.
    MetadataError, LimitError
        If the attributes are missing, contradictory or beyond the limits.
    """
    with naming(instance.source):
        output = instance.output(scaled=scaled, values=values)
        decoding = prepare(encoded, instance.layout)
        pixels, photometric = _decoded(decoding, instance, number, output, allocate)
        return _image(instance, number, pixels, output, photometric)


def decode_reduced(
    instance: Instance,
    number: int,
    encoded: EncodedFrame,
    level: int,
    *,
    scaled: bool = True,
    values: str | None = None,
    allocate: Allocate = np.empty,
) -> Image | None:
    """
    Decode one frame in part: at a lower resolution, or from the beginning of its bytes.

    Parameters
    ----------
    instance, number, scaled, values, allocate
        As for `decode_frame`.
    encoded
        Its bytes, or the beginning of them.
    level
        How often rows and columns are halved; the image has its full size all the same.

    Returns
    -------
    Image or None
        None when a frame like this can only be decoded as a whole.

    Raises
    ------
    LoadstoneError
        As `decode_frame`.
    """
    with naming(instance.source):
        decoding = prepare_reduced(encoded, instance.layout, level)
        if decoding is None:
            return None
        output = instance.output(scaled=scaled, values=values)
        pixels, photometric = _decoded(decoding, instance, number, output, allocate)
        image = _image(instance, number, pixels, output, photometric)
        return replace(image, quality=Quality.SUBRESOLUTION)


def _decoded(
    decoding: Decoding, instance: Instance, number: int, output: Output, allocate: Allocate
) -> tuple[npt.NDArray[Any], str]:
    if output.is_stored:
        out = allocate(output.shape, output.dtype)
        decoding.into(out)
        if not output.as_rgb:
            return out, decoding.photometric_interpretation
        to_rgb(out, decoding.photometric_interpretation, out)
        return out, "RGB"
    stored = np.empty(instance.layout.shape, instance.layout.dtype)
    decoding.into(stored)
    out = allocate(output.shape, output.dtype)
    if output.palette:
        palette_to_rgb(stored, output.palette.colors, output.palette.first, out)
    elif output.table:
        output.table.apply(stored, out)
    else:
        real_world_map(instance.frame(number)).apply(stored, out)
    return out, output.photometric_interpretation


def load_frame(
    reader: FrameReader,
    number: int,
    *,
    scaled: bool = True,
    values: str | None = None,
    allocate: Allocate = np.empty,
) -> Image:
    """
    Read and decode one frame; plain native frames go from the file straight into the result.

    Parameters
    ----------
    reader
        Reads the object's frames.
    number
        The frame, from 1.
    scaled, values, allocate
        As for `decode_frame`.

    Raises
    ------
    LoadstoneError
        As `decode_frame` and `FrameReader.read`.
    """
    instance = reader.instance
    if is_direct(instance, scaled=scaled, values=values):
        return load_direct(reader, number, scaled=scaled, values=values, allocate=allocate)
    encoded = reader.read(number)
    return decode_frame(instance, number, encoded, scaled=scaled, values=values, allocate=allocate)


def is_direct(instance: Instance, *, scaled: bool, values: str | None = None) -> bool:
    """Say whether the bytes of a frame are, as they are, the result: there is nothing to decode."""
    return (
        instance.transfer_syntax_uid in _PLAIN_SYNTAXES
        and instance.output(scaled=scaled, values=values).is_bytes
    )


def load_direct(
    reader: FrameReader,
    number: int,
    *,
    scaled: bool = True,
    values: str | None = None,
    allocate: Allocate = np.empty,
) -> Image:
    """
    Read a frame for which `is_direct` holds straight into the memory of the result.

    Parameters
    ----------
    reader, number, scaled, values, allocate
        As for `load_frame`.

    Raises
    ------
    IntegrityError
        If the object is shorter than its header says.
    LoadstoneError
        As `FrameReader.native_range`.
    """
    instance, layout = reader.instance, reader.instance.layout
    place = reader.native_range(number)
    out = allocate(layout.shape, layout.dtype)
    count = reader.blob.readinto(place.offset, out.data.cast("B"))
    if count < place.length:
        raise IntegrityError(
            f"frame {number} is truncated: {place.length:,} bytes are needed, {count:,} are there",
            source=reader.blob.source,
        )
    output = instance.output(scaled=scaled, values=values)
    bounds = None
    if layout.unused_bits:
        keep_low_bits(out, layout.bits_stored)
        bounds = layout.bounds
    return _image(instance, number, out, output, output.photometric_interpretation, bounds=bounds)


def _image(
    instance: Instance,
    number: int,
    pixels: npt.NDArray[Any],
    output: Output,
    photometric: str,
    *,
    bounds: tuple[int, int] | None = None,
) -> Image:
    scaling = frame_scaling(instance, number, output)
    return Image(
        pixels,
        slope=scaling.slope,
        intercept=scaling.intercept,
        units=scaling.units,
        photometric_interpretation=photometric,
        bits_stored=output.bits_stored,
        pixel_padding=instance.pixel_padding if output.is_stored and pixels.ndim == 2 else None,
        stored_bounds=bounds,
        plane=instance.frame(number).plane,
        voi_lut=frame_voi_lut(instance, number, output),
        inverted=instance.inverted,
        header=instance.dataset,
    )
