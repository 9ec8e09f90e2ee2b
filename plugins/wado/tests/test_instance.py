from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, RTDoseStorage, SecondaryCaptureImageStorage

from loadstone import InvalidIdError, LimitError, LoadstoneError, MetadataError, Settings, UnsupportedError
from loadstone.metadata import (
    GeneralSeries,
    ImagePixel,
    ImagePlane,
    ModalityLut,
    MultiFrame,
    PatientStudy,
    Scaling,
    SopCommon,
    TransferSyntax,
    VoiLut,
)
from loadstone_wado import tags
from loadstone_wado.decode import decode_frame, load_frame
from loadstone_wado.elements import JsonElements
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.instance import Instance
from loadstone_wado.modules import frame_modules
from loadstone_wado.part10 import Part10
from plugins.wado.tests.builders import SETTINGS, bundled, identity, image, item, opened, part10

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

    from loadstone_wado.tags import Attribute


def layout_error(dataset: pydicom.Dataset, settings: Settings = SETTINGS) -> LoadstoneError:
    with opened(dataset, settings=settings) as part, pytest.raises(LoadstoneError) as caught:
        _ = part.instance.layout
    return caught.value


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"Rows": 0}, "Rows"),
        ({"Columns": None}, "Columns"),
        ({"SamplesPerPixel": None}, "SamplesPerPixel"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel"),
        ({"SamplesPerPixel": 3}, "MONOCHROME2"),
        ({"BitsAllocated": None}, "BitsAllocated"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": "RGB"}, "RGB"),
        ({"NumberOfFrames": -1}, "NumberOfFrames"),
    ],
)
def test_contradictory_attributes_are_metadata_errors(attributes: dict[str, Any], name: str) -> None:
    """The message names the attribute and the object."""
    error = layout_error(image(**attributes))

    assert isinstance(error, MetadataError)
    assert name in str(error)
    assert str(error).startswith("made.dcm")


@pytest.mark.parametrize("bits", [12, 24, 128])
def test_sample_sizes_that_no_array_holds_are_unsupported(bits: int) -> None:
    """BitsAllocated 12 and 24 were never common."""
    assert isinstance(layout_error(image(BitsAllocated=bits, BitsStored=8)), UnsupportedError)


@pytest.mark.parametrize(("name", "limit"), [("max_pixels", 11), ("max_image_bytes", 23), ("max_frames", 1)])
def test_limits_are_checked_before_anything_is_allocated(name: str, limit: int) -> None:
    """Each limit has a name that the message tells."""
    dataset = image(np.zeros((2, 3, 4), np.uint16), frames=2)
    error = layout_error(dataset, Settings.from_environment({f"LOADSTONE_{name.upper()}": str(limit)}))

    assert isinstance(error, LimitError)
    assert name in str(error)


@pytest.mark.parametrize(
    "name", ["reportsi.dcm", "rtplan.dcm", "rtstruct.dcm", "test-SR.dcm", "waveform_ecg.dcm"]
)
def test_objects_without_pixels_are_named(name: str) -> None:
    """The message names the SOP class."""
    with Part10.open(bundled(name), SETTINGS) as part, pytest.raises(UnsupportedError, match="Storage"):
        _ = part.instance.layout


def test_documents_are_unsupported() -> None:
    """An encapsulated PDF says what it is."""
    pdf = identity(SOPClassUID=EncapsulatedPDFStorage)

    assert "Encapsulated PDF" in str(layout_error(pdf))


@pytest.mark.parametrize(
    ("uid", "name"),
    [("4.100", "MPEG2"), ("4.100.1", "MPEG2"), ("4.106.1", "MPEG-4"), ("4.108", "HEVC"), ("7.1", "SMPTE")],
)
def test_videos_are_refused_by_name(uid: str, name: str) -> None:
    """Every transfer syntax of a video is known for what it is, the fragmentable ones too."""
    with opened(image()) as part:
        part.instance.transfer_syntax_uid = f"1.2.840.10008.1.2.{uid}"
        with pytest.raises(UnsupportedError, match=f"videos are not supported .*{name}"):
            _ = part.instance.layout


def test_an_image_class_without_pixel_data_is_unsupported() -> None:
    """Rows and columns alone are no image."""
    dataset = image()
    del dataset.PixelData
    error = layout_error(dataset)

    assert isinstance(error, UnsupportedError)
    assert "CT Image Storage" in str(error)


