"""One frame of an object: functional groups resolved, per-frame over shared over the object itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from loadstone.errors import MetadataError
from loadstone.metadata import ImagePlane, Scaling, VoiLut
from loadstone_wado import tags
from loadstone_wado.lazy import lazy
from loadstone_wado.memo import Memo
from loadstone_wado.placement import ENHANCED_US, RT_DOSE, detector, dose_position, slice_position
from loadstone_wado.values import scaling, voi_lut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone_wado.elements import Elements
    from loadstone_wado.placement import Vector3, Vector6
    from loadstone_wado.tags import Attribute

__all__ = ["Frame", "FunctionalGroups"]

_log = logging.getLogger(__name__)


class FunctionalGroups:
    """
    The functional groups of an object, looked up once for all its frames (DICOM PS3.3 C.7.6.16).

    Parameters
    ----------
    elements
        The attributes of the object.
    """

    def __init__(self, elements: Elements) -> None:
        self._elements = elements

    @lazy
    def _are_there(self) -> bool:
        groups = (tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
        return any(map(self._elements.has, groups))

    @lazy
    def _of_frames(self) -> Sequence[Elements]:
        return self._elements.items(tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)

    @lazy
    def _shared(self) -> Elements | None:
        return self._elements.item(tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE)

    def of(self, number: int) -> tuple[Elements, ...]:
        """Return those of a frame, from 1: its own, then the shared ones."""
        if not self._are_there:
            return ()
        own = self._of_frames[number - 1 : number]
        return (*own, self._shared) if self._shared else tuple(own)


class Frame:
    """
    What is known about one frame.

    A thickness that cannot be read counts as unknown, with a warning in the log: nothing is computed from it
    that positions do not tell better, so it must not keep the pixels from being loaded.

    Parameters
    ----------
    elements
        The attributes of the object.
    number
        From 1.
    functional_groups
        Those of the object.
    source
        What the object is, for messages.
    """

    def __init__(
        self, elements: Elements, number: int, functional_groups: FunctionalGroups, *, source: str
    ) -> None:
        self.elements = elements
        self.number = number
        self.source = source
        self._functional_groups = functional_groups

    @lazy
    def groups(self) -> tuple[Elements, ...]:
        """The functional groups of this frame: its own, then the shared ones."""
        return self._functional_groups.of(self.number)

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
        return self.elements

    @lazy
    def image_position_patient(self) -> Vector3 | None:
        """
        Centre of the first pixel, LPS, mm.

        Of enhanced ultrasound in the space of its volume, which is not the patient's.
        """
        tag = tags.IMAGE_POSITION_PATIENT
        found = self._vector(tags.PLANE_POSITION_SEQUENCE, tag, 3)
        position = cast("Vector3 | None", found)
        if position is None:
            return self._unusual_position()
        if self.elements.text(tags.SOP_CLASS_UID) == RT_DOSE:
            return dose_position(position, self.image_orientation_patient, self.elements, self.number)
        return position

    def _unusual_position(self) -> Vector3 | None:
        if self.elements.text(tags.SOP_CLASS_UID) == ENHANCED_US:
            found = self._vector(tags.PLANE_POSITION_VOLUME_SEQUENCE, tags.IMAGE_POSITION_VOLUME, 3)
            return cast("Vector3 | None", found)
        item = detector(self.elements, self.number)
        first = self._checked(item, tags.IMAGE_POSITION_PATIENT, 3) if item else None
        if first is None:
            return None
        orientation = self.image_orientation_patient
        return slice_position(cast("Vector3", first), orientation, self.elements, self.number)

    @lazy
    def image_orientation_patient(self) -> Vector6 | None:
        """Unit vectors along a row and along a column; in the space of the position."""
        return self._usual_orientation or self._unusual_orientation()

    @lazy
    def _usual_orientation(self) -> Vector6 | None:
        found = self._vector(tags.PLANE_ORIENTATION_SEQUENCE, tags.IMAGE_ORIENTATION_PATIENT, 6)
        return cast("Vector6 | None", found)

    def _unusual_orientation(self) -> Vector6 | None:
        if self.elements.text(tags.SOP_CLASS_UID) == ENHANCED_US:
            group, tag = tags.PLANE_ORIENTATION_VOLUME_SEQUENCE, tags.IMAGE_ORIENTATION_VOLUME
            return cast("Vector6 | None", self._vector(group, tag, 6))
        item = detector(self.elements, self.number)
        found = self._checked(item, tags.IMAGE_ORIENTATION_PATIENT, 6) if item else None
        return cast("Vector6 | None", found)

    @lazy
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Distance between rows, then between columns, in mm."""
        spacing = self._vector(tags.PIXEL_MEASURES_SEQUENCE, tags.PIXEL_SPACING, 2)
        if spacing and min(spacing) <= 0:
            raise MetadataError(f"PixelSpacing is {spacing}", source=self.source)
        return cast("tuple[float, float] | None", spacing)

    @lazy
    def slice_thickness(self) -> float | None:
        """Nominal thickness in mm."""
        return self._number(tags.PIXEL_MEASURES_SEQUENCE, tags.SLICE_THICKNESS)

    @lazy
    def spacing_between_slices(self) -> float | None:
        """As recorded, in mm."""
        return self._number(tags.PIXEL_MEASURES_SEQUENCE, tags.SPACING_BETWEEN_SLICES)

    @lazy
    def position_decimals(self) -> int | None:
        """Decimals of the text of the position: the precision of what is known."""
        tag = tags.IMAGE_POSITION_PATIENT
        texts = self.holder(tags.PLANE_POSITION_SEQUENCE, tag).texts(tag)
        return max(map(_decimals, texts)) if texts else None

    @lazy
    def plane(self) -> ImagePlane:
        """Where the frame lies in space."""
        grid = self._grid() if self.groups else _GRIDS.get(self.elements, lambda _: self._grid())
        return ImagePlane(
            grid.pixel_spacing,
            self.image_position_patient,
            grid.image_orientation_patient or self._unusual_orientation(),
            grid.slice_thickness,
            grid.spacing_between_slices,
            grid.frame_of_reference_uid,
            self.position_decimals,
        )

    def _grid(self) -> ImagePlane:
        """Return the plane without its position, and what only few objects have."""
        return ImagePlane(
            self.pixel_spacing,
            None,
            self._usual_orientation,
            self.slice_thickness,
            self.spacing_between_slices,
            self.elements.text(tags.FRAME_OF_REFERENCE_UID) or None,
        )

    @lazy
    def scaling(self) -> Scaling:
        """
        Slope, intercept and units of the frame.

        Raises
        ------
        MetadataError
            If the slope is zero.
        """
        if self.groups:
            return scaling(self)
        return _SCALINGS.get(self.elements, lambda _: scaling(self))

    @lazy
    def voi_lut(self) -> VoiLut:
        """How the frame is meant to be shown."""
        if self.groups:
            return voi_lut(self)
        return _VOI_LUTS.get(self.elements, lambda _: voi_lut(self))

    def _vector(self, group: Attribute, tag: Attribute, length: int) -> tuple[float, ...] | None:
        return self._checked(self.holder(group, tag), tag, length)

    def _checked(self, holder: Elements, tag: Attribute, length: int) -> tuple[float, ...] | None:
        numbers = holder.numbers(tag)
        if not numbers:
            return None
        if len(numbers) != length:
            raise MetadataError(
                f"attribute {tag!r} has {len(numbers)} values in place of {length}",
                source=self.source,
            )
        return numbers

    def _number(self, group: Attribute, tag: Attribute) -> float | None:
        try:
            return self.holder(group, tag).number(tag)
        except MetadataError as error:
            _log.warning("a thickness is ignored: %s", error.what)
            return None


