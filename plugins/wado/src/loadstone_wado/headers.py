"""
The header of a Part-10 object: the attributes that images need, and where the pixel data starts.

Plain headers are walked by `walk` (some 10 µs). Whatever is unusual (big endian, no preamble, a length that
leads nowhere, a VR that does not exist) is read by pydicom, which is twenty times slower and knows how to
recover.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class, and `error` says too little
from typing import TYPE_CHECKING, Final

from loadstone.errors import DecodeError, IntegrityError, LimitError, LoadstoneError
from loadstone_wado import tags
from loadstone_wado.blobs import MemoryBlob, as_stream
from loadstone_wado.elements import DatasetElements, Elements, RawElements
from loadstone_wado.foreign import HEAD_BYTES, not_dicom
from loadstone_wado.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from loadstone_wado.walk import Found, Known, Pixels, Step, UnusualHeaderError, walk

if TYPE_CHECKING:
    import io

    from pydicom.dataset import Dataset

    from loadstone.settings import Settings
    from loadstone_wado.blobs import Blob
    from loadstone_wado.likeness import Likeness

__all__ = ["Header", "PixelElement", "read_dataset", "read_header"]

FIRST_BYTES: Final = 24576
"""Read at once; most headers of single frames are shorter."""
_GROWTH: Final = 4
"""How many times as much is read next where a header goes on without a value that is skipped."""

_UNDEFINED: Final = 0xFFFFFFFF
_META: Final = Struct("<HH2sH").unpack_from
_LONG: Final = Struct("<I").unpack_from
_PIXEL_VRS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OV", b"UN"})
_LONG_VRS: Final = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT"})


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data element is."""

    tag: int
    """PixelData, FloatPixelData or DoubleFloatPixelData."""
    vr: str
    """Its value representation; empty in implicit VR."""
    offset: int
    """Of the first byte of the value, in the object (inflated, when it is deflated)."""
    length: int | None
    """As the header claims; None: undefined, which means encapsulated."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a Part-10 object says."""

    elements: Elements
    """The attributes."""
    transfer_syntax_uid: str
    """How the object is encoded."""
    pixels: PixelElement | None
    """The pixel data element, if there is one."""
    inflated: bytes | None = None
    """The data set in which the pixel data is, when the object is deflated."""


def read_header(blob: Blob, settings: Settings, likeness: Likeness | None = None) -> Header:
    """
    Read the header of a Part-10 object.

    Parameters
    ----------
    blob
        The object.
    settings
        Limits.
    likeness
        What headers that were read before have in common with it.

    Raises
    ------
    DecodeError
        If it is no DICOM object.
    UnsupportedError
        If it is one of another format that is known by its beginning.
    IntegrityError
        If it ends within the header.
    LimitError
        If it inflates beyond the limits.
    FetchError
        If it cannot be read.
    """
    first = blob.read(0, FIRST_BYTES)
    try:
        transfer_syntax_uid, position = _read_meta(first)
        if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
            return _read_deflated(blob, position, settings)
        implicit = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        found, pixels = _walk(blob, first, position, implicit=implicit, likeness=likeness)
    except _EndsEarlyError as error:
        header = _read_unusual(blob)
        if header.pixels is None:
            raise IntegrityError(
                f"it ends within its header, after {blob.size:,} bytes",
                source=blob.source,
                hint="The object is truncated: fetch it again.",
            ) from error
        return header
    except UnusualHeaderError:
        return _read_unusual(blob)
    return Header(RawElements(found, implicit=implicit), transfer_syntax_uid, pixels)


class _EndsEarlyError(UnusualHeaderError):
    """An element reaches beyond the end of the object."""


def _read_meta(data: bytes) -> tuple[str, int]:
    """Return the transfer syntax and where the data set starts; refuse what the walk cannot walk."""
    if data[128:132] != b"DICM":
        raise UnusualHeaderError
    position = 132
    uid = b""
    try:
        while True:
            group, element, vr, length = _META(data, position)
            if group != 2:
                break
            start = position + 8
            if vr in _LONG_VRS:
                (length,) = _LONG(data, start)
                start += 4
            position = start + length
            if element == 0x10:
                uid = data[start:position]
    except StructError:
        # The bytes at hand end here: the object too, for no meta information is that long.
        raise _EndsEarlyError from None
    text = uid.rstrip(b"\0 ").decode("latin-1")
    if text in {"", EXPLICIT_VR_BIG_ENDIAN}:
        raise UnusualHeaderError
    return text, position


def _walk(
    blob: Blob, window: bytes, position: int, *, implicit: bool, likeness: Likeness | None = None
) -> tuple[Found, PixelElement | None]:
    """Walk over a data set, reading more of it as long as the pixel data is not reached."""
    found: Found = {}
    if likeness is None:
        return found, _walk_on(
            blob, window, found, walk(window, position, found, implicit=implicit), implicit=implicit
        )
    known = Known(likeness.runs(implicit=implicit))
    step = walk(window, position, found, implicit=implicit, known=known)
    likeness.note(window, position, known.covered, implicit=implicit)
    return found, _walk_on(blob, window, found, step, implicit=implicit)


