"""
A NIfTI header, read and checked before anything is believed (nifti1.h, nifti2.h).

Dimensions are compared with what is there by the caller, who knows how many bytes there are.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.volumeutils import native_code

from loadstone.errors import IntegrityError, LimitError, UnsupportedError
from loadstone.geometry import Finding, FindingKind
from loadstone_nifti.datatypes import Datatype, datatype_of
from loadstone_nifti.formats import looks_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.settings import Settings

__all__ = ["AXES", "NiftiHeader", "Reader", "read_header"]

AXES: Final = ("i", "j", "k", "t", "v", "u", "w")
"""Names of the seven axes of a file, the fastest first."""

_NIFTI1_BYTES, _NIFTI2_BYTES = 348, 540
_EXTENDER_BYTES = 4
_KINDS: dict[int, Callable[..., Nifti1Header]] = {_NIFTI1_BYTES: Nifti1Header, _NIFTI2_BYTES: Nifti2Header}
_MAGIC_OFFSET = {_NIFTI1_BYTES: 344, _NIFTI2_BYTES: 4}
_MAGIC2_TAIL = b"\0\r\n\x1a\n"
_PIECE = 2**20
_CIFTI_INTENTS = range(3000, 3100)


class Reader(Protocol):
    """The bytes of a file from its start, uncompressed."""

    def read(self, size: int, /) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NiftiHeader:
    """What a header says about the voxels."""

    head: bytes = field(repr=False)
    """Everything in front of the voxels: header, extensions, padding."""
    fields: Nifti1Header = field(repr=False)
    """The header as nibabel reads it (a `Nifti2Header` is one too), in its own byte order, unchecked."""
    dims: tuple[int, ...]
    """Sizes of the axes i, j, k, …; at least three, each at least 1."""
    datatype: Datatype
    """Of the voxels."""
    extensions_are_whole: bool = True
    """Whether the extensions in `head` have sizes that make sense."""
    findings: tuple[Finding, ...] = ()
    """What was noticed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array: the axes of the file reversed, samples of RGB last."""
        samples = (self.datatype.samples,) if self.datatype.samples > 1 else ()
        return (*reversed(self.dims), *samples)

    @property
    def axes(self) -> tuple[str, ...]:
        """A name for each axis of `shape`."""
        samples = {1: (), 3: ("rgb",), 4: ("rgba",)}[self.datatype.samples]
        return (*reversed(AXES[: len(self.dims)]), *samples)

    @property
    def slice_shape(self) -> tuple[int, ...]:
        """Of the array of one slice: ``(j, i)`` or ``(j, i, samples)``."""
        return self.shape[len(self.dims) - 2 :]

    @property
    def slices(self) -> int:
        """Slices in the file."""
        return math.prod(self.dims[2:])

    @property
    def slice_bytes(self) -> int:
        """Bytes of one slice."""
        return math.prod(self.dims[:2]) * self.datatype.nbytes

    @property
    def voxel_bytes(self) -> int:
        """Bytes of all voxels."""
        return self.slices * self.slice_bytes

    @property
    def swapped(self) -> bool:
        """Whether the file has the other byte order than this machine."""
        return bool(self.fields.endianness != native_code)

    def for_nibabel(self) -> Nifti1Header:
        """Return a copy of the header, with its extensions."""
        copy = copied(self.fields)
        at = len(copy.binaryblock) + _EXTENDER_BYTES
        if self.head[at - _EXTENDER_BYTES] and self.extensions_are_whole:
            size = len(self.head) - at
            copy.extensions = copy.exts_klass.from_fileobj(BytesIO(self.head[at:]), size, self.swapped)  # type: ignore[no-untyped-call]
        return copy


def read_header(file: Reader, settings: Settings, *, source: str) -> NiftiHeader:
    """
    Read and check everything in front of the voxels.

    Parameters
    ----------
    file
        At its start; afterwards at the first voxel.
    settings
        Their limits hold.
    source
        What is read, for messages.

    Raises
    ------
    UnsupportedError
        If it is no NIfTI file, or one that is not read: Analyze 7.5, half of a pair, CIFTI-2, a datatype.
    IntegrityError
        If it is truncated, or its fields contradict each other.
    LimitError
        If the header says more than the settings allow.
    """
    start = _read(file, _NIFTI1_BYTES)
    size, order = _identify(start, source)
    start += _read(file, size + _EXTENDER_BYTES - len(start))
    if len(start) < size:
        raise _truncated(start, source)
    fields = _KINDS[size](start[:size], order, check=False)
    _check_kind(fields, source)
    if len(start) < size + _EXTENDER_BYTES:
        raise _truncated(start, source)
    offset = _offset(fields, size, settings, source)
    head = start + _read(file, offset - len(start))
    if len(head) < offset:
        raise IntegrityError(
            f"vox_offset says that voxels begin at byte {offset:,}, but there are {len(head):,}",
            source=source,
        )
    datatype = datatype_of(int(fields["datatype"]), source=source)
    broken = _extension_findings(head, size, order)
    findings = (*broken, *_bits_findings(fields, datatype))
    header = NiftiHeader(head, fields, _dims(fields, source), datatype, not broken, findings)
    _check_limits(header, settings, source)
    return header


def copied(fields: Nifti1Header) -> Nifti1Header:
    """Return a copy in the same byte order, unchecked."""
    return type(fields)(fields.binaryblock, fields.endianness, check=False)


def _read(file: Reader, size: int) -> bytes:
    """Read in pieces: `size` is a header's word, and no memory is taken before the bytes are there."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _truncated(start: bytes, source: str) -> IntegrityError:
    return IntegrityError(
        f"the NIfTI header is truncated after {len(start)} bytes",
        source=source,
        hint="Fetch or copy the file again.",
    )