def test_attributes_have_their_values() -> None:
    """Names are those of the standard in snake case; what is not there is None."""
    dataset = image(
        InstanceNumber=7,
        ImageType=["ORIGINAL", "PRIMARY"],
        ImagePositionPatient=["-1.50", "2", "3.125"],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=["0.5", "0.7"],
        ImagerPixelSpacing=["0.1", "0.2"],
        SliceThickness="2.5",
        FrameOfReferenceUID="1.2.3",
    )
    with opened(dataset) as part:
        instance = part.instance
        frame = instance.frame(1)

    assert (instance.modality, instance.instance_number, instance.acquisition_number) == ("CT", 7, None)
    assert instance.image_type == ("ORIGINAL", "PRIMARY")
    assert instance.imager_pixel_spacing == (0.1, 0.2)
    assert frame.plane == ImagePlane(
        (0.5, 0.7), (-1.5, 2, 3.125), (1, 0, 0, 0, 1, 0), 2.5, None, "1.2.3", position_decimals=3
    )


def test_the_detectors_spacing_is_not_the_patients() -> None:
    """Without PixelSpacing there is none."""
    with opened(image(ImagerPixelSpacing=["0.1", "0.2"])) as part:
        assert part.instance.frame(1).pixel_spacing is None


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"PixelSpacing": ["0.5"]}, "values"),
        ({"PixelSpacing": ["0", "1"]}, "PixelSpacing"),
        ({"ImagePositionPatient": ["1", "2"]}, "values"),
    ],
)
def test_damaged_geometry_is_a_metadata_error(attributes: dict[str, Any], name: str) -> None:
    """A position has three coordinates, a spacing two positive numbers."""
    with opened(image(**attributes)) as part, pytest.raises(MetadataError, match=name):
        _ = part.instance.frame(1).plane


@pytest.mark.parametrize("recorded", [b"thin", b"nan ", b"1,5 "])
def test_a_thickness_that_is_no_number_is_unknown(recorded: bytes) -> None:
    """Nothing needs it, and it keeps no pixels from being loaded; nor does the number of a series."""
    whole = part10(image(SliceThickness="1.25", SpacingBetweenSlices="1.25", SeriesNumber="1234"))
    whole = whole.replace(b"1234", b"1.25")
    part = Part10.from_bytes(whole.replace(b"1.25", recorded), SETTINGS, source="made.dcm")
    plane = part.instance.frame(1).plane

    assert (plane.slice_thickness, plane.spacing_between_slices) == (None, None)
    assert part.instance.series_number is None


