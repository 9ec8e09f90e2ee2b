from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sequence import Sequence

import loadstone
from loadstone import MetadataError, Session, UnsupportedError
from loadstone.metadata import Scaling, VoiLut
from loadstone_wado.decode import load_frame
from loadstone_wado.instance import Instance
from loadstone_wado.modules import frame_modules
from plugins.wado.tests.builders import SETTINGS, image, item, opened, part10, shared_data

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DOSE, HALF_LIFE = 370e6, 6586.2
INJECTION = {
    "RadionuclideTotalDose": str(DOSE),
    "RadionuclideHalfLife": str(HALF_LIFE),
    "RadiopharmaceuticalStartTime": "080000",
}
MAN = {"PatientWeight": "75", "PatientSize": "1.85", "PatientSex": "M"}
WOMAN = {**MAN, "PatientSex": "F"}
PHILIPS = "Philips PET Private Group"


def pet(*, injection: dict[str, Any] | None = None, **attributes: Any) -> Dataset:
    """Return a PET image whose scan started an hour after the injection."""
    described = {
        "Modality": "PT",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN"],
        "SeriesDate": "20240229",
        "SeriesTime": "090000",
        "AcquisitionDate": "20240229",
        "AcquisitionTime": "091000",
        "RescaleSlope": "2",
        "RescaleIntercept": "0",
        "RadiopharmaceuticalInformationSequence": Sequence([item(**(INJECTION | (injection or {})))]),
        **MAN,
        **attributes,
    }
    return image(**{name: value for name, value in described.items() if value is not None})


def without(injection: str) -> Dataset:
    """Return a PET image that lacks an attribute of the injection."""
    made = pet()
    del made.RadiopharmaceuticalInformationSequence[0][injection]
    return made


def factor(dataset: Dataset, values: str = "suvbw") -> float:
    """Return what the modality values are multiplied by, wherever it is read from."""
    with opened(dataset) as part:
        scaling = frame_modules(part.instance, 1, values=values).get(Scaling)
        plain = part.instance.frame(1).scaling
        image = load_frame(part.frames, 1, values=values)
    described = Instance.from_json(dataset.to_json_dict(), SETTINGS)
    again = frame_modules(described, 1, values=values).get(Scaling)

    assert scaling is not None
    assert scaling == again == Scaling(image.slope, image.intercept, image.units)
    return scaling.slope / plain.slope


def left(seconds: float, dose: float = DOSE) -> float:
    return float(dose * 0.5 ** (seconds / HALF_LIFE))


def with_philips(dataset: Dataset, block: int = 0x10, **factors: str) -> Dataset:
    dataset.add_new(0x70530000 | block, "LO", PHILIPS)
    for name, element in (("suv", 0x00), ("activity", 0x09)):
        if name in factors:
            dataset.add_new(0x70530000 | block << 8 | element, "DS", factors[name])
    return dataset


def test_activity_is_related_to_what_was_left_at_the_start_and_to_the_body() -> None:
    """An hour after the injection: weight in g over the decayed dose."""
    assert factor(pet()) == pytest.approx(75_000 / left(3600))


@pytest.mark.parametrize(
    ("values", "body", "units", "size"),
    [
        ("suvbw", {}, "g/ml", 75_000),
        ("suvlbm", MAN, "g/ml", 62777.57487216947),
        ("suvlbm", WOMAN, "g/ml", 55925.67567567568),
        ("suvbsa", {}, "cm2/ml", 19813.758427117766),
    ],
)
def test_each_kind_has_its_size_of_the_body_and_its_units(
    values: str, body: dict[str, Any], units: str, size: float
) -> None:
    """The numbers are those of an independent implementation."""
    dataset = pet(DecayCorrection="ADMIN", **body)
    with opened(dataset) as part:
        found = load_frame(part.frames, 1, values=values).units

    assert factor(dataset, values) == pytest.approx(size / DOSE)
    assert found == units


