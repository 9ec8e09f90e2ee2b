"""A NIfTI file or pair opened: its header read and understood, once for all who ask for its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.errors import UnsupportedError
from loadstone_nifti.header import NiftiHeader, read_header
from loadstone_nifti.local import local_file
from loadstone_nifti.pairs import is_url, pair_of
from loadstone_nifti.placement import Placement, placement_of
from loadstone_nifti.places import Place, written_anew
from loadstone_nifti.remote import RemoteFile
from loadstone_nifti.streams import ContentStream, beginning
from loadstone_nifti.values import Meaning, meaning_of
from loadstone_nifti.voxels import check_size

if TYPE_CHECKING:
    from collections.abc import Hashable

    from loadstone.context import LoadContext
    from loadstone.geometry import Finding

__all__ = ["NiftiFile", "open_file"]


@dataclass(frozen=True, slots=True, eq=False)
class NiftiFile:
    """What is known about a file before a voxel is read; a source of the session."""

    place: Place
    """Where its voxels are; of a pair, the file without the header."""
    compressed: bool
    """Whether that file is gzip-compressed."""
    header: NiftiHeader
    """What its header says about the voxels."""
    placement: Placement
    """Where they lie."""
    meaning: Meaning
    """What they mean."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that was noticed."""
        return (*self.header.findings, *self.placement.findings, *self.meaning.findings)

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return len(self.header.head)

    def close(self) -> None:
        """Nothing is open: a file that is read is opened for as long as it is read."""

    @property
    def key(self) -> Hashable:
        """Names the voxels of the file in its present state, as its header describes them."""
        return (self.place.key, self.header.head)

    def skip_head(self, stream: ContentStream) -> None:
        """
        Go to the first voxel of a file that was opened again.

        Raises
        ------
        IntegrityError
            If it begins with another header than before, or ends before the voxels.
        """
        header = self.header
        if header.layout.is_pair:
            stream.skip(header.voxels_at)
        elif stream.read(len(header.head)) != header.head:
            raise written_anew(self.place.label)


def open_file(locator: str, context: LoadContext) -> NiftiFile:
    """
    Read the header of the file, or the pair of files, that a path or URL names.

    Raises
    ------
    FetchError
        If the file cannot be had, or the other one of the pair.
    UnsupportedError
        If it is no NIfTI or Analyze file that can be read.
    IntegrityError
        If it is truncated, or claims more voxels than it can hold.
    LimitError
        If it claims more than the settings allow.
    """
    header_at, voxels_at = pair_of(locator)
    place = _place_of(header_at, context)
    voxels = None if voxels_at is None else _place_of(voxels_at, context)

    def read() -> NiftiFile:
        with beginning(place, context) as stream:
            header = read_header(stream, context.settings, source=place.label)
            if not header.layout.is_pair:
                return _understood(header, stream)
        if voxels is None:
            raise UnsupportedError(
                f"this is the {header.layout.name} header of a pair, but its name does not end in .hdr: "
                "nothing tells where the voxels are",
                source=place.label,
                hint="Name the two files x.hdr and x.img; a .nii file of this kind has a damaged signature.",
            )
        with beginning(voxels, context) as stream:
            return _understood(header, stream)

    return context.source(("header", place.key, voxels and voxels.key), read)


def _place_of(locator: str, context: LoadContext) -> Place:
    return RemoteFile(locator) if is_url(locator) else local_file(locator, context)


def _understood(header: NiftiHeader, stream: ContentStream) -> NiftiFile:
    check_size(header, stream, source=stream.place.label)
    placement = placement_of(header.fields, header.dims)
    return NiftiFile(stream.place, stream.compressed, header, placement, meaning_of(header))
