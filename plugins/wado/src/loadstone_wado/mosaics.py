"""
Mosaics: sheets on which Siemens scanners store the slices of one time point as tiles.

Where the slices lie is not what the sheet's own attributes say: its position is that of a sheet-sized image
around the same centre, and count and direction of the slices are in the CSA header.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from loadstone import MetadataError
from loadstone_wado import tags
from loadstone_wado.csa import csa_values
from loadstone_wado.memo import Memo
from loadstone_wado.tags import Attribute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadstone.metadata import ImagePlane
    from loadstone_wado.elements import Elements
    from loadstone_wado.instance import Instance

__all__ = ["Mosaic", "is_mosaic", "mosaic_of"]

_CREATOR: Final = "SIEMENS CSA HEADER"
_PARALLEL: Final = 0.99
"""Least cosine between the normal of the header and that of the sheet."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """How the slices lie on a sheet, and where in space."""

    tiles: int
    """How many slices there are; the last places of the sheet may be empty."""
    rows: int
    """Of a tile."""
    columns: int
    """Of a tile."""
    ascending: bool
    """Whether the slices follow each other along row × column, rather than against it."""

    @property
    def across(self) -> int:
        """How many tiles a row of the sheet has, and a column."""
        return math.ceil(math.sqrt(self.tiles))

    def region(self, tile: int) -> tuple[slice, slice]:
        """
        Return the rows and columns of the sheet that a tile takes.

        Parameters
        ----------
        tile
            From 1.
        """
        down, right = divmod(tile - 1, self.across)
        top, left = down * self.rows, right * self.columns
        return slice(top, top + self.rows), slice(left, left + self.columns)

    def plane(self, sheet: ImagePlane, tile: int) -> ImagePlane:
        """
        Return where a tile lies in space.

        Parameters
        ----------
        sheet
            What the attributes say.
        tile
            From 1.
        """
        position, orientation = sheet.image_position_patient, sheet.image_orientation_patient
        step = sheet.spacing_between_slices or sheet.slice_thickness
        if position is None or orientation is None or sheet.pixel_spacing is None or not step:
            return replace(sheet, image_position_patient=None)
        between_rows, between_columns = sheet.pixel_spacing
        row, column = np.array(orientation[:3]), np.array(orientation[3:])
        margin = (self.across - 1) / 2
        first = (
            np.array(position)
            + row * (self.columns * margin * between_columns)
            + column * (self.rows * margin * between_rows)
        )
        along = abs(step) if self.ascending else -abs(step)
        x, y, z = (first + np.cross(row, column) * (along * (tile - 1))).tolist()
        # It is computed: the decimals of the sheet's text say nothing about it.
        return replace(sheet, image_position_patient=(x, y, z), position_decimals=None)


def is_mosaic(instance: Instance) -> bool:
    """Say whether an object is a sheet of tiles."""
    return _ARE_MOSAICS.get(instance.elements, _says_mosaic)


def _says_mosaic(elements: Elements) -> bool:
    return "MOSAIC" in elements.texts(tags.IMAGE_TYPE) or _is_grid_of_uih(elements)


def _is_grid_of_uih(elements: Elements) -> bool:
    """Say whether it is a sheet of United Imaging, which only its own attribute tells."""
    if not elements.text(tags.MANUFACTURER).upper().startswith("UIH"):
        return False
    try:
        return (elements.number(tags.UIH_NUMBER_OF_IMAGES_IN_GRID) or 0) > 1
    except MetadataError:
        # The same tag may be anything else: this one is no number.
        return False


_ARE_MOSAICS: Final = Memo[bool](tags.IMAGE_TYPE, tags.MANUFACTURER, tags.UIH_NUMBER_OF_IMAGES_IN_GRID)


def mosaic_of(instance: Instance) -> Mosaic | None:
    """
    Return how the slices lie on a sheet; None where it does not say, or contradicts itself.

    Raises
    ------
    LoadstoneError
        If the header cannot be read anew.
    """
    if not is_mosaic(instance) or instance.number_of_frames > 1:
        return None
    header = csa_values(_csa_header(instance.all_elements()))
    tiles, normal = _count(header), _vector(header.get("SliceNormalVector", ()))
    orientation = instance.frame(1).image_orientation_patient
    numbering = header.get("ProtocolSliceNumber", ("0",))
    if tiles is None or normal is None or orientation is None or numbering[:1] not in {(), ("0",)}:
        # Numbered from the other end, converters do not agree about the order.
        return None
    layout = instance.layout
    along = float(np.dot(normal, np.cross(orientation[:3], orientation[3:])))
    across = math.ceil(math.sqrt(tiles))
    if abs(along) < _PARALLEL or layout.rows % across or layout.columns % across:
        return None
    return Mosaic(tiles, layout.rows // across, layout.columns // across, along > 0)


def _csa_header(elements: Elements) -> bytes:
    """Return the header of the image, in whichever block of its group it is."""
    for block in range(0x10, 0x100):
        creator = elements.text(Attribute(0x00290000 | block, "LO"))
        if not creator:
            return b""
        if creator == _CREATOR:
            return elements.data(Attribute(0x00290010 | block << 8, "OB")) or b""
    return b""


def _count(header: Mapping[str, tuple[str, ...]]) -> int | None:
    """Return how many slices there are; the sheet bounds it."""
    values = header.get("NumberOfImagesInMosaic", ())
    return int(values[0]) if values and values[0].isdecimal() and 1 <= int(values[0]) <= 2**16 else None


def _vector(values: tuple[str, ...]) -> tuple[float, ...] | None:
    try:
        vector = tuple(map(float, values))
    except ValueError:
        return None
    return vector if len(vector) == 3 and all(map(math.isfinite, vector)) else None