@pytest.mark.parametrize(
    ("attributes", "injection", "seconds"),
    [
        ({}, {"RadiopharmaceuticalStartDateTime": "20240229083000.00"}, 1800),
        ({}, {"RadiopharmaceuticalStartDateTime": "20240229073000+0000"}, 5400),
        ({"TimezoneOffsetFromUTC": "+0100"},
         {"RadiopharmaceuticalStartDateTime": "20240229073000+0000"}, 1800),
        ({"SeriesDate": "20240301", "SeriesTime": "003000", "AcquisitionDate": "20240301",
          "AcquisitionTime": "003500"}, {"RadiopharmaceuticalStartTime": "233000"}, 3600),
        ({"SeriesDate": "20240229", "SeriesTime": "233000", "AcquisitionDate": "20240301",
          "AcquisitionTime": "001000"}, {"RadiopharmaceuticalStartTime": "223000"}, 3600),
        ({"SeriesTime": "120000", "FrameReferenceTime": "600000", "ActualFrameDuration": "1"}, {}, 3600),
        ({"SeriesTime": "120000", "AcquisitionDateTime": "20240229092000", "FrameReferenceTime": "600000",
          "ActualFrameDuration": "1"}, {}, 4200),
        ({"DecayCorrection": "ADMIN"}, {}, 0),
        ({"DecayCorrection": "NONE", "CorrectedImage": ["ATTN"], "ActualFrameDuration": "2000"}, {}, 4201),
        ({"DecayCorrection": None, "DecayCorrected": "YES", "CorrectedImage": None,
          "AttenuationCorrected": "YES", "DecayCorrectionDateTime": "20240229084000"}, {}, 2400),
    ],
)  # fmt: skip
def test_the_dose_is_that_of_the_time_for_which_the_values_hold(
    attributes: dict[str, Any], injection: dict[str, Any], seconds: float
) -> None:
    """Start of the scan, injection, or measurement; over midnight; in zones; recorded in several ways."""
    found = factor(pet(injection=injection, **attributes))

    assert found == pytest.approx(75_000 / left(seconds), rel=1e-6)


def test_ge_says_when_the_scan_began_after_the_series_was_written_anew() -> None:
    """Its private time of the scan is used where SeriesTime is that of a later processing."""
    dataset = pet(SeriesTime="150000")
    block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", "20240229085000.00")

    assert factor(dataset) == pytest.approx(75_000 / left(3000))


@pytest.mark.parametrize("block", [0x10, 0x42])
def test_counts_are_what_the_factors_of_philips_say(block: int) -> None:
    """Straight to SUV where that is recorded, else through activity; other sizes of the body follow."""
    straight = with_philips(pet(Units="CNTS"), block, suv="0.000551", activity="9")
    through = with_philips(pet(Units="CNTS", DecayCorrection="ADMIN"), block, suv="0", activity="1.602563")

    assert factor(straight) == 0.000551
    assert factor(straight, "suvbsa") == pytest.approx(0.000551 / 75_000 * 19813.758427117766)
    assert factor(through) == pytest.approx(1.602563 * 75_000 / DOSE)


