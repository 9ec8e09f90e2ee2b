"""One frame of an object: functional groups resolved, per-frame over shared over the object itself."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from loadstone.errors import MetadataError
from loadstone.metadata import ImagePlane, Scaling, VoiLut
from loadstone_wado import tags
from loadstone_wado.values import scaling, voi_lut

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements
    from loadstone_wado.instance import Instance
    from loadstone_wado.tags import Attribute

__all__ = ["Frame"]

Vector3 = tuple[float, float, float]
Vector6 = tuple[float, float, float, float, float, float]

RT_DOSE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.481.2"


class Frame:
    """
    What is known about one frame.

    Parameters
    ----------
    instance
        The object.
    number
        From 1.
    """

    def __init__(self, instance: Instance, number: int) -> None:
        self.instance = instance
        self.number = number

    @cached_property
    def groups(self) -> tuple[Elements, ...]:
        """The functional groups of this frame: its own, then the shared ones (DICOM PS3.3 C.7.6.16)."""
        elements = self.instance.elements
        own = elements.items(tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        shared = elements.item(tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        found = [own[self.number - 1]] if self.number <= len(own) else []
        return (*found, shared) if shared else tuple(found)

    def holder(self, group: Attribute, tag: Attribute) -> Elements:
        """
        Return the attributes in which `tag` is to be looked up.

        Parameters
        ----------
        group
            The functional group that may hold it.
        tag
            What is looked up.
        """
        for groups in self.groups:
            item = groups.item(group)
            if item is not None and item.values(tag):
                return item
        return self.instance.elements

    @cached_property
    def image_position_patient(self) -> Vector3 | None:
        """Centre of the first pixel, LPS, mm."""
        position = self._vector(tags.PLANE_POSITION_SEQUENCE, tags.IMAGE_POSITION_PATIENT, 3)
        if position and self.instance.sop_class_uid == RT_DOSE_STORAGE:
            return self._dose_position(cast("Vector3", position))
        return cast("Vector3 | None", position)

    def _dose_position(self, first: Vector3) -> Vector3 | None:
        """Place a frame of an RT dose by GridFrameOffsetVector (DICOM PS3.3 C.8.8.3.2)."""
        offsets = self.instance.elements.numbers(tags.GRID_FRAME_OFFSET_VECTOR)
        orientation = self.image_orientation_patient
        if self.number == 1:
            return first
        if self.number > len(offsets) or orientation is None:
            return None
        if offsets[0] != 0:
            # The offsets are the z coordinates themselves.
            return first[0], first[1], offsets[self.number - 1]
        step = np.cross(orientation[:3], orientation[3:]) * offsets[self.number - 1]
        return cast("Vector3", tuple((np.array(first) + step).tolist()))

    @cached_property
    def image_orientation_patient(self) -> Vector6 | None:
        """Unit vectors along a row and along a column, LPS."""
        found = self._vector(tags.PLANE_ORIENTATION_SEQUENCE, tags.IMAGE_ORIENTATION_PATIENT, 6)
        return cast("Vector6 | None", found)

    @cached_property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Distance between rows, then between columns, in mm."""
        spacing = self._vector(tags.PIXEL_MEASURES_SEQUENCE, tags.PIXEL_SPACING, 2)
        if spacing and min(spacing) <= 0:
            raise MetadataError(f"PixelSpacing is {spacing}", source=self.instance.source)
        return cast("tuple[float, float] | None", spacing)

    @cached_property
    def slice_thickness(self) -> float | None:
        """Nominal thickness in mm."""
        return self._number(tags.PIXEL_MEASURES_SEQUENCE, tags.SLICE_THICKNESS)

    @cached_property
    def spacing_between_slices(self) -> float | None:
        """As recorded, in mm."""
        return self._number(tags.PIXEL_MEASURES_SEQUENCE, tags.SPACING_BETWEEN_SLICES)

    @cached_property
    def position_decimals(self) -> int | None:
        """Decimals of the text of the position: the precision of what is known."""
        tag = tags.IMAGE_POSITION_PATIENT
        texts = self.holder(tags.PLANE_POSITION_SEQUENCE, tag).texts(tag)
        return max(map(_decimals, texts)) if texts else None

    @cached_property
    def plane(self) -> ImagePlane:
        """Where the frame lies in space."""
        return ImagePlane(
            self.pixel_spacing,
            self.image_position_patient,
            self.image_orientation_patient,
            self.slice_thickness,
            self.spacing_between_slices,
            self.instance.frame_of_reference_uid,
            self.position_decimals,
        )

    @cached_property
    def scaling(self) -> Scaling:
        """
        Slope, intercept and units of the frame.

        Raises
        ------
        MetadataError
            If the slope is zero.
        """
        return scaling(self)

    @cached_property
    def voi_lut(self) -> VoiLut:
        """How the frame is meant to be shown."""
        return voi_lut(self)

    def _vector(self, group: Attribute, tag: Attribute, length: int) -> tuple[float, ...] | None:
        numbers = self.holder(group, tag).numbers(tag)
        if not numbers:
            return None
        if len(numbers) != length:
            raise MetadataError(
                f"attribute {tag!r} has {len(numbers)} values in place of {length}",
                source=self.instance.source,
            )
        return numbers

    def _number(self, group: Attribute, tag: Attribute) -> float | None:
        return self.holder(group, tag).number(tag)


def _decimals(text: str) -> int:
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return max(0, digits - int(exponent or 0))
