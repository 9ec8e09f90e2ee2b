"""What to do about images that do not form a regular volume."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, get_args, get_type_hints

from loadstone.errors import LoadstoneError

__all__ = ["DEFAULT_POLICY", "GeometryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryPolicy:
    """
    What to do about each kind of irregularity.

    ``"raise"`` refuses the volume with a `GeometryError` that carries the report. ``"ignore"`` gives the
    images in the order of their positions as an array and leaves what they do not vouch for unknown: no
    affine, no spacing of k. Nothing is filled in or resampled unless the policy says so in these words. The
    report is the same whatever the policy.

    Raises
    ------
    LoadstoneError
        If a value is none of those documented.
    """

    gap: Literal["raise", "ignore", "empty", "interpolate"] = "raise"
    """
    Slices are missing: distances are multiples of the smallest. ``"empty"``: they are there, with zeros for
    voxels; ``"interpolate"``: with the mean of their neighbours, weighted by distance. Either way the affine
    is known, and `Volume.image_ids` is empty for them.
    """
    duplicate: Literal["raise", "first", "ignore"] = "raise"
    """Several images lie at one position. ``"first"`` keeps the image of each that was given first."""
    tilt: Literal["shear", "raise", "resample"] = "shear"
    """
    The slices advance at an angle to their normal (gantry tilt). ``"shear"``: the exact affine.
    ``"resample"``: they are moved within their planes, by linear interpolation, until they lie straight above
    each other; rows or columns are added, which hold the smallest value of the slice, and the slices have no
    image ids any more.
    """
    irregular: Literal["raise", "ignore"] = "raise"
    """The slices are not equally spaced along a line."""
    incomplete: Literal["raise", "ignore"] = "raise"
    """
    Some images say where they lie and others do not; ignored, all stay in the order given. Or time points
    lack slices that others have; ignored, these are zeros.
    """
    mixed: Literal["raise", "ignore"] = "raise"
    """Orientation, pixel spacing or frame of reference differ; ignored, all stay in the order given."""

    def __post_init__(self) -> None:
        """Refuse values that nobody documented."""
        allowed = get_type_hints(type(self))
        for each in fields(self):
            value, choices = getattr(self, each.name), get_args(allowed[each.name])
            if value not in choices:
                names = ", ".join(map(repr, choices))
                raise LoadstoneError(f"GeometryPolicy({each.name}={value!r})", hint=f"Use one of {names}.")


DEFAULT_POLICY: Final = GeometryPolicy()
"""Refuses everything but tilt, which an affine can say exactly."""
