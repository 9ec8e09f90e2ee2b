"""What a caller may ask of this plugin beside the id, as ``options=``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from loadstone.errors import LoadstoneError
from loadstone.metadata import ImagePlane
from loadstone_web.on_request import ON_REQUEST

if TYPE_CHECKING:
    from loadstone.options import LoadOptions
    from loadstone_web.header import WebHeader

__all__ = ["Asked"]

PRINT: Final = "print"
_BY_NAME = {name.lower(): name for name in ON_REQUEST}

Spacing: TypeAlias = "tuple[float, float] | tuple[float, float, float]"


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of one load."""

    upright: bool = True
    """Whether to turn the pixels as EXIF says; ``orientation="keep"`` leaves them as stored."""
    formats: frozenset[str] = frozenset()
    """Which of `ON_REQUEST` may be opened."""
    spacing: Spacing | None = None
    """Distance of rows and columns, or of images, rows and columns, in mm, as the caller knows it."""
    print_spacing: bool = False
    """Whether the density in the file is to be taken for the spacing of the pixels (``spacing="print"``)."""

    @classmethod
    def of(cls, options: LoadOptions) -> Asked:
        """
        Return what the options of a load ask for.

        Raises
        ------
        LoadstoneError
            If the value of an option makes no sense.
        """
        given = dict(options.extra)
        if not given:
            return _NOTHING
        spacing = given.get("spacing")
        return cls(
            upright=_upright(given.get("orientation", "apply")),
            formats=_formats(given.get("formats", ())),
            spacing=None if spacing is None or spacing == PRINT else _spacing(spacing),
            print_spacing=spacing == PRINT,
        )

    def plane(self, header: WebHeader) -> ImagePlane:
        """Return what is known of where the image lies: its spacing, if the caller wants one."""
        if self.spacing is not None:
            *between, row, column = self.spacing
            return ImagePlane((row, column), spacing_between_slices=between[0] if between else None)
        return ImagePlane(header.print_spacing if self.print_spacing else None)


_NOTHING = Asked()


def _upright(value: Any) -> bool:  # noqa: ANN401 - whatever the caller gave
    if value not in ("apply", "keep"):
        raise LoadstoneError(f"the option orientation={value!r} is neither 'apply' nor 'keep'")
    return bool(value == "apply")


def _formats(value: Any) -> frozenset[str]:  # noqa: ANN401
    names = (value,) if isinstance(value, str) else value
    try:
        return frozenset(_BY_NAME[name.lower()] for name in names)
    except (AttributeError, KeyError, TypeError) as error:
        raise LoadstoneError(
            f"the option formats={value!r} names what is not opened on request",
            hint=f"Give some of {', '.join(ON_REQUEST)}; PNG and JPEG are always opened.",
        ) from error


def _spacing(value: Any) -> Spacing:  # noqa: ANN401
    try:
        lengths = tuple(float(each) for each in value)
    except (TypeError, ValueError):
        lengths = ()
    if len(lengths) == 2 and _are_lengths(lengths):
        return lengths[0], lengths[1]
    if len(lengths) == 3 and _are_lengths(lengths):
        return lengths[0], lengths[1], lengths[2]
    raise LoadstoneError(
        f"the option spacing={value!r} is no spacing",
        hint=f"Give (row, column) or (image, row, column) in mm, or {PRINT!r} for the density in the file.",
    )


def _are_lengths(lengths: tuple[float, ...]) -> bool:
    return all(math.isfinite(each) and each > 0 for each in lengths)