@pytest.mark.parametrize(
    ("attributes", "values", "expected"),
    [
        ({"Units": "GML"}, "suvbw", 1),
        ({"Units": "GML", "SUVType": "LBM"}, "suvlbm", 1),
        ({"Units": "CM2ML"}, "suvbsa", 1),
        ({"Units": "GML", "PatientWeight": None}, "suvbw", 1),
        ({"Units": "GML"}, "suvbsa", 19813.758427117766 / 75_000),
        ({"Units": "GML", "SUVType": "LBMJANMA"}, "suvbw", 75_000 / 60915.335886519744),
        ({"Units": "CM2ML", "SUVType": "BSA"}, "suvbw", 75_000 / 19813.758427117766),
    ],
)
def test_values_that_are_suv_already_are_only_renormalized(
    attributes: dict[str, Any], values: str, expected: float
) -> None:
    """One type of SUV becomes another by the sizes of the body; the same one stays."""
    assert factor(pet(**attributes), values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dataset", "values", "reason"),
    [
        (pet(PatientWeight=None), "suvbw", "PatientWeight is missing"),
        (pet(PatientWeight="0"), "suvbw", "PatientWeight is 0"),
        (pet(PatientSize=None), "suvbsa", "PatientSize is missing"),
        (pet(PatientSize="185"), "suvbsa", "PatientSize is 185 m"),
        (pet(PatientSex="O"), "suvlbm", "PatientSex is O"),
        (pet(PatientWeight="400", PatientSize="1.2"), "suvlbm", "does not hold"),
        (pet(CorrectedImage=["DECY"]), "suvbw", "attenuation was not corrected"),
        (pet(CorrectedImage=["ATTN"]), "suvbw", "contradicts itself about decay"),
        (pet(DecayCorrection="NONE"), "suvbw", "contradicts itself about decay"),
        (pet(DecayCorrection=None), "suvbw", "DecayCorrection is missing"),
        (without("RadionuclideTotalDose"), "suvbw", "RadionuclideTotalDose is missing"),
        (without("RadionuclideHalfLife"), "suvbw", "RadionuclideHalfLife is missing"),
        (without("RadiopharmaceuticalStartTime"), "suvbw", "RadiopharmaceuticalStartDateTime and"),
        (pet(injection={"RadionuclideTotalDose": "370"}), "suvbw", "recorded in MBq"),
        (pet(injection={"RadionuclideHalfLife": "282240"}), "suvbw", "the half-life is 78 h"),
        (pet(injection={"RadiopharmaceuticalStartDateTime": "20240229091500"}), "suvbw", "900 s after"),
        (pet(injection={"RadiopharmaceuticalStartDateTime": "20230101080000"}), "suvbw", "half-lives before"),
        (pet(RadiopharmaceuticalInformationSequence=None), "suvbw", "0 items in place of 1"),
        (pet(AcquisitionTime=None), "suvbw", "AcquisitionTime is missing"),
        (pet(SeriesTime="120000"), "suvbw", "the start of the scan is not known"),
        (pet(Units="CNTS"), "suvbw", "no factors of Philips"),
        (pet(Units="PROPCNTS"), "suvbw", "PROPCNTS"),
        (pet(Units=None), "suvbw", r"units \(missing\)"),
        (pet(Units="GML", SUVType="IBW"), "suvbsa", "SUVType is IBW"),
    ],
)
def test_what_the_object_does_not_allow_is_refused_with_the_reason(
    dataset: Dataset, values: str, reason: str
) -> None:
    """No value is made up: the message says what is missing or wrong, and its own units still load."""
    with opened(dataset) as part:
        with pytest.raises(MetadataError, match=reason):
            load_frame(part.frames, 1, values=values)

        assert load_frame(part.frames, 1).slope == 2


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (image(), "is for PET, this is CT"),
        (pet(pixels=np.zeros((2, 2, 3), np.uint8)), "not for colours"),
    ],
)
def test_what_has_no_uptake_is_unsupported(dataset: Dataset, reason: str) -> None:
    """Other modalities and colours have no SUV."""
    with opened(dataset) as part, pytest.raises(UnsupportedError, match=reason):
        load_frame(part.frames, 1, values="suvbw")


@pytest.mark.parametrize("known", [True, False])
def test_private_factors_may_be_bytes_to_those_who_handed_them_on(known: bool) -> None:
    """Servers and archives that do not know an attribute keep it as UN."""
    dataset = with_philips(pet(Units="CNTS"))
    dataset.add_new(0x70531000, "DS" if known else "UN", "0.0005" if known else b"0.0005")

    assert factor(dataset) == 0.0005


def test_private_factors_that_are_no_numbers_are_refused() -> None:
    """A damaged factor is an error, not a missing one."""
    dataset = with_philips(pet(Units="CNTS"))
    dataset.add_new(0x70531000, "LO", "much")
    with opened(dataset) as part, pytest.raises(MetadataError, match="is no number"):
        load_frame(part.frames, 1, values="suvbw")


