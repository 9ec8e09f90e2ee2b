"""From a report and a policy to the error that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from loadstone.errors import GeometryError
from loadstone.geometry.report import FindingKind

if TYPE_CHECKING:
    from loadstone.geometry.policy import GeometryPolicy
    from loadstone.geometry.report import GeometryReport

__all__ = ["refuse"]


class _Rule(NamedTuple):
    field: str
    """The field of the policy that decides."""
    remedy: str
    """What to do about the images."""
    accept: str
    """The value of the field that lets it pass."""
    outcome: str
    """What is then loaded."""


_AS_THEY_ARE: Final = "the slices in the order of their positions, without an affine"
_MIXED: Final = _Rule(
    "mixed", "load each stack by itself", "ignore", "the images as given, without an affine"
)
_RULES: Final = {
    FindingKind.GAP: _Rule("gap", "find the missing images", "ignore", _AS_THEY_ARE),
    FindingKind.DUPLICATE: _Rule(
        "duplicate", "load each volume by itself", "first", "the image given first at each position"
    ),
    FindingKind.TILT: _Rule("tilt", "resample it elsewhere", "shear", "an exact affine with a shear"),
    FindingKind.IRREGULAR: _Rule("irregular", "load a part that is regular", "ignore", _AS_THEY_ARE),
    FindingKind.INCOMPLETE: _Rule(
        "incomplete",
        "find the missing images, or leave out those that differ",
        "ignore",
        "what is there, zeros where a time point lacks a slice, no affine where images lack a place",
    ),
    FindingKind.MIXED_ORIENTATION: _MIXED,
    FindingKind.MIXED_SPACING: _MIXED,
    FindingKind.MIXED_FRAME_OF_REFERENCE: _MIXED,
}


def refuse(report: GeometryReport, policy: GeometryPolicy) -> None:
    """
    Do nothing if the policy accepts everything that was found.

    Raises
    ------
    GeometryError
        If it does not: what was found, what to do about it, and the policy that would accept it.
    """
    refused = [
        finding
        for finding in report.findings
        if finding.kind in _RULES and getattr(policy, _RULES[finding.kind].field) == "raise"
    ]
    if not refused:
        return
    rules = dict.fromkeys(_RULES[finding.kind] for finding in refused)
    values = ", ".join(f'{rule.field}="{rule.accept}"' for rule in rules)
    remedies = ", ".join(dict.fromkeys(rule.remedy for rule in rules))
    outcomes = ", ".join(dict.fromkeys(rule.outcome for rule in rules))
    raise GeometryError(
        "; ".join(finding.message for finding in refused),
        hint=f"{remedies[0].upper()}{remedies[1:]}, or accept it with GeometryPolicy({values}): {outcomes}.",
        report=report,
    )
