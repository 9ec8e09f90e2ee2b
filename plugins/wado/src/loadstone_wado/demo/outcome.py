"""What became of something that the demo loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadstone import Image, LoadstoneError
    from loadstone.cli.summary import Summary
    from loadstone_wado.demo.exhibits import Exhibit

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an exhibit."""

    exhibit: Exhibit
    """What was to be loaded."""
    summary: Summary | None = None
    """What was loaded; None if it failed."""
    image: Image | None = None
    """What to show of it: the image, the middle slice of the volume, a cut through it."""
    error: LoadstoneError | None = None
    """Why it failed."""
