from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone import Image, MetadataError, Session, UnsupportedError
from loadstone.metadata import ImagePixel, Scaling
from loadstone_wado.decode import load_frame
from loadstone_wado.modules import frame_modules
from plugins.wado.tests.builders import image, item, opened, part10

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4)


def mapping(first: float, last: float, *, units: str = "mm2/s", **attributes: Any) -> Dataset:
    """Return one mapping; the ends as whole numbers where they are."""
    code = item(CodeValue=units, CodingSchemeDesignator="UCUM", CodeMeaning="a unit")
    made = item(MeasurementUnitsCodeSequence=Sequence([code]), **attributes)
    if isinstance(first, int):
        made.RealWorldValueFirstValueMapped, made.RealWorldValueLastValueMapped = first, last
        for name in ("First", "Last"):
            made[f"RealWorldValue{name}ValueMapped"].VR = "SS" if first < 0 else "US"
    else:
        made.DoubleFloatRealWorldValueFirstValueMapped = first
        made.DoubleFloatRealWorldValueLastValueMapped = last
    return made


def line(first: float, last: float, slope: float, intercept: float, **attributes: Any) -> Dataset:
    return mapping(first, last, RealWorldValueSlope=slope, RealWorldValueIntercept=intercept, **attributes)


def table(first: int, entries: list[float], **attributes: Any) -> Dataset:
    return mapping(first, first + len(entries) - 1, RealWorldValueLUTData=entries, **attributes)


def loaded(pixels: npt.NDArray[Any], *mappings: Dataset, uid: str = "", **attributes: Any) -> Image:
    dataset = image(pixels, RealWorldValueMappingSequence=Sequence(mappings), **attributes)
    with opened(dataset, uid) as part:
        found = load_frame(part.frames, 1, values="rwv")
        modules = frame_modules(part.instance, 1, values="rwv")
    pixel, scaling = modules.get(ImagePixel), modules.get(Scaling)

    assert pixel is not None
    assert pixel.dtype == found.pixels.dtype
    assert scaling == Scaling(units=found.units)
    assert (found.slope, found.intercept) == (1, 0)
    return found


@given(
    slope=st.floats(1e-6, 1e6),
    intercept=st.floats(-1e6, 1e6),
    uid=st.sampled_from([ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
)
def test_lines_are_applied_to_stored_values(slope: float, intercept: float, uid: str) -> None:
    """Computed in float64 and rounded once; slope and intercept of the modality LUT do not enter."""
    found = loaded(RAMP, line(0, 4095, slope, intercept), uid=uid, RescaleSlope="7", RescaleIntercept="7")

    assert found.pixels.dtype == np.float32
    assert np.array_equal(found.pixels, (RAMP * slope + intercept).astype(np.float32))
    assert found.units == "mm2/s"
    assert found.voi_lut.windows == ()


def test_values_for_which_nothing_is_defined_are_nan() -> None:
    """Outside the range that a mapping names its formula says nothing."""
    found = loaded(RAMP.astype(np.int16) - 6, line(-2, 3, 2, 1))

    assert np.isnan(found.pixels).sum() == 12 - 6
    assert np.nanmin(found.pixels) == -3
    assert np.nanmax(found.pixels) == 7
    assert (found.min_value, found.max_value) == (-3, 7)


def test_tables_and_several_ranges_in_one_unit_are_put_together() -> None:
    """The first mapping tells the unit; those in another unit are alternatives, not parts."""
    found = loaded(RAMP, table(2, [10, 20, 40]), line(5, 6, 100, 0), line(0, 11, -1, 0, units="s"))

    assert np.array_equal(
        found.pixels.ravel(), [*[np.nan] * 2, 10, 20, 40, 500, 600, *[np.nan] * 5], equal_nan=True
    )


@pytest.mark.parametrize(
    ("code", "units"),
    [("[hnsf'U]", "HU"), ("{SUVbw}g/ml", "g/ml"), ("1", ""), ("{counts}", "counts"), ("ms", "ms")],
)
def test_units_are_named_as_everywhere(code: str, units: str) -> None:
    """What UCUM annotates, or names in its own way, is called as for modality values."""
    assert loaded(RAMP, line(0, 11, 1, 0, units=code)).units == units


def test_wide_and_float_values_keep_their_precision() -> None:
    """32 bits become float64; floats stay as wide as they are, and ends are compared as they are stored."""
    wide = loaded(RAMP.astype(np.uint32) + 2**31, line(0.0, 2.0**32, 1, 0))
    floats = image()
    del floats.PixelData, floats.BitsStored, floats.HighBit, floats.PixelRepresentation
    floats.BitsAllocated = 32
    floats.FloatPixelData = (RAMP / 10).astype("<f4").tobytes()
    floats.RealWorldValueMappingSequence = Sequence([line(0.0, 1.1, 10, 0), line(2.0, 1e308, 1, 0)])
    with opened(floats) as part:
        narrow = load_frame(part.frames, 1, values="rwv").pixels

    assert wide.pixels.dtype == np.float64
    assert np.array_equal(wide.pixels, RAMP + 2.0**31)
    assert narrow.dtype == np.float32
    assert np.allclose(narrow, RAMP, atol=1e-5)


def test_the_frame_wins_over_shared_over_the_object(tmp_path: Any) -> None:
    """Each frame has the mapping that its groups say, and its units; a volume puts them together."""

    def groups(slope: float) -> Dataset:
        return item(RealWorldValueMappingSequence=Sequence([line(0, 11, slope, 0)]))

    dataset = image(
        np.stack([RAMP] * 3),
        frames=3,
        RealWorldValueMappingSequence=Sequence([line(0, 11, 9, 0)]),
        SharedFunctionalGroupsSequence=Sequence([groups(2)]),
        PerFrameFunctionalGroupsSequence=Sequence([groups(3), item(), groups(4)]),
    )
    path = tmp_path / "mapped.dcm"
    path.write_bytes(part10(dataset))
    with Session() as session:
        found = [session.load_image(f"dicomfile:{path}?frame={n}", values="rwv") for n in (1, 2, 3)]

    assert [each.max_value for each in found] == [33, 22, 44]


@pytest.mark.parametrize(
    ("mappings", "reason"),
    [
        ([], "RealWorldValueMappingSequence is missing"),
        ([line(5, 2, 1, 0)], "goes from 5 down to 2"),
        ([line(0, 11, 0, 0)], "is 0"),
        ([mapping(0, 11)], "slope of a real-world value mapping is missing"),
        ([item(RealWorldValueSlope=1.0)], "for which stored values"),
        ([mapping(0, 11, RealWorldValueLUTData=[1.0, 2.0])], "has 2 entries for stored values 0 to 11"),
    ],
)
def test_missing_and_damaged_mappings_are_refused(mappings: list[Dataset], reason: str) -> None:
    """No value is made up: the message says why."""
    dataset = image(RAMP)
    if mappings:
        dataset.RealWorldValueMappingSequence = Sequence(mappings)
    with opened(dataset) as part, pytest.raises(MetadataError, match=reason):
        load_frame(part.frames, 1, values="rwv")


def test_colours_have_no_real_world_values() -> None:
    """They are refused as what they are."""
    with opened(image(np.zeros((2, 2, 3), np.uint8))) as part, pytest.raises(UnsupportedError):
        load_frame(part.frames, 1, values="rwv")