_SCALINGS: Final = Memo[Scaling](
    tags.MODALITY,
    tags.RESCALE_SLOPE,
    tags.RESCALE_INTERCEPT,
    tags.RESCALE_TYPE,
    tags.UNITS,
    tags.DOSE_UNITS,
    tags.DOSE_GRID_SCALING,
    tags.SPECIFIC_CHARACTER_SET,
)
_VOI_LUTS: Final = Memo[VoiLut](
    tags.WINDOW_CENTER,
    tags.WINDOW_WIDTH,
    tags.WINDOW_CENTER_WIDTH_EXPLANATION,
    tags.VOI_LUT_FUNCTION,
    tags.VOI_LUT_SEQUENCE,
    tags.PIXEL_REPRESENTATION,
    tags.RESCALE_SLOPE,
    tags.RESCALE_INTERCEPT,
    tags.SPECIFIC_CHARACTER_SET,
)
_GRIDS: Final = Memo[ImagePlane](
    tags.PIXEL_SPACING,
    tags.IMAGE_ORIENTATION_PATIENT,
    tags.SLICE_THICKNESS,
    tags.SPACING_BETWEEN_SLICES,
    tags.FRAME_OF_REFERENCE_UID,
)


def _decimals(text: str) -> int:
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    return max(0, digits - int(exponent or 0))
