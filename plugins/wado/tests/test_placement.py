from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedUSVolumeStorage, NuclearMedicineImageStorage, RTDoseStorage

from plugins.wado.tests.builders import image, item, opened

if TYPE_CHECKING:
    from loadstone.metadata import ImagePlane

AXIAL = [1, 0, 0, 0, 1, 0]
PIXELS = np.zeros((3, 2, 2), np.uint16)


def planes_of(**attributes: Any) -> list[ImagePlane]:
    with opened(image(PIXELS, frames=3, **attributes)) as part:
        return [part.instance.frame(number).plane for number in (1, 2, 3)]


def nuclear_medicine(kind: str = "RECON TOMO", **attributes: Any) -> list[ImagePlane]:
    detector = item(ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=AXIAL)
    described = {
        "SOPClassUID": NuclearMedicineImageStorage,
        "ImageType": ["ORIGINAL", "PRIMARY", kind, "EMISSION"],
        "DetectorInformationSequence": Sequence([detector]),
        "PixelSpacing": [4, 4],
        **attributes,
    }
    return planes_of(**described)


@pytest.mark.parametrize("spacing", [-2.5, 2.5])
@pytest.mark.parametrize("slices", [[1, 2, 3], [3, 1, 2], None])
def test_reconstructed_slices_follow_in_the_direction_of_the_sign(
    spacing: float, slices: list[int] | None
) -> None:
    """Along the normal where the spacing is positive, else against it (DICOM PS3.3 C.8.4.15)."""
    vector: dict[str, Any] = {"SliceVector": slices} if slices else {}
    planes = nuclear_medicine(SpacingBetweenSlices=str(spacing), **vector)

    assert [plane.image_position_patient for plane in planes] == [
        (1, 2, 3 + spacing * (place - 1)) for place in slices or (1, 2, 3)
    ]
    assert {plane.image_orientation_patient for plane in planes} == {(1, 0, 0, 0, 1, 0)}


def test_slices_without_a_spacing_have_no_place_but_the_first() -> None:
    """Nothing is made up."""
    planes = nuclear_medicine()

    assert [plane.image_position_patient for plane in planes] == [(1, 2, 3), None, None]


def test_projections_lie_where_their_detectors_are() -> None:
    """Each frame has the orientation of the detector that its vector names."""
    detectors = [
        item(ImagePositionPatient=[place, 0, 0], ImageOrientationPatient=orientation)
        for place, orientation in ((10, AXIAL), (20, [0, 1, 0, 0, 0, -1]))
    ]
    planes = nuclear_medicine(
        "STATIC", DetectorInformationSequence=Sequence(detectors), DetectorVector=[2, 1, 3]
    )

    assert [plane.image_position_patient for plane in planes] == [(20, 0, 0), (10, 0, 0), None]
    assert [plane.image_orientation_patient for plane in planes] == [
        (0, 1, 0, 0, 0, -1),
        (1, 0, 0, 0, 1, 0),
        None,
    ]


def test_only_nuclear_medicine_is_placed_by_detectors() -> None:
    """Elsewhere the sequence means something else."""
    (plane, *_) = nuclear_medicine(SOPClassUID=RTDoseStorage)

    assert plane.image_position_patient is None
    assert plane.image_orientation_patient is None


def test_enhanced_ultrasound_is_placed_in_its_volume() -> None:
    """Its groups have names of their own for planes in the volume (DICOM PS3.3 C.8.24.6)."""
    shared = item(
        PlaneOrientationVolumeSequence=Sequence([item(ImageOrientationVolume=[0.0, 1, 0, 0, 0, 1])]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=[0.5, 0.25])]),
    )
    frames = [
        item(PlanePositionVolumeSequence=Sequence([item(ImagePositionVolume=[0.5 * place, 0, 0])]))
        for place in range(3)
    ]
    planes = planes_of(
        SOPClassUID=EnhancedUSVolumeStorage,
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
    )

    assert [plane.image_position_patient for plane in planes] == [(0, 0, 0), (0.5, 0, 0), (1, 0, 0)]
    assert {plane.image_orientation_patient for plane in planes} == {(0, 1, 0, 0, 0, 1)}
    assert {plane.pixel_spacing for plane in planes} == {(0.5, 0.25)}


def test_dose_offsets_that_start_elsewhere_place_only_the_first_frame() -> None:
    """Offsets that are neither relative nor coordinates of the first frame contradict it."""
    planes = planes_of(
        SOPClassUID=RTDoseStorage,
        ImagePositionPatient=[1, 2, 3],
        ImageOrientationPatient=AXIAL,
        GridFrameOffsetVector=["50", "52", "54"],
    )

    assert [plane.image_position_patient for plane in planes] == [(1, 2, 3), None, None]
