from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTDoseStorage

from loadstone import MetadataError
from loadstone.metadata import Scaling
from loadstone_wado.decode import load_frame
from plugins.wado.tests.builders import image, item, opened


def scaling_of(number: int = 1, **attributes: Any) -> Scaling:
    frames = attributes.pop("frames", None)
    pixels = np.zeros((frames, 2, 2), np.uint16) if frames else np.zeros((2, 2), np.uint16)
    with opened(image(pixels, frames=frames, **attributes)) as part:
        return part.instance.frame(number).scaling


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, Scaling()),
        ({"RescaleSlope": "2", "RescaleIntercept": "-1024"}, Scaling(2, -1024, "HU")),
        ({"RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU"}, Scaling(1, -1024, "HU")),
        ({"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}, Scaling()),
        ({"Modality": "MR", "RescaleSlope": "1.5", "RescaleIntercept": "0"}, Scaling(1.5, 0)),
        (
            {"Modality": "MR", "RescaleSlope": "3", "RescaleIntercept": "0", "RescaleType": "normalized"},
            Scaling(3),
        ),
        ({"Modality": "PT", "RescaleSlope": "0.5", "Units": "BQML"}, Scaling(0.5, 0, "Bq/ml")),
        ({"Modality": "PT", "Units": "CNTS"}, Scaling(units="counts")),
        ({"Modality": "PT", "RescaleSlope": "2", "RescaleType": "BQML"}, Scaling(2, 0, "Bq/ml")),
        ({"Modality": "PT", "RescaleSlope": "2", "RescaleType": "HU", "Units": "PCNT"}, Scaling(2, 0, "%")),
        (
            {"SOPClassUID": RTDoseStorage, "DoseGridScaling": "1e-6", "DoseUnits": "GY"},
            Scaling(1e-6, 0, "Gy"),
        ),
        (
            {"DoseGridScaling": "0.5", "DoseUnits": "RELATIVE", "RescaleSlope": "9"},
            Scaling(0.5, 0, "relative"),
        ),
    ],
)
def test_slope_intercept_and_units_are_as_recorded(attributes: dict[str, Any], expected: Scaling) -> None:
    """Each modality says its units in its own way."""
    assert scaling_of(**attributes) == expected


def test_a_slope_of_zero_is_refused_but_stored_values_load() -> None:
    """Modality values that are all the same are no values; what is stored can be had."""
    with opened(image(RescaleSlope="0", RescaleIntercept="5")) as part:
        assert load_frame(part.frames, 1, scaled=False).pixels.max() == 11
        with pytest.raises(MetadataError, match="scaled=False"):
            load_frame(part.frames, 1)


def test_the_frame_wins_over_shared_over_the_object() -> None:
    """Functional groups are looked up from the inside out (DICOM PS3.3 C.7.6.16)."""

    def groups(slope: str) -> Any:
        values = item(RescaleSlope=slope, RescaleIntercept="1", RescaleType="US")
        return item(PixelValueTransformationSequence=Sequence([values]))

    attributes = {
        "frames": 3,
        "RescaleSlope": "9",
        "RescaleIntercept": "9",
        "SharedFunctionalGroupsSequence": Sequence([groups("2")]),
        "PerFrameFunctionalGroupsSequence": Sequence([groups("3"), item(), groups("4")]),
    }

    assert [scaling_of(number, **attributes).slope for number in (1, 2, 3)] == [3, 2, 4]


