"""What the plugin does when it is asked for an image or its metadata."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from loadstone.image import Image
from loadstone.metadata import ImagePixel, ModuleSet
from loadstone_web import sources
from loadstone_web.asked import Asked
from loadstone_web.decode import decode
from loadstone_web.formats import read_header
from loadstone_web.header import WebHeader, check_limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId
    from loadstone.metadata import Modules

__all__ = ["describe", "load"]


def load(image_id: ImageId, context: LoadContext) -> Image:
    """
    Load one image.

    The pixels are grey, RGB or RGBA, and upright unless the caller wants them as stored. Spacing is unknown
    unless the caller gives it, or asks for the density in the file, which is a print size.

    Raises
    ------
    FetchError
        If the bytes cannot be had.
    UnsupportedError
        If they are neither PNG nor JPEG, nor of a format that the caller named.
    IntegrityError
        If they are truncated or damaged.
    DecodeError
        If they cannot be decoded.
    LimitError
        If the header says more pixels than the settings allow.
    """
    source = sources.label(image_id)
    asked = Asked.of(context.options)
    data = sources.read(image_id, context)
    context.raise_if_cancelled()
    with context.computing():
        header = _header(BytesIO(data), context, asked, source, verify=True)
        pixels = context.allocate(header.shape, header.dtype)
        decode(data, header, pixels, submit=context.submit, source=source)
    return Image(
        pixels,
        photometric_interpretation=header.photometric_interpretation,
        bits_stored=header.bits,
        plane=asked.plane(header),
        header=lambda: header,
    )


def describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """
    Describe images from their headers.

    A remote image has no modules here: its header is not worth a request of its own.

    Raises
    ------
    LoadstoneError
        As `load` does, as far as the header tells.
    """
    return {image_id: _modules(image_id, context) for image_id in image_ids}


def _modules(image_id: ImageId, context: LoadContext) -> ModuleSet:
    if sources.is_remote(image_id):
        return ModuleSet()
    asked = Asked.of(context.options)
    with sources.opened(image_id, context) as file:
        header = _header(file, context, asked, sources.label(image_id), verify=False)
    return ModuleSet(
        asked.plane(header),
        ImagePixel(
            rows=header.rows,
            columns=header.columns,
            dtype=header.dtype,
            samples_per_pixel=header.samples,
            photometric_interpretation=header.photometric_interpretation,
            bits_stored=header.bits,
        ),
    )


def _header(file: BinaryIO, context: LoadContext, asked: Asked, source: str, *, verify: bool) -> WebHeader:
    header = read_header(file, verify=verify, source=source, formats=asked.formats)
    settings = context.settings
    check_limits(header, max_pixels=settings.max_pixels, max_bytes=settings.max_image_bytes, source=source)
    return replace(header, upright=asked.upright)