def test_functional_groups_place_each_frame() -> None:
    """Position per frame, orientation and spacing shared."""
    shared = item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]),
        PixelMeasuresSequence=Sequence(
            [item(PixelSpacing=["1", "2"], SliceThickness="3", SpacingBetweenSlices="4")]
        ),
    )
    frames = [
        item(PlanePositionSequence=Sequence([item(ImagePositionPatient=["0", "0", str(z)])])) for z in (5, 6)
    ]
    dataset = image(
        np.zeros((2, 2, 2), np.uint8), frames=2, SharedFunctionalGroupsSequence=Sequence([shared])
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    with opened(dataset) as part:
        planes = [part.instance.frame(number).plane for number in (1, 2)]

    assert planes[0].image_position_patient == (0.0, 0.0, 5.0)
    assert planes[1] == ImagePlane((1, 2), (0, 0, 6), (1, 0, 0, 0, 1, 0), 3, 4, None, position_decimals=0)


@pytest.mark.parametrize(
    ("offsets", "orientation", "expected"),
    [
        (["0", "2", "5"], [1, 0, 0, 0, 1, 0], (10, 20, 35)),
        (["0", "-2", "-5"], [1, 0, 0, 0, 1, 0], (10, 20, 25)),
        (["30", "32", "35"], [1, 0, 0, 0, 1, 0], (10, 20, 35)),
        (["0", "2", "5"], [0, 1, 0, 0, 0, -1], (5, 20, 30)),
    ],
)
def test_dose_planes_follow_the_offset_vector(
    offsets: list[str], orientation: list[int], expected: tuple[float, float, float]
) -> None:
    """Relative offsets go along the normal, absolute ones are z (DICOM PS3.3 C.8.8.3.2)."""
    dataset = image(
        np.zeros((3, 2, 2), np.uint32),
        frames=3,
        SOPClassUID=RTDoseStorage,
        ImagePositionPatient=[10, 20, 30],
        ImageOrientationPatient=orientation,
        GridFrameOffsetVector=offsets,
    )
    with opened(dataset) as part:
        assert part.instance.frame(1).image_position_patient == (10, 20, 30)
        assert part.instance.frame(3).image_position_patient == expected


def test_frames_that_do_not_exist_are_refused() -> None:
    """There is nothing to say about frame 2 of 1."""
    with opened(image()) as part, pytest.raises(InvalidIdError, match="no frame 2"):
        part.instance.frame(2)


class CountingElements(JsonElements):
    """Attributes of DICOM JSON that count how often a sequence was taken apart."""

    __slots__ = ("taken_apart",)

    def __init__(self, attributes: dict[str, Any]) -> None:
        super().__init__(attributes)
        self.taken_apart = 0

    def items(self, tag: Attribute) -> Items[JsonElements]:
        self.taken_apart += tag == tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE
        return super().items(tag)


def test_the_groups_of_all_frames_are_looked_up_once() -> None:
    """A thousand frames take a thousand times as long as one, not a million times."""
    dataset = image(np.zeros((4, 2, 2), np.uint8), frames=4)
    dataset.PerFrameFunctionalGroupsSequence = Sequence([item() for _ in range(4)])
    elements = CountingElements(as_json(dataset))
    instance = Instance(elements, "", settings=SETTINGS, dataset=lambda: dataset)
    planes = [instance.frame(number).plane for number in range(1, 5)]

    assert len(planes) == 4
    assert elements.taken_apart == 1


def as_json(dataset: pydicom.Dataset) -> dict[str, Any]:
    """Return the metadata that a server would send."""
    found: dict[str, Any] = json.loads(dataset.to_json(bulk_data_threshold=100000))
    found.pop("7FE00010", None)
    return found


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "rtdose.dcm"])
@pytest.mark.filterwarnings("ignore")
def test_json_and_datasets_describe_what_the_file_describes(name: str) -> None:
    """All modules are equal, wherever the attributes come from."""
    dataset = pydicom.dcmread(bundled(name))
    instances = [
        Instance.from_dataset(dataset, SETTINGS),
        Instance.from_json(as_json(dataset), SETTINGS),
    ]
    with Part10.open(bundled(name), SETTINGS) as part:
        expected = frame_modules(part.instance, 1)
        encoded = part.frames.read(1)
        pixels = load_frame(part.frames, 1).pixels
    for instance in instances:
        found = frame_modules(instance, 1)
        for kind in (ImagePixel, ModalityLut, Scaling, GeneralSeries, SopCommon, MultiFrame, PatientStudy):
            assert found.get(kind) == expected.get(kind)
        plane, expected_plane = found.get(ImagePlane), expected.get(ImagePlane)
        assert plane is not None
        assert expected_plane is not None
        assert plane.image_position_patient == expected_plane.image_position_patient
        assert np.array_equal(decode_frame(instance, 1, encoded).pixels, pixels)


def test_json_may_be_sloppy() -> None:
    """Nulls, numbers as text and missing values are read as what they mean."""
    attributes = {
        "00280010": {"vr": "US", "Value": ["4"]},
        "00280030": {"vr": "DS", "Value": [0.5, "0.7"]},
        "00080060": {"vr": "CS"},
        "00280008": {"vr": "IS", "Value": [None]},
        "00289132": {"vr": "SQ"},
    }
    instance = Instance.from_json(attributes, SETTINGS)

    assert instance.frame(1).pixel_spacing == (0.5, 0.7)
    assert (instance.modality, instance.number_of_frames) == ("", 1)


@pytest.mark.parametrize(
    "attributes",
    [
        {"00280030": 5},
        {"00280030": {"vr": "DS", "Value": 5}},
        {"00280030": {"vr": "DS", "Value": [{"x": 1}, True]}},
        {"00280030": {"vr": "DS", "Value": ["x", "y"]}},
        {"52009229": {"vr": "SQ", "Value": ["x"]}},
    ],
)
def test_damaged_json_is_a_metadata_error(attributes: dict[str, Any]) -> None:
    """A wrong JSON type anywhere is told, never a TypeError."""
    instance = Instance.from_json(attributes, SETTINGS)
    with pytest.raises(MetadataError):
        _ = instance.frame(1).pixel_spacing