@given(
    center=st.floats(1, 5000),
    width=st.floats(1.01, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_windows_show_suv_as_they_show_activity(center: float, width: float, function: str) -> None:
    """The same stored values get the same shades."""
    pixels = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)
    dataset = pet(
        pixels=pixels, WindowCenter=f"{center:.6f}", WindowWidth=f"{width:.6f}", VOILUTFunction=function
    )
    with opened(dataset) as part:
        shown = []
        for values in (None, "suvbw"):
            found = load_frame(part.frames, 1, values=values)
            line = found.pixels * found.slope + found.intercept
            shown.append(_shaded(line, found.voi_lut))

    assert np.allclose(shown[0], shown[1], atol=1e-6)


def _shaded(values: Any, voi_lut: VoiLut) -> Any:
    """Apply the first window without rounding (DICOM PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    window = voi_lut.windows[0]
    center, width = window.center, window.width
    if window.function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500)))
    if window.function == "LINEAR":
        center, width = center - 0.5, width - 1
    return np.clip((values - center) / width + 0.5, 0, 1)


def test_suv_belong_to_the_key_of_a_load(tmp_path: Any) -> None:
    """Both kinds of values are cached side by side; a volume has the same values as its images."""
    path = tmp_path / "pet.dcm"
    path.write_bytes(part10(pet(ImagePositionPatient=[0, 0, 0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])))
    with Session() as session:
        activity = session.load_image(f"dicomfile:{path}")
        uptake = session.load_image(f"dicomfile:{path}", values="suvbw")
        again = session.load_image(f"dicomfile:{path}")
        volume = session.load_volume(f"dicomfile:{path}", values="suvbw")

    assert (activity.units, uptake.units, volume.units) == ("Bq/ml", "g/ml", "g/ml")
    assert again.pixels is activity.pixels
    assert np.allclose(uptake.pixels, activity.pixels * (75_000 / left(3600)))
    assert np.array_equal(volume.array[0], uptake.pixels)
    assert uptake.pixels.dtype == np.float32


def test_unknown_kinds_of_values_are_refused_with_the_known_ones(tmp_path: Any) -> None:
    """A misspelt kind gives no other pixels."""
    path = tmp_path / "pet.dcm"
    path.write_bytes(part10(pet()))

    with pytest.raises(UnsupportedError, match="rwv, suvbsa, suvbw, suvlbm"):
        loadstone.load_image(f"dicomfile:{path}", values="suv")


def test_factors_of_real_series_are_those_of_an_independent_implementation() -> None:
    """GE, Philips, Siemens."""
    folder = shared_data()
    with (folder / "dicomweb" / "suv" / "suv_expected.csv").open(encoding="utf-8", newline="") as file:
        expected = {row["input"]: float(row["suvbw_factor"]) for row in csv.DictReader(file)}

    assert len(expected) == 4
    for name, value in expected.items():
        for recorded in json.loads((folder / name).read_text()):
            assert factor(_from_recorded(recorded)) == pytest.approx(value, rel=1e-6), name


def _from_recorded(recorded: dict[str, Any]) -> Dataset:
    philips = recorded.pop("PhilipsPETPrivateGroup")
    names = ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime",
             "RadiopharmaceuticalStartDateTime")  # fmt: skip
    injection = {name: recorded.pop(name) for name in names if name in recorded}
    texts = {name: f"{value:.15g}" if isinstance(value, float) else value for name, value in recorded.items()}
    dataset = pet(injection=injection, **texts)
    return with_philips(dataset, suv=philips["SUVScaleFactor"]) if philips else dataset


def test_a_real_pet_loads_as_suv() -> None:
    """Values of a whole body are what a body has: air near 0, organs some g/ml."""
    folder = shared_data() / "dicom" / "series" / "pet_ct_rsna2"
    path = next(each for each in sorted(folder.iterdir()) if "0004" in each.name)
    found = loadstone.load_image(f"dicomfile:{path}", values="suvbw")

    assert found.units == "g/ml"
    assert found.pixels.min() >= 0
    assert 0.5 < found.pixels.max() < 100
    assert math.isfinite(float(found.pixels.sum()))