def _walk_on(blob: Blob, window: bytes, found: Found, step: Step, *, implicit: bool) -> PixelElement | None:
    """Go on where the walk over the first bytes of an object stopped."""
    base = 0
    size = FIRST_BYTES
    while True:
        position, needed, pixels = step
        if pixels:
            return _pixel_element(pixels, base)
        # What stands behind a large value is as short as any other header.
        size = FIRST_BYTES if position > len(window) else _GROWTH * size
        base += position
        if base == blob.size:
            return None
        if base > blob.size:
            raise _EndsEarlyError
        if base - position + len(window) == blob.size:
            # What is left is no element: padding, or the beginning of one.
            raise _EndsEarlyError if window[position:].strip(b"\0") else UnusualHeaderError
        # Bounded by what is there, whatever length the header claims.
        size = min(max(needed, size), blob.size - base)
        window = blob.read(base, size)
        if len(window) < size:
            raise UnusualHeaderError
        step = walk(window, 0, found, implicit=implicit)


def _pixel_element(pixels: Pixels, base: int) -> PixelElement:
    length = None if pixels.length == _UNDEFINED else pixels.length
    return PixelElement(pixels.tag, pixels.vr.decode("ascii"), base + pixels.start, length)


def _read_deflated(blob: Blob, position: int, settings: Settings) -> Header:
    data = _inflate(blob, position, settings)
    inflated = MemoryBlob(data, blob.source)
    try:
        found, pixels = _walk(inflated, data, 0, implicit=False)
    except UnusualHeaderError:
        header = _read_unusual(inflated)
        elements, pixels = header.elements, header.pixels
    else:
        elements = RawElements(found, implicit=False)
    return Header(elements, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, pixels, data)


def _inflate(blob: Blob, position: int, settings: Settings) -> bytes:
    """Inflate a data set (DICOM PS3.5 A.5); no header declares its size, so the ratio is bounded."""
    packed = blob.read(position, blob.size - position)
    limit = max(settings.free_ratio_bytes, settings.max_ratio * len(packed))
    limit = min(limit, settings.max_response_bytes, settings.cache_bytes or limit)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(packed, limit)
    except zlib.error as error:
        raise DecodeError("the deflated data set is damaged", source=blob.source) from error
    if inflater.unconsumed_tail:
        raise LimitError(
            f"the deflated data set is larger than {limit:,} bytes",
            source=blob.source,
            hint="If you trust the object, raise max_ratio, max_response_bytes or cache_bytes.",
        )
    if not inflater.eof:
        raise IntegrityError("the deflated data set is truncated", source=blob.source)
    return data


def _read_unusual(blob: Blob) -> Header:
    stream = as_stream(blob)
    dataset = _dcmread(stream, blob.source)
    implicit, little_endian = dataset.original_encoding
    meta = getattr(dataset, "file_meta", None)
    uid = str(meta.get("TransferSyntaxUID", "")) if meta else ""
    if not uid:
        uid = IMPLICIT_VR_LITTLE_ENDIAN if implicit else EXPLICIT_VR_LITTLE_ENDIAN
        uid = uid if little_endian else EXPLICIT_VR_BIG_ENDIAN
    pixels = _pixels_at(blob, stream.tell(), implicit=bool(implicit), little_endian=bool(little_endian))
    marked = blob.read(128, 4) == b"DICM"
    if not marked and tags.SOP_CLASS_UID not in dataset and tags.ROWS not in dataset:
        # Without a preamble anything can look like a few attributes.
        raise not_dicom(blob.read(0, HEAD_BYTES), blob.source)
    return Header(DatasetElements(dataset, little_endian=bool(little_endian)), uid, pixels)


def _dcmread(stream: io.BufferedReader | io.BytesIO, source: str) -> Dataset:
    from pydicom import dcmread

    try:
        return dcmread(stream, stop_before_pixels=True, force=True)
    except LoadstoneError:
        raise
    except EOFError as error:
        raise IntegrityError("it ends within the header", source=source) from error
    except RecursionError as error:
        raise LimitError("its sequences are nested too deeply", source=source) from error
    except Exception as error:
        # pydicom raises whatever its parts raise on bytes that are no DICOM.
        stream.seek(0)
        raise not_dicom(stream.read(HEAD_BYTES), source) from error


def _pixels_at(blob: Blob, offset: int, *, implicit: bool, little_endian: bool) -> PixelElement | None:
    """Return the pixel data element at `offset`, where pydicom stopped."""
    head = blob.read(offset, 12)
    order = "<" if little_endian else ">"
    if len(head) < 8:
        return None
    group, element = Struct(f"{order}HH").unpack_from(head)
    tag = group << 16 | element
    if tag not in {tags.PIXEL_DATA, tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA}:
        return None
    # pydicom recovers when the transfer syntax is wrong about explicit VR, and does not say so. In implicit
    # VR, these bytes would be a length, and an odd one.
    short = len(head) < 12 or head[4:6] not in _PIXEL_VRS or (implicit and head[6:8] != b"\0\0")
    (length,) = Struct(f"{order}I").unpack_from(head, 4 if short else 8)
    vr = "" if short else head[4:6].decode("latin-1")
    return PixelElement(tag, vr, offset + (8 if short else 12), None if length == _UNDEFINED else length)


def read_dataset(blob: Blob) -> Dataset:
    """
    Return everything but the pixel data as a pydicom Dataset.

    Raises
    ------
    DecodeError, IntegrityError, FetchError
        As `read_header`.
    """
    return _dcmread(as_stream(blob), blob.source)
