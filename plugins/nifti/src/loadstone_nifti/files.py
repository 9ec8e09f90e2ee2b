"""A NIfTI file opened: its header read and understood, once for all who ask for its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone_nifti.header import NiftiHeader, read_header
from loadstone_nifti.placement import Placement, placement_of
from loadstone_nifti.places import Place, place_of, written_anew
from loadstone_nifti.streams import ContentStream, content
from loadstone_nifti.values import Meaning, meaning_of
from loadstone_nifti.voxels import check_size

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone.geometry import Finding

__all__ = ["NiftiFile", "open_file"]


@dataclass(frozen=True, slots=True, eq=False)
class NiftiFile:
    """What is known about a file before a voxel is read; a source of the session."""

    place: Place
    """Where it is."""
    compressed: bool
    """Whether it is gzip-compressed."""
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

    def skip_head(self, stream: ContentStream) -> None:
        """
        Go to the first voxel of a file that was opened again.

        Raises
        ------
        IntegrityError
            If it begins with another header than before.
        """
        if stream.read(len(self.header.head)) != self.header.head:
            raise written_anew(self.place.label)


def open_file(locator: str, context: LoadContext) -> NiftiFile:
    """
    Read the header of the file that a path or URL names.

    Raises
    ------
    FetchError
        If the file cannot be had.
    UnsupportedError
        If it is no NIfTI file that can be read.
    IntegrityError
        If it is truncated, or claims more voxels than it can hold.
    LimitError
        If it claims more than the settings allow.
    """
    place = place_of(locator, context)

    def read() -> NiftiFile:
        with content(place, context) as stream:
            header = read_header(stream, context.settings, source=place.label)
            check_size(header, stream, source=place.label)
            return NiftiFile(
                place, stream.compressed, header, placement_of(header.fields, header.dims), meaning_of(header)
            )

    return context.source(("header", place.key), read)