@given(
    bits=st.sampled_from([8, 10, 16]),
    first=st.integers(-3, 40),
    entries=st.sampled_from([4, 100, 256]),
    implicit=st.booleans(),
)
def test_modality_tables_are_applied_as_by_pydicom(
    bits: int, first: int, entries: int, *, implicit: bool
) -> None:
    """Values beyond the ends get the end's entry; then there is nothing to scale."""
    lowest = -60 if first < 0 else 0
    pixels = np.arange(lowest, 200, dtype=np.int16 if first < 0 else np.uint16).reshape(2, -1)
    dataset = image(pixels, RescaleSlope="7", RescaleIntercept="7")
    table = np.random.default_rng(1).integers(0, 2**bits, entries).tolist()
    lut = item(LUTDescriptor=[entries, first, bits], ModalityLUTType="US", LUTData=table)
    lut["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    lut["LUTData"].VR = "US"
    dataset.ModalityLUTSequence = Sequence([lut])
    expected = apply_modality_lut(pixels, dataset) if bits != 10 else None
    with opened(dataset, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian) as part:
        found = load_frame(part.frames, 1)
        raw = load_frame(part.frames, 1, scaled=False)

    assert (found.slope, found.intercept) == (1, 0)
    assert found.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert expected is None or np.array_equal(found.pixels, expected)
    assert np.array_equal(raw.pixels, pixels)


@pytest.mark.parametrize("kind", ["12.1", "12.1.1", "12.2", "12.2.1"])
def test_the_modality_table_of_projections_is_not_applied(kind: str) -> None:
    """In XA and XRF it leads to X-ray intensities, not to values (DICOM PS3.3 C.8.7.1.1.2)."""
    lut = item(LUTDescriptor=[2, 0, 8], ModalityLUTType="US", LUTData=[5, 6])
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    sop_class = f"1.2.840.10008.5.1.4.1.1.{kind}"
    with opened(image(SOPClassUID=sop_class, ModalityLUTSequence=Sequence([lut]))) as part:
        assert load_frame(part.frames, 1).pixels.max() == 11


def test_a_negative_first_value_may_be_written_as_unsigned() -> None:
    """Where stored or modality values may be negative, 65526 is -10 (implicit VR does not tell)."""
    lut = item(LUTDescriptor=[4, 65526, 16], LUTData=[5, 6, 7, 8])
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    stored = np.array([[-11, -10, -9], [-8, -7, 0]], np.int16)
    tabled = image(stored, ModalityLUTSequence=Sequence([lut]))
    shown = image(VOILUTSequence=Sequence([lut]), RescaleSlope="1", RescaleIntercept="-1024")
    positive = image(VOILUTSequence=Sequence([lut]), RescaleSlope="1", RescaleIntercept="0")
    with opened(tabled) as one, opened(shown) as two, opened(positive) as three:
        assert load_frame(one.frames, 1).pixels.tolist() == [[5, 5, 6], [7, 8, 8]]
        assert two.instance.frame(1).voi_lut.lut_first == -10
        assert three.instance.frame(1).voi_lut.lut_first == 65526


@pytest.mark.parametrize("descriptor", [[4, 0, 16], [4, 0, 17], [4, 0]])
def test_damaged_modality_tables_are_refused(descriptor: list[int]) -> None:
    """Too few entries, too many bits, a short descriptor: a metadata error."""
    lut = item(LUTDescriptor=descriptor, LUTData=[5, 6])
    lut["LUTDescriptor"].VR = lut["LUTData"].VR = "US"
    with (
        opened(image(ModalityLUTSequence=Sequence([lut]))) as part,
        pytest.raises(MetadataError, match="LUT"),
    ):
        load_frame(part.frames, 1)


def test_windows_have_their_names_and_function() -> None:
    """All windows come, in order; one that no width makes sense of does not."""
    attributes: dict[str, Any] = {
        "WindowCenter": ["40", "-600", "7"],
        "WindowWidth": ["400", "1500", "0"],
        "WindowCenterWidthExplanation": ["soft", "lung", "none"],
        "VOILUTFunction": "SIGMOID",
    }
    with opened(image(**attributes)) as part:
        windows = part.instance.frame(1).voi_lut.windows

    assert [(each.center, each.width, each.explanation, each.function) for each in windows] == [
        (40, 400, "soft", "SIGMOID"),
        (-600, 1500, "lung", "SIGMOID"),
    ]


@pytest.mark.filterwarnings("ignore")
def test_damaged_windows_do_not_keep_pixels_from_loading() -> None:
    """How an image looks is not what it is."""
    data = image(WindowCenter="40", WindowWidth="400")
    data["WindowCenter"]._value = "abc"
    with opened(data) as part:
        assert load_frame(part.frames, 1).voi_lut.windows == ()


def test_windows_of_a_frame_win() -> None:
    """Frame VOI LUT sequences are per frame."""
    groups = [
        item(FrameVOILUTSequence=Sequence([item(WindowCenter=str(center), WindowWidth="10")]))
        for center in (1, 2)
    ]
    dataset = image(np.zeros((2, 2, 2), np.uint8), frames=2, WindowCenter="9", WindowWidth="9")
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    with opened(dataset) as part:
        assert [part.instance.frame(number).voi_lut.windows[0].center for number in (1, 2)] == [1, 2]


@pytest.mark.parametrize("kind", ["US", "OW"])
def test_the_voi_table_comes_as_numbers(kind: str) -> None:
    """The first VOI LUT is decoded, from words or from numbers."""
    table = [0, 500, 65535, 7]
    lut = item(LUTDescriptor=[4, -1000, 16], LUTExplanation="x")
    lut["LUTDescriptor"].VR = "SS"
    lut.LUTData = np.array(table, "<u2").tobytes() if kind == "OW" else table
    lut["LUTData"].VR = kind
    with opened(image(VOILUTSequence=Sequence([lut]))) as part:
        found = part.instance.frame(1).voi_lut

    assert found.lut is not None
    assert found.lut.tolist() == table
    assert (found.lut_first, found.lut_bits) == (-1000, 16)
    assert not found.lut.flags.writeable


def test_equal_attributes_share_their_description() -> None:
    """Images of a series share what is equal, and only that."""
    with (
        opened(image(WindowCenter="40", WindowWidth="400")) as one,
        opened(image(WindowCenter="40", WindowWidth="400", InstanceNumber=2)) as two,
        opened(image(WindowCenter="50", WindowWidth="400")) as three,
    ):
        found = [part.instance.frame(1).voi_lut for part in (one, two, three)]
        layouts = [part.instance.layout for part in (one, two, three)]

    assert found[0] is found[1]
    assert found[2].windows[0].center == 50
    assert layouts[0] is layouts[2]


@pytest.mark.parametrize(
    ("shape", "photometric", "bright"),
    [
        ("INVERSE", "MONOCHROME2", 0),
        ("INVERSE", "MONOCHROME1", 0),
        ("IDENTITY", "MONOCHROME1", 0),
        ("IDENTITY", "MONOCHROME2", 11),
    ],
)
def test_low_values_are_shown_bright_once(shape: str, photometric: str, bright: int) -> None:
    """MONOCHROME1 and PresentationLUTShape INVERSE, which digital radiography has together, say the same."""
    with opened(image(PresentationLUTShape=shape, PhotometricInterpretation=photometric)) as part:
        found = load_frame(part.frames, 1)

    assert found.display(window=(6, 12)).ravel()[bright] == 255


@pytest.mark.parametrize(
    ("attributes", "windows", "said"),
    [
        ({"WindowWidth": "0"}, [], "its width is 0"),
        ({"WindowWidth": "0.5"}, [], "its width is 0.5, for LINEAR"),
        ({"WindowWidth": "-400"}, [], "its width is -400"),
        ({"WindowWidth": "0.5", "VOILUTFunction": "LINEAR_EXACT"}, [0.5], ""),
        ({"WindowCenter": ["1", "2"], "WindowWidth": ["0", "9"]}, [9], "its width is 0"),
        ({"WindowWidth": "9", "VOILUTFunction": "CUBIC"}, [9], "CUBIC"),
    ],
)
def test_impossible_windows_are_ignored_with_a_warning(
    attributes: dict[str, Any], windows: list[float], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which; the others stay, and the pixels load."""
    # Equal attributes are described once: no other test may have these.
    with opened(image(**{"WindowCenter": "40.125", **attributes})) as part:
        found = load_frame(part.frames, 1).voi_lut.windows

    assert [each.width for each in found] == windows
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


@pytest.mark.parametrize(
    ("value", "limit", "signed", "expected"),
    [(0, None, False, (0, 0)), (-2000, None, True, (-2000, -2000)), (100, 90, False, (90, 100))],
)
def test_padding_is_a_range_of_stored_values(
    value: int, limit: int | None, signed: bool, expected: tuple[int, int]
) -> None:
    """One value, or the range up to the limit, in the representation of the pixels."""
    dataset = image(np.zeros((2, 2), np.int16 if signed else np.uint16))
    dataset.add_new("PixelPaddingValue", "SS" if signed else "US", value)
    if limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", "US", limit)
    with opened(dataset) as part:
        assert load_frame(part.frames, 1).pixel_padding == expected


@pytest.mark.parametrize(("kind", "name"), [("f4", "Float"), ("f8", "DoubleFloat")])
def test_padding_of_floats_has_attributes_of_its_own(kind: str, name: str) -> None:
    """Its range is left out of the extremes; the padding of integers has no say (DICOM PS3.3 C.7.6.24)."""
    pixels = np.array([[-2000, -1500], [1, 2]], f"<{kind}")
    dataset = image(PixelPaddingValue=2, Rows=2, Columns=2, BitsAllocated=8 * pixels.itemsize)
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset["PixelPaddingValue"].VR = "US"
    setattr(dataset, f"{name}PixelData", pixels.tobytes())
    setattr(dataset, f"{name}PixelPaddingValue", -1000.0)
    setattr(dataset, f"{name}PixelPaddingRangeLimit", -3000.0)
    with opened(dataset) as part:
        found = load_frame(part.frames, 1)

    assert found.pixel_padding == (-3000.0, -1000.0)
    assert (found.min_value, found.max_value) == (1, 2)


def test_padding_in_the_wrong_representation_is_read_as_the_pixels_are() -> None:
    """63536 in a signed image is -2000."""
    dataset = image(np.zeros((2, 2), np.int16))
    dataset.add_new("PixelPaddingValue", "US", 63536)
    with opened(dataset) as part:
        assert load_frame(part.frames, 1).pixel_padding == (-2000, -2000)
