"""What was found about the geometry of images: a set of findings with their numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

__all__ = ["Finding", "FindingKind", "GeometryReport"]


class FindingKind(StrEnum):
    """What a finding is about; each is also a plain string: ``"gap" in report.kinds``."""

    REGULAR = "regular"
    """Equally spaced along the normal. `Finding.distances`: the step, the largest deviation from the line."""
    SINGLE_SLICE = "single_slice"
    """One position only. `Finding.distances`: its extent along k, if recorded."""
    TILT = "tilt"
    """The slices advance at an angle to their normal. `Finding.degrees`: the angle."""
    GAP = "gap"
    """Slices are missing. `Finding.indices`: those after a gap; `Finding.distances`: its length."""
    DUPLICATE = "duplicate"
    """Several images at one position. `Finding.indices`: all but the first of each position."""
    IRREGULAR = "irregular"
    """Not equally spaced. `Finding.indices`: slices off the line; `Finding.distances`: by how much."""
    INCOMPLETE = "incomplete"
    """
    Some images say where they lie, others do not: `Finding.indices` are those that do not. Or some time
    points lack slices that others have: `Finding.indices` are those, counted over all leading axes.
    """
    MIXED_ORIENTATION = "mixed_orientation"
    """Several orientations. `Finding.indices`: the first image of each."""
    MIXED_SPACING = "mixed_spacing"
    """Several pixel spacings. `Finding.indices`: the first image of each."""
    MIXED_SIZE = "mixed_size"
    """Several numbers of rows or columns. `Finding.indices`: the first image of each."""
    MIXED_FRAME_OF_REFERENCE = "mixed_frame_of_reference"
    """Several coordinate systems. `Finding.indices`: the first image of each."""
    FRAME_OF_REFERENCE_PER_IMAGE = "frame_of_reference_per_image"
    """Every image names a coordinate system of its own, as careless de-identification does: not looked at."""
    UNKNOWN_POSITION = "unknown_position"
    """No image says where it lies."""
    UNKNOWN_ORIENTATION = "unknown_orientation"
    """No image says how it is oriented, or the vectors are not two perpendicular unit vectors."""
    UNKNOWN_SPACING = "unknown_spacing"
    """No image says how far its pixels are apart."""
    SPACING_DIFFERS = "spacing_differs"
    """SpacingBetweenSlices is not what the positions say. `Finding.distances`: recorded, measured."""
    LOCALIZER = "localizer"
    """Said by a loader: localizers were set aside."""
    MOSAIC = "mosaic"
    """Said by a loader: an image is a sheet of tiles that are slices; stacked sheets would be no volume."""
    OWN_SPACE = "own_space"
    """Said by a loader: positions are those of a space of the object's own, not of the patient's."""
    SFORM_QFORM_DIFFER = "sform_qform_differ"
    """Said by a loader: the two transforms of a NIfTI header disagree."""
    UNITS_ASSUMED = "units_assumed"
    """Said by a loader: the unit of lengths is not recorded and was taken to be mm."""
    NOTED = "noted"
    """Said by a loader: anything else, in its own words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, with its numbers; `FindingKind` says what they mean."""

    kind: FindingKind
    """What it is about."""
    message: str
    """One sentence for a person, numbers included, without a full stop."""
    indices: tuple[int, ...] = ()
    """0-based positions in the sorted stack, or among the images as given when they cannot be sorted."""
    images: tuple[int, ...] = ()
    """The same images, as 0-based positions in the list that was given."""
    distances: tuple[float, ...] = ()
    """mm; one for each of `indices` where there are any."""
    degrees: float | None = None
    """An angle."""
    tolerance: float | None = None
    """What would have been, or was, accepted, in mm or degrees."""


@dataclass(frozen=True, slots=True)
class GeometryReport:
    """Everything that was found about the geometry of a stack; several findings may hold at once."""

    findings: tuple[Finding, ...] = ()
    """In the order of their finding; a kind may occur more than once."""

    @property
    def kinds(self) -> frozenset[FindingKind]:
        """The kinds of all findings."""
        return frozenset(finding.kind for finding in self.findings)

    @property
    def regular(self) -> bool:
        """Whether the slices are equally spaced along their normal, all of one kind and each there once."""
        return FindingKind.REGULAR in self.kinds and FindingKind.DUPLICATE not in self.kinds

    def get(self, kind: FindingKind | str) -> Finding | None:
        """Return the first finding of a kind, or None."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def adding(self, *findings: Finding) -> Self:
        """Return a report with more findings, for example those of the loader."""
        return replace(self, findings=self.findings + findings)

    def __str__(self) -> str:
        """One line for each finding."""
        lines = (f"{finding.kind}: {finding.message}" for finding in self.findings)
        return "\n".join(lines) or "nothing to report"
