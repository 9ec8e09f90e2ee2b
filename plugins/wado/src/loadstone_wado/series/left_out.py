"""What was found and is no part of a volume: counted, and damaged objects named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from loadstone import LoadstoneError, UnsupportedError
from loadstone.geometry import Finding, FindingKind
from loadstone_wado.transfer_syntaxes import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadstone_wado.instance import Instance

__all__ = ["LeftOut"]

MOST_NAMED: Final = 10
"""Damaged objects that are named; of thousands, nobody would read more."""


@dataclass(slots=True)
class LeftOut:
    """What was passed over."""

    not_dicom: int = 0
    """Files that are no DICOM objects."""
    not_images: int = 0
    """DICOM objects that are no images."""
    duplicates: int = 0
    """Files that are equal to another one, byte for byte."""
    damaged: list[LoadstoneError] = field(default_factory=list)
    """Why images could not be read."""

    def admits(self, instance: Instance) -> bool:
        """Say whether an instance is an image that can be placed; count it if not."""
        try:
            _ = instance.layout
            _ = instance.frame(1).plane
        except LoadstoneError as error:
            if isinstance(error, UnsupportedError) and not _is_meant_as_image(instance):
                self.not_images += 1
                return False
            self.damaged.append(error)
            return False
        return True

    def findings(self) -> tuple[Finding, ...]:
        """Say what was passed over, for the report of a volume."""
        return tuple(Finding(FindingKind.NOTED, message) for message in self._messages())

    def _messages(self) -> Iterable[str]:
        for count, what in (
            (self.not_dicom, "not DICOM"),
            (self.not_images, "DICOM without an image"),
            (self.duplicates, "a copy of another file"),
        ):
            if count:
                yield f"{count} left out: {what}"
        yield from (f"left out: {error}" for error in self.damaged[:MOST_NAMED])
        if len(self.damaged) > MOST_NAMED:
            yield f"{len(self.damaged) - MOST_NAMED} more left out: they cannot be read either"

    def __str__(self) -> str:
        """Say it in one line."""
        return "; ".join(self._messages()) or "nothing was left out"


def _is_meant_as_image(instance: Instance) -> bool:
    """Say whether it should be an image: one of these without pixels was cut, or is a video."""
    return not instance.sop_class_uid or "Image Storage" in name_of(instance.sop_class_uid)
