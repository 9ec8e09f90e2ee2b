"""What the modules of a frame say, the same from every way to its attributes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone import MetadataError, Session
from loadstone.metadata import (
    CalibratedPixelSpacing,
    Calibration,
    CalibrationKind,
    Cine,
    GeneralImage,
    ImagePlane,
    ModalityLut,
    Overlays,
    PetImage,
    PetIsotope,
    PetSeries,
    UltrasoundRegion,
    UltrasoundRegions,
)
from loadstone_wado.instance import Instance
from loadstone_wado.modules import frame_modules
from plugins.wado.tests.builders import SETTINGS, bundled, image, item, opened, shared_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom.dataset import Dataset

    from loadstone.metadata.modules import M

CR, XA = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.12.1"


def ways(dataset: Dataset) -> Iterator[Instance]:
    """Yield a data set as a file in each encoding, as it is, and as DICOM JSON."""
    for uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
        if uid != ExplicitVRBigEndian or dataset.BitsAllocated == 8:
            with opened(dataset, uid) as part:
                yield part.instance
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    yield Instance.from_dataset(dataset, SETTINGS)
    yield Instance.from_json(dataset.to_json_dict(), SETTINGS)


def from_all(dataset: Dataset, kind: type[M]) -> M | None:
    """Return a module that is the same from every way."""
    first, *others = [frame_modules(instance, 1).get(kind) for instance in ways(dataset)]

    assert others == [first] * len(others)
    return first


def small(**attributes: Any) -> Dataset:
    """Return an image of 8 bits, with which every encoding can be written."""
    return image(np.zeros((4, 4), np.uint8), **attributes)


def pet(**attributes: Any) -> Dataset:
    return small(Modality="PT", **attributes)


def test_an_image_that_says_nothing_has_no_modules() -> None:
    """What the source does not say is None, never a default."""
    silent = (Calibration, Cine, Overlays, PetImage, PetIsotope, PetSeries, UltrasoundRegions)

    assert [from_all(small(), kind) for kind in silent] == [None] * len(silent)
    assert from_all(small(), GeneralImage) == GeneralImage()


def test_the_plane_is_what_is_recorded() -> None:
    """Position, orientation and spacing as they are; without them None, not 1 mm."""
    placed = small(
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        ImagePositionPatient=["10.5", "20.5", "30.5"],
        PixelSpacing=["0.7", "0.9"],
        SliceThickness="5",
    )

    assert from_all(placed, ImagePlane) == ImagePlane(
        (0.7, 0.9), (10.5, 20.5, 30.5), (1, 0, 0, 0, 1, 0), 5, position_decimals=1
    )
    assert from_all(small(), ImagePlane) == ImagePlane()
    assert from_all(placed, Calibration) == Calibration(CalibrationKind.PATIENT, (0.7, 0.9))


def test_general_image() -> None:
    """Dates are dates, and the history of compression is told."""
    found = from_all(
        small(
            ImageType=["DERIVED", "PRIMARY", "AXIAL"],
            InstanceNumber="3",
            AcquisitionNumber="2",
            AcquisitionDate="20050102",
            AcquisitionTime="030405.5",
            AcquisitionDateTime="20050102030405.5+0100",
            ContentTime="0304",
            LossyImageCompression="01",
            LossyImageCompressionRatio=["10.5", "2"],
            LossyImageCompressionMethod=["ISO_10918_1", "ISO_15444_1"],
            BurnedInAnnotation="NO",
        ),
        GeneralImage,
    )

    zone = dt.timezone(dt.timedelta(hours=1))
    assert found == GeneralImage(
        image_type=("DERIVED", "PRIMARY", "AXIAL"),
        instance_number=3,
        acquisition_number=2,
        acquisition_date=dt.date(2005, 1, 2),
        acquisition_time=dt.time(3, 4, 5, 500_000),
        acquisition_date_time=dt.datetime(2005, 1, 2, 3, 4, 5, 500_000, tzinfo=zone),
        content_time=dt.time(3, 4),
        lossy_image_compression=True,
        lossy_image_compression_ratio=(10.5, 2),
        lossy_image_compression_method=("ISO_10918_1", "ISO_15444_1"),
        burned_in_annotation=False,
    )


def test_cine() -> None:
    """How frames are played, and None for an image that merely took its time."""
    played = small(
        FrameTimeVector=["0", "40", "45"], CineRate="25", StartTrim="2", StopTrim="3", FrameDelay="1"
    )
    played.PreferredPlaybackSequencing = 1

    assert from_all(played, Cine) == Cine(
        frame_time_vector=(0, 40, 45),
        frame_delay=1,
        cine_rate=25,
        start_trim=2,
        stop_trim=3,
        preferred_playback_sequencing=1,
    )
    assert from_all(pet(ActualFrameDuration="180000"), Cine) is None


class TestPet:
    def test_isotope(self) -> None:
        """All that SUV need, with names in their character set."""
        isotope = item(
            Radiopharmaceutical="FDG für Zürich",
            RadiopharmaceuticalStartTime="113900",
            RadiopharmaceuticalStartDateTime="20050102113900",
            RadionuclideTotalDose="381470000",
            RadionuclideHalfLife="6586.2",
            RadionuclidePositronFraction="0.97",
            RadionuclideCodeSequence=[item(CodeMeaning="^18^Fluorine")],
        )
        dataset = pet(SpecificCharacterSet="ISO_IR 100", RadiopharmaceuticalInformationSequence=[isotope])

        assert from_all(dataset, PetIsotope) == PetIsotope(
            radiopharmaceutical="FDG für Zürich",
            radionuclide="^18^Fluorine",
            radionuclide_total_dose=381_470_000,
            radionuclide_half_life=6586.2,
            radionuclide_positron_fraction=0.97,
            radiopharmaceutical_start_time=dt.time(11, 39),
            radiopharmaceutical_start_date_time=dt.datetime.combine(dt.date(2005, 1, 2), dt.time(11, 39)),
        )
        assert from_all(pet(RadiopharmaceuticalInformationSequence=[item()]), PetIsotope) is None

    def test_series_and_image(self) -> None:
        """What holds for all images is told from what holds for one."""
        dataset = pet(
            Units="GML",
            SUVType="LBM",
            CountsSource="EMISSION",
            SeriesType=["DYNAMIC", "IMAGE"],
            CorrectedImage=["DECY", "ATTN"],
            DecayCorrection="START",
            SeriesDate="20050102",
            SeriesTime="1139",
            FrameReferenceTime="60000",
            ActualFrameDuration="120000",
            DecayFactor="1.07",
            DoseCalibrationFactor="1481320.4",
            ScatterFractionFactor="0.3",
            ImageIndex=7,
        )

        assert from_all(dataset, PetSeries) == PetSeries(
            units="GML",
            suv_type="LBM",
            counts_source="EMISSION",
            series_type=("DYNAMIC", "IMAGE"),
            corrected_image=("DECY", "ATTN"),
            decay_correction="START",
            series_date=dt.date(2005, 1, 2),
            series_time=dt.time(11, 39),
        )
        assert from_all(dataset, PetImage) == PetImage(60_000, 120_000, 1.07, 1_481_320.4, 0.3, 7)

    def test_a_real_series_has_all_that_suv_need(self) -> None:
        """Dose, half-life, injection, units and decay correction of a GE whole-body scan."""
        first = min((shared_data() / "dicom" / "series" / "pet_ct_rsna2").glob("*.dcm"))
        with Session() as session:
            isotope = session.metadata.get(first, PetIsotope)
            series = session.metadata.get(first, PetSeries)

        assert isotope is not None
        assert isotope.radionuclide_total_dose == 381_470_000
        assert isotope.radiopharmaceutical_start_time == dt.time(11, 39)
        assert series is not None
        assert (series.units, series.decay_correction) == ("BQML", "START")
        assert "DECY" in series.corrected_image


class TestUltrasound:
    def test_regions(self) -> None:
        """Pairs are down, then right; units are names."""
        region = item(
            RegionSpatialFormat=2,
            RegionDataType=1,
            RegionFlags=3,
            RegionLocationMinX0=10,
            RegionLocationMinY0=20,
            RegionLocationMaxX1=30,
            RegionLocationMaxY1=40,
            ReferencePixelX0=-1,
            ReferencePixelY0=5,
            PhysicalUnitsXDirection=4,
            PhysicalUnitsYDirection=3,
            ReferencePixelPhysicalValueX=0.25,
            ReferencePixelPhysicalValueY=1.5,
            PhysicalDeltaX=0.01,
            PhysicalDeltaY=0.02,
            TransducerFrequency=3500,
        )
        dataset = small(SequenceOfUltrasoundRegions=[region])

        assert from_all(dataset, UltrasoundRegions) == UltrasoundRegions(
            (
                UltrasoundRegion(
                    first_row=20,
                    first_column=10,
                    last_row=40,
                    last_column=30,
                    physical_delta=(0.02, 0.01),
                    physical_units=("cm", "s"),
                    reference_pixel=(5, -1),
                    physical_value=(1.5, 0.25),
                    spatial_format=2,
                    data_type=1,
                    flags=3,
                    transducer_frequency=3500,
                ),
            )
        )
        assert from_all(dataset, Calibration) == Calibration(CalibrationKind.REGIONS)

    def test_a_region_needs_a_place_only(self) -> None:
        """What else is missing is not known; without a place it is damaged."""
        place = {f"RegionLocation{name}": 1 for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")}
        bare = small(SequenceOfUltrasoundRegions=[item(**place, PhysicalUnitsXDirection=99)])
        lost = small(SequenceOfUltrasoundRegions=[item(PhysicalDeltaX=0.1)])

        assert from_all(bare, UltrasoundRegions) == UltrasoundRegions((UltrasoundRegion(1, 1, 1, 1),))
        with pytest.raises(MetadataError, match=r"0018,601A"):
            from_all(lost, UltrasoundRegions)

    def test_only_lengths_make_a_spacing(self) -> None:
        """A region over time, or with a delta of zero, has none."""
        tissue = UltrasoundRegion(0, 0, 9, 9, (-0.02, 0.01), ("cm", "cm"))

        assert tissue.pixel_spacing == (0.2, 0.1)
        assert UltrasoundRegion(0, 0, 9, 9, (0.02, 0.01), ("cm", "s")).pixel_spacing is None
        assert UltrasoundRegion(0, 0, 9, 9, (0.0, 0.01), ("cm", "cm")).pixel_spacing is None
        assert UltrasoundRegion(0, 0, 9, 9).pixel_spacing is None

    def test_real_regions(self) -> None:
        """An obstetrical image has a 2-D region and an ECG below it."""
        with Session() as session:
            found = session.metadata.get(bundled("examples_palette.dcm"), UltrasoundRegions)
            cine = session.metadata.get(bundled("examples_ybr_color.dcm"), Cine)

        assert found is not None
        tissue, trace = found.regions
        assert (tissue.first_row, tissue.first_column, tissue.last_row, tissue.last_column) == (
            60,
            120,
            518,
            800,
        )
        assert tissue.pixel_spacing == pytest.approx((0.2623, 0.2623), abs=1e-4)
        assert (trace.physical_units, trace.pixel_spacing) == (("", "s"), None)
        assert cine == Cine(frame_time=33.333)


class TestProjections:
    @pytest.mark.parametrize(
        ("attributes", "expected"),
        [
            ({"ImagerPixelSpacing": ["1.1", "2.2"]}, (CalibrationKind.DETECTOR, (1.1, 2.2), None)),
            ({"PixelSpacing": ["1", "2"]}, (CalibrationKind.DETECTOR, (1, 2), None)),
            (
                {"PixelSpacing": ["1", "2"], "ImagerPixelSpacing": ["1", "2"]},
                (CalibrationKind.DETECTOR, (1, 2), None),
            ),
            (
                {"PixelSpacing": ["50", "50"], "ImagerPixelSpacing": ["100", "100"]},
                (CalibrationKind.GEOMETRY, (50, 50), 2),
            ),
            (
                {"ImagerPixelSpacing": ["2", "4"], "EstimatedRadiographicMagnificationFactor": "1.25"},
                (CalibrationKind.GEOMETRY, (1.6, 3.2), 1.25),
            ),
            (
                {
                    "ImagerPixelSpacing": ["2", "4"],
                    "DistanceSourceToDetector": "100",
                    "DistanceSourceToPatient": "50",
                },
                (CalibrationKind.GEOMETRY, (1, 2), 2),
            ),
            (
                {
                    "PixelSpacing": ["2", "4"],
                    "ImagerPixelSpacing": ["2", "4"],
                    "DistanceSourceToDetector": "100",
                    "DistanceSourceToEntrance": "80",
                },
                (CalibrationKind.GEOMETRY, (1.6, 3.2), 1.25),
            ),
            (
                {
                    "ImagerPixelSpacing": ["2", "4"],
                    "DistanceSourceToDetector": "100",
                    "DistanceSourceToPatient": "120",
                    "EstimatedRadiographicMagnificationFactor": "0",
                },
                (CalibrationKind.DETECTOR, (2, 4), None),
            ),
            (
                {"PixelSpacing": ["1", "1"], "PixelSpacingCalibrationType": "FIDUCIAL"},
                (CalibrationKind.FIDUCIAL, (1, 1), None),
            ),
            (
                {"PixelSpacing": ["1", "1"], "PixelSpacingCalibrationType": "GEOMETRY"},
                (CalibrationKind.GEOMETRY, (1, 1), None),
            ),
        ],
    )
    def test_what_a_spacing_means(
        self, attributes: dict[str, Any], expected: tuple[CalibrationKind, tuple[float, float], float | None]
    ) -> None:
        """A spacing is never said to hold in the patient unless something says so (DICOM PS3.3 10.7.1)."""
        dataset = small(SOPClassUID=CR, PixelSpacingCalibrationDescription="by hand", **attributes)

        kind, spacing, magnification = expected
        assert from_all(dataset, Calibration) == Calibration(kind, spacing, magnification, "by hand")

    def test_the_plane_shows_no_spacing_that_is_not_recorded(self) -> None:
        """The spacing of the detector is not that of the patient."""
        dataset = small(SOPClassUID=CR, ImagerPixelSpacing=["0.2", "0.2"])

        assert from_all(dataset, ImagePlane) == ImagePlane()
        assert from_all(small(SOPClassUID=CR), Calibration) is None
        assert from_all(small(SOPClassUID=CR, ImagerPixelSpacing=["0", "0"]), Calibration) is None

    def test_the_modality_lut_of_angiography_is_told(self) -> None:
        """Rescale attributes are as recorded, whether or not they are for display."""
        dataset = small(SOPClassUID=XA, Modality="XA", RescaleSlope="2", RescaleIntercept="1")

        assert from_all(dataset, ModalityLut) == ModalityLut(2, 1)

    def test_who_agrees_with_a_calibration_sets_it(self, tmp_path: Path) -> None:
        """What the file says becomes the spacing of the plane when a user says so."""
        path = tmp_path / "hand.dcm"
        small(
            SOPClassUID=CR,
            ImagerPixelSpacing=["0.2", "0.2"],
            EstimatedRadiographicMagnificationFactor="1.25",
        ).save_as(path, enforce_file_format=True)
        with Session() as session:
            found = session.metadata.get(path, Calibration)
            assert found is not None
            assert found.pixel_spacing is not None
            session.metadata.set(path, CalibratedPixelSpacing(found.pixel_spacing))
            plane = session.metadata.get(path, ImagePlane)

        assert plane is not None
        assert plane.pixel_spacing == pytest.approx((0.16, 0.16))


def overlaid(
    group: int, data: bytes | None, rows: int, columns: int, **others: tuple[int, str, Any]
) -> Dataset:
    """Return an image with an overlay."""
    dataset = small()
    add_overlay(dataset, group, data, rows, columns, **others)
    return dataset


def add_overlay(
    dataset: Dataset, group: int, data: bytes | None, rows: int, columns: int, **others: tuple[int, str, Any]
) -> None:
    dataset.add_new((group, 0x10), "US", rows)
    dataset.add_new((group, 0x11), "US", columns)
    for element, vr, value in others.values():
        dataset.add_new((group, element), vr, value)
    if data is not None:
        dataset.add_new((group, 0x3000), "OB", data)


class TestOverlays:
    def test_bits_become_booleans(self) -> None:
        """The lowest bit of a byte comes first, origins count from 0, every group is found."""
        dataset = overlaid(
            0x6000,
            bytes([0b1, 0b10000000, 0b1000, 0]),
            5,
            4,
            origin=(0x50, "SS", [10, 20]),
            type=(0x40, "CS", "R"),
            label=(0x1500, "LO", "tumour"),
            description=(0x22, "LO", "drawn"),
            subtype=(0x45, "LO", "USER"),
            area=(0x1301, "IS", "3"),
            mean=(0x1302, "DS", "1.5"),
            deviation=(0x1303, "DS", "0.5"),
        )
        add_overlay(dataset, 0x601E, b"\xff\x00", 2, 4, origin=(0x50, "SS", [-1, 0]))
        for instance in ways(dataset):
            found = frame_modules(instance, 1).get(Overlays)

            assert found is not None
            first, second = found.planes
            assert (first.group, first.rows, first.columns, first.origin) == (0x6000, 5, 4, (9, 19))
            assert first.pixels is not None
            assert first.pixels.dtype == np.bool_
            assert not first.pixels.flags.writeable
            assert np.argwhere(first.pixels).tolist() == [[0, 0], [3, 3], [4, 3]]
            assert (first.overlay_type, first.overlay_subtype, first.label, first.description) == (
                "R",
                "USER",
                "tumour",
                "drawn",
            )
            assert (first.roi_area, first.roi_mean, first.roi_standard_deviation) == (3, 1.5, 0.5)
            assert (second.group, second.origin) == (0x601E, (-2, -1))
            assert second.pixels is not None
            assert second.pixels.all()

    def test_frames_of_an_overlay_lie_over_frames_of_the_image(self) -> None:
        """Its frames follow each other bit by bit; frames of the image before and behind have none."""
        dataset = image(np.zeros((5, 2, 2), np.uint8), frames=5)
        add_overlay(
            dataset,
            0x6002,
            bytes([0b01_001_010, 0b0]),
            1,
            3,
            frames=(0x15, "IS", "3"),
            first=(0x51, "US", 2),
        )
        drawn = []
        with opened(dataset) as part:
            for number in range(1, 6):
                found = frame_modules(part.instance, number).get(Overlays)
                drawn.append(found and found.planes[0].pixels.tolist())  # type: ignore[union-attr] # has data

        one, two, three = [False, True, False], [True, False, False], [True, False, False]
        assert drawn == [None, [one], [two], [three], None]

    def test_words_of_big_endian_objects_are_turned(self) -> None:
        """The lowest bit of a word comes first, whichever byte that is in."""
        dataset = small()
        add_overlay(dataset, 0x6000, None, 1, 16)
        dataset.add_new((0x6000, 0x3000), "OW", b"\x80\x01")
        with opened(dataset, ExplicitVRBigEndian) as part:
            found = frame_modules(part.instance, 1).get(Overlays)

        assert found is not None
        assert found.planes[0].pixels is not None
        assert np.flatnonzero(found.planes[0].pixels).tolist() == [0, 15]

    def test_an_overlay_within_the_pixels_is_named(self) -> None:
        """Its bits are known with the pixels only; where they are is told before."""
        dataset = overlaid(0x6000, None, 4, 4, position=(0x102, "US", 12))
        for instance in ways(dataset):
            found = frame_modules(instance, 1).get(Overlays)

            assert found is not None
            assert (found.planes[0].pixels, found.planes[0].bit_position) == (None, 12)

    def test_an_overlay_never_has_more_than_its_data(self) -> None:
        """Sizes that a header claims allocate nothing; the image can be loaded all the same."""
        with opened(overlaid(0x6000, b"\1\0", 65535, 65535)) as part:
            modules = frame_modules(part.instance, 1)
            with pytest.raises(MetadataError, match="overlay 6000 has 2 bytes") as caught:
                modules.get(Overlays)

            assert caught.value.source == "made.dcm"
            assert part.frames.instance.output(scaled=True).shape == (4, 4)

    def test_a_real_overlay_is_drawn_as_pydicom_draws_it(self) -> None:
        """Graphics of a Siemens MR, read anew from a file whose header was walked."""
        path = bundled("examples_overlay.dcm")
        with Session() as session:
            found = session.metadata.get(path, Overlays)

        assert found is not None
        assert found.planes[0].description == "Siemens MedCom Object Graphics"
        assert found.planes[0].pixels is not None
        assert np.array_equal(found.planes[0].pixels, pydicom.dcmread(path).overlay_array(0x6000))
        assert found.planes[0].pixels.any()
