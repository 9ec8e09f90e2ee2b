"""The dimensions that multi-frame objects declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import loadstone
from loadstone import Axis, GeometryError, UnsupportedError
from plugins.wado.tests.builders import image, item
from plugins.wado.tests.series.builders import dimensions, frame, members, multi_frame, stack, stacks
from plugins.wado.tests.studies import SERIES, STUDY, uid, write

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

MR = "1.2.840.10008.5.1.4.1.1.4.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
NM = "1.2.840.10008.5.1.4.1.1.20"
ENHANCED_US = "1.2.840.10008.5.1.4.1.1.6.2"
WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
STACK_ID, IN_STACK, TIME, B_VALUE, DIRECTION = 0x00209056, 0x00209057, 0x00209128, 0x00189087, 0x00189089


def diffusion(b_value: float) -> list[Dataset]:
    """Return the functional group of a b-value."""
    return [item(DiffusionBValue=b_value)]


class TestIndices:
    """Enhanced objects with dimension indices."""

    def test_stack_position_and_time(self) -> None:
        """Stacks and positions are space; what is left is the time axis."""
        frames = [frame(k, 1, k + 1, t + 1) for k in range(3) for t in range(2)]
        pointers = dimensions(STACK_ID, IN_STACK, TIME)
        found = stack(multi_frame(frames, MR, DimensionIndexSequence=pointers))

        assert found.coordinates == (Axis("t", (1.0, 2.0), "", "TemporalPositionIndex"),)
        assert found.image_ids == tuple(f"x:0/{number}" for number in (1, 3, 5, 2, 4, 6))

    def test_values_behind_the_indices(self) -> None:
        """An index of a b-value has the b-value as its value."""
        frames = [
            frame(k, k + 1, b + 1, MRDiffusionSequence=diffusion(700.0 * b))
            for b in range(3)
            for k in range(2)
        ]
        found = stack(multi_frame(frames, MR, DimensionIndexSequence=dimensions(IN_STACK, B_VALUE)))

        assert found.coordinates == (Axis("t", (0.0, 700.0, 1400.0), "s/mm2", "DiffusionBValue"),)

    def test_two_dimensions_are_two_axes(self) -> None:
        """Of two that go through all combinations, time is the faster one."""
        frames = [
            frame(k, k + 1, t + 1, b + 1, MRDiffusionSequence=diffusion(500.0 * b))
            for b in range(2)
            for t in range(3)
            for k in range(2)
        ]
        found = stack(multi_frame(frames, MR, DimensionIndexSequence=dimensions(IN_STACK, TIME, B_VALUE)))

        assert [(axis.name, axis.source) for axis in found.coordinates] == [
            ("v", "DiffusionBValue"),
            ("t", "TemporalPositionIndex"),
        ]
        assert [axis.values for axis in found.coordinates] == [(0.0, 500.0), (1.0, 2.0, 3.0)]
        assert found.places[:4] == ((0, 0), (0, 0), (0, 1), (0, 1))

    def test_combinations_that_are_not_all_there_are_one_axis(self) -> None:
        """A b-value of 0 has one direction, others have many: one axis with the b-value of each."""
        pairs = [(1, 1), (2, 1), (2, 2), (2, 3)]
        frames = [
            frame(k, k + 1, b, g, MRDiffusionSequence=diffusion(1000.0 * (b - 1)))
            for b, g in pairs
            for k in range(2)
        ]
        found = stack(
            multi_frame(frames, MR, DimensionIndexSequence=dimensions(IN_STACK, B_VALUE, DIRECTION))
        )

        assert found.coordinates == (Axis("t", (0.0, 1000.0, 1000.0, 1000.0), "s/mm2", "DiffusionBValue"),)

    def test_stacks_and_echoes_are_volumes(self) -> None:
        """Frames of several stacks, types or echo times are volumes of their own."""
        frames = [frame(k, content={"StackID": str(number)}) for number in (1, 2) for k in range(3)]
        echoes = [
            frame(k, MREchoSequence=[item(EffectiveEchoTime=10.0 * (e + 1))])
            for e in range(2)
            for k in range(3)
        ]
        types = [
            frame(k, MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", kind])])
            for kind in ("WATER", "FAT")
            for k in range(3)
        ]

        for each in (frames, echoes, types):
            assert [len(found.image_ids) for found in stacks(multi_frame(each, MR))] == [3, 3]

    def test_without_indices_the_frames_are_told_apart_like_images(self) -> None:
        """Trigger delays of frames make an axis; where nothing does, the order of the frames."""
        hearts = [
            frame(k, CardiacSynchronizationSequence=[item(NominalCardiacTriggerDelayTime=40.0 * t)])
            for t in range(2)
            for k in range(3)
        ]
        plain = [frame(k) for k in range(3) for _ in range(2)]

        axis = Axis("t", (0.0, 40.0), "ms", "NominalCardiacTriggerDelayTime")
        assert stack(multi_frame(hearts, MR)).coordinates == (axis,)
        assert stack(multi_frame(plain, MR)).coordinates[0].source == "InstanceNumber"

    def test_objects_of_one_time_point_each(self) -> None:
        """Several enhanced objects of a series are the time points of one volume."""
        objects = [
            multi_frame(
                [frame(k, content={"TemporalPositionIndex": t + 1}) for k in range(3)],
                MR,
                SOPInstanceUID=uid(t),
                InstanceNumber=t + 1,
            )
            for t in (1, 0)
        ]
        found = stack(*objects)

        assert found.coordinates == (Axis("t", (1.0, 2.0), "", "TemporalPositionIndex"),)
        assert found.image_ids[:4] == ("x:0/1", "x:0/2", "x:0/3", "x:1/1")


def segmentation(places: list[tuple[int, float]], segments: tuple[str, ...] = ("Liver", "Spleen")) -> Dataset:
    """Return a segmentation with a frame for each (segment, height), filled with ones."""
    frames = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
        )
        for number, z in places
    ]
    listed = [item(SegmentNumber=index + 1, SegmentLabel=label) for index, label in enumerate(segments)]
    dataset = multi_frame(frames, SEG, SegmentSequence=listed, SegmentationType="FRACTIONAL", Modality="SEG")
    pixels = np.ones((len(frames), 4, 6), np.uint8)
    dataset.PixelData = pixels.tobytes()
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset["PixelData"].VR = "OB"
    return dataset


class TestSegments:
    """Segmentations."""

    def test_omitted_frames_are_zero(self, tmp_path: Path) -> None:
        """Each segment is a volume of all slices; frames that are left out are 0 and no gap."""
        places = [(1, 0.0), (1, 2.0), (2, 8.0)]
        volume = loadstone.load_volume(write([segmentation(places)], tmp_path / "seg"))

        assert volume.axes == ("segment", "k", "j", "i")
        assert volume.coordinates["segment"].values == ("Liver", "Spleen")
        assert volume.array.any(axis=(2, 3)).tolist() == [
            [True, True, False, False, False],
            [False, False, False, False, True],
        ]
        assert volume.geometry.kinds == {"regular"}
        assert volume.spacing == pytest.approx((0.75, 0.5, 2.0))

    def test_a_segment_without_frames_is_there(self) -> None:
        """What is listed has its place on the axis."""
        found = stack(segmentation([(3, 0.0)], ("Liver", "Spleen", "Kidney")))

        assert found.coordinates[0].values == ("Liver", "Spleen", "Kidney")
        assert found.places == ((2,),)

    def test_a_frame_of_a_segment_that_is_not_listed(self) -> None:
        """It has its place under its number, and the report says so."""
        found = stack(segmentation([(7, 0.0), (1, 0.0)]))

        assert found.coordinates[0].values == ("Liver", "Spleen", "segment 7")
        assert sorted(found.places) == [(0,), (2,)]
        assert "segments that are not listed: 7" in found.findings[0].message

    def test_frames_without_a_segment(self) -> None:
        """There is no axis then: they are incomplete, and refused where they lie at one place."""
        dataset = segmentation([(1, 0.0), (2, 0.0)])
        del dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence
        found = stack(dataset)

        assert found.coordinates == ()
        assert found.findings[0].kind == "incomplete"


def heart(spacing: float, **attributes: Any) -> Dataset:
    """Return a reconstructed NM object of two time slots and three slices."""
    defaults: dict[str, Any] = {
        "SOPClassUID": NM,
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "SOPInstanceUID": uid(0),
        "Modality": "NM",
        "ImageType": ["ORIGINAL", "PRIMARY", "RECON GATED TOMO", "EMISSION"],
        "PixelSpacing": [2, 2],
        "SliceThickness": abs(spacing),
        "SpacingBetweenSlices": spacing,
        "SliceVector": [1, 2, 3, 1, 2, 3],
        "TimeSlotVector": [1, 1, 1, 2, 2, 2],
        "DetectorInformationSequence": [
            item(ImagePositionPatient=[0, 0, 50], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        ],
    }
    pixels = np.zeros((6, 4, 6), np.uint16) + np.arange(1, 7, dtype=np.uint16)[:, None, None]
    return image(pixels, frames=6, **(defaults | attributes))


class TestNuclearMedicine:
    """Vectors, and spacings that go down."""

    @pytest.mark.parametrize(("spacing", "first"), [(4.0, 50.0), (-4.0, 42.0)])
    def test_slots_and_slices(self, tmp_path: Path, spacing: float, first: float) -> None:
        """Slots are the time axis; slices follow the first along or against the normal, and are sorted."""
        volume = loadstone.load_volume(write([heart(spacing)], tmp_path / "nm"))
        expected = [[1, 2, 3], [4, 5, 6]] if spacing > 0 else [[3, 2, 1], [6, 5, 4]]

        assert volume.array[..., 0, 0].tolist() == expected
        assert volume.coordinates["t"].source == "TimeSlotVector"
        np.testing.assert_allclose(volume.affine()[:3, 3], (0, 0, first))
        assert volume.spacing[2] == pytest.approx(4.0)

    def test_detectors_of_projections(self) -> None:
        """Two detectors are an axis beside time; those that look from elsewhere are volumes of their own."""
        vectors: dict[str, Any] = {
            "ImageType": ["ORIGINAL", "PRIMARY", "DYNAMIC"],
            "SliceVector": None,
            "TimeSlotVector": None,
            "TimeSliceVector": [1, 2, 3, 1, 2, 3],
            "DetectorVector": [1, 1, 1, 2, 2, 2],
        }
        front = item(ImagePositionPatient=[0, 0, 50], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
        back = item(ImagePositionPatient=[0, 9, 50], ImageOrientationPatient=[-1, 0, 0, 0, 1, 0])
        found = stack(heart(4.0, **vectors, DetectorInformationSequence=[front, front]))

        assert [axis.source for axis in found.coordinates] == ["DetectorVector", "TimeSliceVector"]
        assert [axis.name for axis in found.coordinates] == ["v", "t"]
        assert len(stacks(heart(4.0, **vectors, DetectorInformationSequence=[front, back]))) == 2


class TestOtherKinds:
    """What is no volume, or not of the patient."""

    def test_ultrasound_has_a_space_of_its_own(self, tmp_path: Path) -> None:
        """Distances are known, the place in the patient is not."""
        frames = [
            item(
                PlanePositionVolumeSequence=[item(ImagePositionVolume=[0.0, 0.0, 1.5 * k])],
                PlaneOrientationVolumeSequence=[item(ImageOrientationVolume=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])],
                PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75])],
            )
            for k in (2, 0, 1)
        ]
        dataset = multi_frame(frames, ENHANCED_US, Modality="US", SharedFunctionalGroupsSequence=None)
        volume = loadstone.load_volume(write([dataset], tmp_path / "us"))

        assert volume.array[:, 0, 0].tolist() == [1, 2, 0]
        assert volume.spacing == pytest.approx((0.75, 0.5, 1.5))
        assert "own_space" in volume.geometry.kinds
        with pytest.raises(GeometryError, match="the place in space is unknown"):
            volume.affine()

    def test_slides_are_no_volumes(self) -> None:
        """Tiles of a slide are refused as a volume, and left out where there is something else."""
        slide = multi_frame([frame(0), frame(1)], WSI, Modality="SM", SOPInstanceUID=uid(9))

        with pytest.raises(UnsupportedError, match="is no volume: its frames are tiles"):
            stacks(slide)
        assert len(stack(slide, multi_frame([frame(0), frame(1)], MR)).image_ids) == 2
        assert members(slide)[0].instance.frame(2).number == 2


def test_slices_that_a_label_map_leaves_out_are_zeros(tmp_path: Path) -> None:
    """As of a segmentation: no gap, the scan says the same, and there is no axis of segments."""
    place = write([multi_frame([frame(k) for k in (5, 1, 2)], LABEL_MAP, Modality="SEG")], tmp_path)
    volume = loadstone.load_volume(place)
    (row,) = loadstone.scan(place)

    assert volume.axes == ("k", "j", "i")
    assert volume.array[:, 0, 0].tolist() == [1, 2, 0, 0, 0]
    assert volume.geometry.regular
    assert row.shape == volume.shape
    assert row.findings[0] == volume.geometry.findings[0]
