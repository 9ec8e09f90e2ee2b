"""
A NIfTI header, read and checked before anything is believed (nifti1.h, nifti2.h).

Dimensions are compared with what is there by the caller, who knows how many bytes there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.volumeutils import native_code

from loadstone.errors import IntegrityError, LimitError, UnsupportedError
from loadstone.geometry import Finding, FindingKind
from loadstone_nifti import analyze
from loadstone_nifti.datatypes import Datatype, datatype_of
from loadstone_nifti.extensions import walk_extensions
from loadstone_nifti.layouts import NIFTI1_BYTES, Layout, layout_of, truncated

if TYPE_CHECKING:
    from nibabel.analyze import AnalyzeHeader

    from loadstone.settings import Settings

__all__ = ["AXES", "NiftiHeader", "Reader", "copied", "read_header"]

AXES: Final = ("i", "j", "k", "t", "v", "u", "w")
"""Names of the seven axes of a file, the fastest first."""

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

    layout: Layout
    """Which kind of header it is."""
    head: bytes = field(repr=False)
    """Everything in front of the voxels, header, extensions, padding; of a pair, the whole header file."""
    voxels_at: int
    """Byte at which voxels begin, in this file or in the other one of the pair."""
    fields: Nifti1Header = field(repr=False)
    """The header as nibabel reads it (a `Nifti2Header` is one too), in its own byte order, unchecked; of
    Analyze 7.5 what it shares with NIfTI-1."""
    dims: tuple[int, ...]
    """Sizes of the axes i, j, k, …; at least three, each at least 1."""
    datatype: Datatype
    """Of the voxels."""
    extensions_end: int = 0
    """Byte of `head` at which the last of the extensions ends that is whole."""
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

    def for_nibabel(self) -> Nifti1Header | AnalyzeHeader:
        """Return a copy of the header as nibabel knows it, with its extensions."""
        if self.layout.is_analyze:
            return analyze.header_of(self.head[: self.layout.size], self.layout.order)
        copy = copied(self.fields)
        at = self.layout.extensions_at
        size = self.extensions_end - at
        if size > 0:
            file = BytesIO(self.head[at : self.extensions_end])
            copy.extensions = copy.exts_klass.from_fileobj(file, size, self.swapped)  # type: ignore[no-untyped-call]
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
        If it is no header that is read: another format, CIFTI-2, a datatype.
    IntegrityError
        If it is truncated, or its fields contradict each other.
    LimitError
        If the header says more than the settings allow.
    """
    start = _read(file, NIFTI1_BYTES)
    layout = layout_of(start, source)
    start += _read(file, layout.size - len(start))
    if len(start) < layout.size:
        raise truncated(start, source)
    fields, findings = _fields(start, layout, source)
    offset = _offset(fields, layout, settings, source)
    if layout.is_pair:
        head = _to_the_end(file, start, settings, source)
    else:
        head = _to_the_voxels(file, start, offset, layout, source)
    datatype = datatype_of(int(fields["datatype"]), source=source)
    extensions_end, broken = walk_extensions(head, layout)
    header = NiftiHeader(
        layout=layout,
        head=head,
        voxels_at=offset,
        fields=fields,
        dims=_dims(fields, source),
        datatype=datatype,
        extensions_end=extensions_end,
        findings=(*findings, *filter(None, (broken, _bits_finding(fields, datatype)))),
    )
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


def _fields(start: bytes, layout: Layout, source: str) -> tuple[Nifti1Header, tuple[Finding, ...]]:
    """Return the header as nibabel reads it, and what was noticed."""
    if layout.is_analyze:
        return analyze.as_nifti(start, layout.order)
    kind = Nifti1Header if layout.size == NIFTI1_BYTES else Nifti2Header
    fields = kind(start, layout.order, check=False)  # type: ignore[no-untyped-call]
    intent = int(fields["intent_code"])
    if kind is Nifti2Header and intent in _CIFTI_INTENTS:
        raise UnsupportedError(
            f"this is a CIFTI-2 file (intent {intent}): a matrix over brain ordinates, not an image",
            source=source,
            hint="Read it with nibabel.cifti2.",
        )
    return fields, ()


def _offset(fields: Nifti1Header, layout: Layout, settings: Settings, source: str) -> int:
    """Return the byte at which voxels begin."""
    value = float(fields["vox_offset"])
    least = 0 if layout.is_pair else layout.extensions_at
    if not (math.isfinite(value) and value >= least and value == int(value)):
        raise IntegrityError(
            f"vox_offset is {value:g}; voxels begin at a whole byte from {least} on",
            source=source,
            hint="The header is damaged; get the file again from where it was made.",
        )
    if value > settings.max_json_bytes:
        raise _too_large(f"vox_offset leaves {value:g} bytes in front of the voxels", settings, source)
    return int(fields["vox_offset"])


def _too_large(what: str, settings: Settings, source: str) -> LimitError:
    return LimitError(
        f"{what}, more than max_json_bytes={settings.max_json_bytes:,}",
        source=source,
        hint="Raise max_json_bytes (LOADSTONE_MAX_JSON_BYTES) if the file is trusted.",
    )


def _to_the_end(file: Reader, start: bytes, settings: Settings, source: str) -> bytes:
    """Read the rest of the header file of a pair."""
    head = start + _read(file, settings.max_json_bytes + 1 - len(start))
    if len(head) > settings.max_json_bytes:
        raise _too_large("the header file goes on", settings, source)
    return head


def _to_the_voxels(file: Reader, start: bytes, offset: int, layout: Layout, source: str) -> bytes:
    """Read the extensions in front of the voxels."""
    head = start + _read(file, offset - len(start))
    if len(head) < layout.extensions_at:
        raise truncated(head, source)
    if len(head) < offset:
        raise IntegrityError(
            f"vox_offset says that voxels begin at byte {offset:,}, but there are {len(head):,}",
            source=source,
        )
    return head


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


def _bits_finding(fields: Nifti1Header, datatype: Datatype) -> Finding | None:
    bits, expected = int(fields["bitpix"]), datatype.nbytes * 8
    if bits == expected:
        return None
    message = f"bitpix is {bits}, but {datatype.name} has {expected} bits; the datatype was believed"
    return Finding(FindingKind.NOTED, message)


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