def _identify(start: bytes, source: str) -> tuple[int, str]:
    """Return the size of the header and its byte order."""
    if not start:
        raise IntegrityError("the file is empty", source=source, hint="Fetch or copy the file again.")
    for order in "<>":
        size = struct.unpack(order + "i", start[:4])[0] if len(start) >= 4 else 0
        if size not in _KINDS:
            continue
        at = _MAGIC_OFFSET[size]
        magic = start[at : at + 4]
        if magic in {b"n+1\0", b"ni1\0"} and size == _NIFTI1_BYTES:
            return size, order
        if magic[:3] in {b"n+2", b"ni2"} and size == _NIFTI2_BYTES:
            if start[at + 3 : at + 8] != _MAGIC2_TAIL:
                raise IntegrityError(
                    "the NIfTI-2 signature is damaged, as by a transfer in text mode",
                    source=source,
                    hint="Transfer the file again in binary mode.",
                )
            return size, order
        if len(start) < _NIFTI1_BYTES:
            raise _truncated(start, source)
        if size == _NIFTI1_BYTES:
            raise UnsupportedError(
                "this is an Analyze 7.5 header, whose orientation is ambiguous",
                source=source,
                hint="Convert it to NIfTI with a program that knows how it was made.",
            )
    raise UnsupportedError(
        f"not a NIfTI file but {looks_like(start)}",
        source=source,
        hint="'nifti:' opens .nii and .nii.gz, told by the bytes; use the scheme of that format.",
    )


def _check_kind(fields: Nifti1Header, source: str) -> None:
    magic = bytes(fields["magic"])[:3]
    if magic[:2] == b"ni":
        raise UnsupportedError(
            "this is the header of a .hdr/.img pair, which is not read",
            source=source,
            hint="Convert the pair to .nii, for example with nibabel.",
        )
    intent = int(fields["intent_code"])
    if magic == b"n+2" and intent in _CIFTI_INTENTS:
        raise UnsupportedError(
            f"this is a CIFTI-2 file (intent {intent}): a matrix over brain ordinates, not an image",
            source=source,
            hint="Read it with nibabel.cifti2.",
        )


def _offset(fields: Nifti1Header, size: int, settings: Settings, source: str) -> int:
    value = float(fields["vox_offset"])
    least = size + _EXTENDER_BYTES
    if not (math.isfinite(value) and value >= least and value == int(value)):
        raise IntegrityError(
            f"vox_offset is {value:g}; voxels begin at a whole byte from {least} on",
            source=source,
            hint="The header is damaged; get the file again from where it was made.",
        )
    if value > settings.max_json_bytes:
        raise LimitError(
            f"vox_offset leaves {value:g} bytes for header extensions, more than "
            f"max_json_bytes={settings.max_json_bytes:,}",
            source=source,
            hint="Raise max_json_bytes (LOADSTONE_MAX_JSON_BYTES) if the file is trusted.",
        )
    return int(fields["vox_offset"])


def _dims(fields: Nifti1Header, source: str) -> tuple[int, ...]:
    dim = [int(value) for value in fields["dim"]]
    count, sizes = dim[0], dim[1 : 1 + max(0, dim[0])]
    if not 1 <= count <= len(AXES) or any(size < 1 for size in sizes):
        raise IntegrityError(
            f"dim is {dim}; the first says how many follow (1 to 7), and those are at least 1",
            source=source,
            hint="The header is damaged; get the file again from where it was made.",
        )
    if count == 1:
        raise UnsupportedError(
            f"the file has one dimension of {sizes[0]} values: it is no image", source=source
        )
    return (*sizes, 1) if count == 2 else tuple(sizes)


def _extension_findings(head: bytes, size: int, order: str) -> list[Finding]:
    """Walk over the extensions; they say nothing about voxels, so damaged ones are only noted."""
    at = size + _EXTENDER_BYTES
    while head[size] and at + 16 <= len(head):
        length = struct.unpack_from(order + "i", head, at)[0]
        if length < 16 or length % 16 or at + length > len(head):
            message = f"the header extension at byte {at} says it has {length} bytes; extensions are left out"
            return [Finding(FindingKind.NOTED, message)]
        at += length
    return []


def _bits_findings(fields: Nifti1Header, datatype: Datatype) -> list[Finding]:
    bits, expected = int(fields["bitpix"]), datatype.nbytes * 8
    if bits == expected:
        return []
    message = f"bitpix is {bits}, but {datatype.name} has {expected} bits; the datatype was believed"
    return [Finding(FindingKind.NOTED, message)]


def _check_limits(header: NiftiHeader, settings: Settings, source: str) -> None:
    columns, rows = header.dims[:2]
    if rows * columns > settings.max_pixels:
        raise LimitError(
            f"the header says slices of {columns} x {rows} voxels, "
            f"more than max_pixels={settings.max_pixels:,}",
            source=source,
            hint="Raise max_pixels (LOADSTONE_MAX_PIXELS) if the file is trusted.",
        )
    if header.slices > settings.max_frames:
        raise LimitError(
            f"the header says {header.slices:,} slices, more than max_frames={settings.max_frames:,}",
            source=source,
            hint="Raise max_frames (LOADSTONE_MAX_FRAMES) if the file is trusted.",
        )