def test_bulk_data_is_fetched_when_asked_for() -> None:
    """A look-up table behind a BulkDataURI comes through the given function, and only then."""
    asked: list[str] = []

    def fetch(uri: str) -> bytes:
        asked.append(uri)
        return b"\x05\x00\x06\x00"

    table = {
        "00283002": {"vr": "US", "Value": [2, 0, 16]},
        "00283006": {"vr": "OW", "BulkDataURI": "https://x/bulk"},
    }
    instance = Instance.from_json({"00283010": {"vr": "SQ", "Value": [table]}}, SETTINGS, fetch=fetch)
    frame = instance.frame(1)

    assert not asked
    assert frame.voi_lut.lut is not None
    assert frame.voi_lut.lut.tolist() == [5, 6]
    assert asked == ["https://x/bulk"]


def test_the_announced_array_is_the_one_that_comes() -> None:
    """`ImagePixel` tells shape, dtype and colours before anything is decoded, for either kind of values."""
    for name in ("CT_small.dcm", "examples_palette.dcm", "examples_ybr_color.dcm", "liver_1frame.dcm"):
        with Part10.open(bundled(name), SETTINGS) as part:
            for scaled in (True, False):
                announced = frame_modules(part.instance, 1, scaled=scaled).get(ImagePixel)
                found = load_frame(part.frames, 1, scaled=scaled)

                assert announced is not None
                assert (announced.rows, announced.columns) == found.pixels.shape[:2]
                assert announced.samples_per_pixel == (found.pixels.shape[2] if found.pixels.ndim == 3 else 1)
                assert announced.dtype == found.pixels.dtype
                assert announced.photometric_interpretation == found.photometric_interpretation
                assert announced.bits_stored == found.bits_stored


def test_modules_say_what_the_image_says() -> None:
    """Scaling, plane and windows of the modules are those of the image."""
    with Part10.open(bundled("CT_small.dcm"), SETTINGS) as part:
        modules = frame_modules(part.instance, 1)
        found = load_frame(part.frames, 1)

    assert modules.get(Scaling) == Scaling(found.slope, found.intercept, found.units)
    assert modules.get(ImagePlane) == found.plane
    assert modules.get(VoiLut) is found.voi_lut
    assert modules.get(TransferSyntax) == TransferSyntax("1.2.840.10008.1.2.1")
    assert modules.get(MultiFrame) == MultiFrame(1, 1)


def test_headers_outlive_the_bytes_without_keeping_the_pixels() -> None:
    """`image.header()` is the pydicom Dataset, from a copy of the head."""
    data = part10(image(np.zeros((500, 500), np.uint16), PatientName="A^B"))
    with Part10.from_bytes(data, SETTINGS) as part:
        found = load_frame(part.frames, 1)
        assert part.nbytes > len(data)

    assert found.header().PatientName == "A^B"
    assert "PixelData" not in found.header()


def test_parametric_maps_are_floats() -> None:
    """FloatPixelData and DoubleFloatPixelData come as they are."""
    for name, dtype in (("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)):
        values = np.linspace(0, 1, 12, dtype=dtype).reshape(3, 4)
        dataset = image(SOPClassUID=SecondaryCaptureImageStorage, BitsAllocated=values.itemsize * 8)
        del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
        setattr(dataset, name, values.tobytes())
        with opened(dataset) as part:
            found = load_frame(part.frames, 1)

        assert found.pixels.dtype == dtype
        assert np.array_equal(found.pixels, values)
        assert found.bits_stored is None


def test_the_encoding_of_a_remote_frame_may_differ_from_the_objects() -> None:
    """What a server sends is decoded by what the server says it is."""
    dataset = image()
    instance = Instance.from_json(as_json(dataset), SETTINGS)
    found = decode_frame(instance, 1, EncodedFrame(dataset.PixelData, "1.2.840.10008.1.2.1"))

    assert found.pixels.tolist() == np.arange(12).reshape(3, 4).tolist()
