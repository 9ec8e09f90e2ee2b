"""
Series that are not as they should be: what ours says of them, and what others make of them without a word.

16 x 16 pixels of 0.5 x 2.0 mm, slices 3 mm apart, as in no real scanner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import highdicom
import numpy as np
import pydicom
import pytest

import loadstone
from loadstone import GeometryPolicy
from tests.builders import ct_slice, decimals, part10
from tests.second_opinions.peers import affine_of, simpleitk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

AXIAL = np.eye(3)[:2]
SAGITTAL = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])
CORONAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
OBLIQUE = np.array([[0.8, 0.6, 0.0], [-0.36, 0.48, 0.8]])
STEP = 3.0
EIGHT = np.arange(8.0)


@dataclass(frozen=True)
class Case:
    """A series, and what is to be said of it."""

    along: npt.NDArray[np.float64] = field(default_factory=lambda: EIGHT)
    """Where the slices lie along their normal, in steps."""
    orientation: npt.NDArray[np.float64] = field(default_factory=lambda: AXIAL)
    """Unit vectors along a row and along a column."""
    tilt: float = 0.0
    """Degrees between the normal and the way from slice to slice."""
    numbers: npt.NDArray[np.intp] | None = None
    """InstanceNumber of each slice; None: as they lie."""
    jitter: float = 0.0
    """By how much positions tremble, mm."""
    attributes: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What single slices have otherwise."""
    kinds: frozenset[str] = frozenset({"regular"})
    """What ours must find."""
    others_step: float = STEP
    """The distance of slices that SimpleITK reads, without an error."""

    def write(self, folder: Path) -> list[Path]:
        """Write the series; return the files in the order of their positions."""
        normal = np.cross(*self.orientation)
        way = normal + np.tan(np.radians(self.tilt)) * self.orientation[1]
        noise = np.random.default_rng(1).uniform(-self.jitter, self.jitter, (len(self.along), 3))
        files = []
        for index, along in enumerate(self.along):
            position = np.array([-64.0, -60.5, 10.25]) + STEP * along * way + noise[index]
            number = index + 1 if self.numbers is None else int(self.numbers[index])
            known: dict[str, Any] = {
                "PixelSpacing": [0.5, 2.0],
                "ImageOrientationPatient": decimals(self.orientation.ravel()),
                "ImagePositionPatient": decimals(position),
                "InstanceNumber": number,
                "SliceThickness": STEP,
            }
            dataset = ct_slice(
                np.full((16, 16), 10 * index, np.uint16), **(known | self.attributes.get(index, {}))
            )
            files.append(folder / f"{index:02}.dcm")
            files[-1].write_bytes(part10(dataset))
        return files


CASES = {
    "axial": Case(),
    "sagittal": Case(orientation=SAGITTAL),
    "coronal": Case(orientation=CORONAL),
    "oblique": Case(orientation=OBLIQUE),
    "numbers the other way round": Case(numbers=np.arange(8, 0, -1)),
    "numbers at random": Case(orientation=SAGITTAL, numbers=np.array([3, 8, 1, 6, 2, 7, 4, 5])),
    "jitter of 1 µm": Case(jitter=1e-3),
    "a rescale slope for each slice": Case(attributes={k: {"RescaleSlope": 1 + k / 4} for k in range(8)}),
    "one slice missing": Case(along=np.delete(EIGHT, 4), kinds=frozenset({"gap"}), others_step=3.5),
    "one slice twice": Case(
        along=np.insert(EIGHT, 4, 4.0), kinds=frozenset({"duplicate", "regular"}), others_step=2.625
    ),
    "gantry tilt": Case(tilt=15.0, kinds=frozenset({"tilt"}), others_step=3.10583),
    "tilt and a gap": Case(
        along=np.delete(EIGHT, 4), tilt=15.0, kinds=frozenset({"tilt", "gap"}), others_step=3.62347
    ),
    "irregular": Case(
        along=np.array([0, 1, 2.4, 3, 4.1, 5.3, 6]), kinds=frozenset({"irregular"}), others_step=3.0
    ),
    "one slice from elsewhere": Case(
        attributes={7: {"ImageOrientationPatient": decimals(CORONAL.ravel())}}, kinds=frozenset({"regular"})
    ),
    "two time points": Case(
        along=np.tile(np.arange(4.0), 2),
        attributes={k: {"TemporalPositionIdentifier": 1 + k // 4} for k in range(8)},
        others_step=1.28571,
    ),
}
REFUSED = {"one slice missing", "one slice twice", "tilt and a gap", "irregular"}
WHAT_HIGHDICOM_REFUSES = REFUSED | {"gantry tilt", "one slice from elsewhere", "two time points"}


def by_simpleitk(files: list[Path]) -> Any:
    """Read files in the order that SimpleITK's users get, by position."""
    names = simpleitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(files[0].parent))
    simpleitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return simpleitk.ReadImage(names)
    finally:
        simpleitk.ProcessObject.SetGlobalWarningDisplay(True)


@pytest.mark.parametrize("name", CASES)
def test_ours_says_what_it_is(name: str, tmp_path: Path) -> None:
    """The findings are those of the case; what is no regular volume is refused, with the same findings."""
    case = CASES[name]
    case.write(tmp_path)

    if name in REFUSED:
        with pytest.raises(loadstone.GeometryError) as caught:
            loadstone.load_volume(tmp_path)
        assert caught.value.report is not None
        assert caught.value.report.kinds == case.kinds
        return
    volumes = loadstone.load_volumes(tmp_path)
    assert volumes[0].geometry.kinds == case.kinds
    assert {len(volume.image_ids) for volume in volumes} == ({7, 1} if "elsewhere" in name else {8})


@pytest.mark.parametrize("name", CASES)
def test_simpleitk_says_nothing(name: str, tmp_path: Path) -> None:
    """SimpleITK reads every one of them, with the step that the table says, right or wrong."""
    case = CASES[name]

    read = by_simpleitk(case.write(tmp_path))

    assert read.GetSpacing()[2] == pytest.approx(case.others_step, abs=1e-3)
    assert read.GetSize()[2] == len(case.along)


@pytest.mark.parametrize("name", CASES)
def test_highdicom_agrees_or_refuses(name: str, tmp_path: Path) -> None:
    """What highdicom takes for a regular volume ours has at the same place, and nothing else."""
    files = CASES[name].write(tmp_path)
    datasets = [pydicom.dcmread(file) for file in files]

    if name in WHAT_HIGHDICOM_REFUSES:
        with pytest.raises((ValueError, RuntimeError)):
            highdicom.get_volume_from_series(datasets)
        return
    peer = highdicom.get_volume_from_series(datasets)
    volume = loadstone.load_volume(tmp_path)
    corners = np.array([[0, 0, 0, 1], [15, 0, 0, 1], [0, 15, 0, 1], [0, 0, 7, 1], [15, 15, 7, 1]], float)
    # Its first index is the slice, and it may go the other way.
    flipped = corners * (1, 1, -1, 1) + (0, 0, 7, 0)
    theirs = {tuple(np.round(peer.affine @ each[[2, 1, 0, 3]], 2)[:3]) for each in corners}
    ways = [
        {tuple(np.round(volume.affine() @ each, 2)[:3]) for each in order} for order in (corners, flipped)
    ]

    assert theirs in ways


def test_a_tilted_series_has_an_exact_affine(tmp_path: Path) -> None:
    """Every slice lies where its header says, where SimpleITK is 6 mm off at the end."""
    files = CASES["gantry tilt"].write(tmp_path)

    volume, read = loadstone.load_volume(tmp_path), by_simpleitk(files)
    positions = [np.array(pydicom.dcmread(file).ImagePositionPatient, float) for file in files]
    ours = [volume.affine() @ (0, 0, k, 1) for k in range(8)]
    theirs = [affine_of(read) @ (0, 0, k, 1) for k in range(8)]

    np.testing.assert_allclose(np.array(ours)[:, :3], positions, atol=1e-6)
    assert np.linalg.norm(np.array(theirs)[-1, :3] - positions[-1]) > 5


def test_two_time_points_are_two_volumes_of_one(tmp_path: Path) -> None:
    """Ours has two times four slices of 3 mm, with the values of the attribute."""
    CASES["two time points"].write(tmp_path)

    volume = loadstone.load_volume(tmp_path)

    assert volume.shape == (2, 4, 16, 16)
    assert volume.spacing == pytest.approx((2.0, 0.5, 3.0))
    assert volume.coordinates["t"].values == (1.0, 2.0)


def test_each_slice_has_its_own_slope(tmp_path: Path) -> None:
    """Values are scaled slice by slice, exactly; SimpleITK cuts the fractions off."""
    files = CASES["a rescale slope for each slice"].write(tmp_path)

    volume = loadstone.load_volume(tmp_path)

    k = np.arange(8)
    assert volume.array[:, 0, 0].tolist() == (10 * k * (1 + k / 4) - 1024).tolist()
    np.testing.assert_array_equal(np.trunc(volume.array), simpleitk.GetArrayFromImage(by_simpleitk(files)))


@pytest.mark.parametrize(
    ("attributes", "extent", "source"),
    [
        ({"SpacingBetweenSlices": 4}, 4.0, "spacing_between_slices"),
        ({}, STEP, "slice_thickness"),
        ({"SliceThickness": None}, None, None),
    ],
)
def test_one_slice_says_where_its_extent_is_from(
    tmp_path: Path, attributes: dict[str, Any], extent: float | None, source: str | None
) -> None:
    """SpacingBetweenSlices, else SliceThickness, else it is unknown; several slices have positions."""
    Case(along=np.zeros(1), attributes={0: attributes}).write(tmp_path)
    (tmp_path / "several").mkdir()
    Case().write(tmp_path / "several")

    volume, several = loadstone.load_volume(tmp_path / "00.dcm"), loadstone.load_volume(tmp_path / "several")

    assert (volume.spacing[2], volume.z_source) == (extent, source)
    assert several.z_source == "positions"


class TestOnRequest:
    """What a policy makes of them."""

    @pytest.mark.parametrize(("gap", "value"), [("empty", 0), ("interpolate", -1024 + 35)])
    def test_a_gap_is_filled(self, tmp_path: Path, gap: Any, value: int) -> None:
        """The grid is whole, with zeros or the mean of the neighbours; by default it is an error."""
        CASES["one slice missing"].write(tmp_path)

        volume = loadstone.load_volume(tmp_path, geometry=GeometryPolicy(gap=gap))

        assert volume.shape[0] == 8
        assert volume.spacing[2] == pytest.approx(3.0)
        assert (volume.array[4] == value).all()
        np.testing.assert_allclose(volume.affine() @ (0, 0, 7, 1), (-64, -60.5, 10.25 + 21, 1))

    def test_a_double_is_left_out(self, tmp_path: Path) -> None:
        """One image of each position stays."""
        CASES["one slice twice"].write(tmp_path)

        volume = loadstone.load_volume(tmp_path, geometry=GeometryPolicy(duplicate="first"))

        assert volume.shape[0] == 8
        assert volume.spacing[2] == pytest.approx(3.0)

    def test_a_tilt_is_resampled(self, tmp_path: Path) -> None:
        """
        Slices are moved until they lie straight: each voxel has the value that the sheared volume has at its
        place, what no slice covers the smallest of its slice; the affine is that of a right-angled volume.
        """
        case = Case(tilt=15.0)
        ramp = np.add.outer(3.0 * np.arange(16), np.arange(16)).astype(np.uint16)
        for k, file in enumerate(case.write(tmp_path)):
            dataset = pydicom.dcmread(file)
            dataset.PixelData = (ramp + 100 * k).astype("<u2").tobytes()
            dataset.save_as(file)

        sheared = loadstone.load_volume(tmp_path, dtype="f8")
        straight = loadstone.load_volume(tmp_path, dtype="f8", geometry=GeometryPolicy(tilt="resample"))

        assert straight.direction is not None
        np.testing.assert_allclose(straight.direction @ straight.direction.T, np.eye(3), atol=1e-9)
        assert straight.spacing[2] == pytest.approx(3.0)
        assert straight.shape == (8, 16 + 12, 16)
        assert straight.image_ids == ()
        place = np.linalg.inv(sheared.affine()) @ straight.affine()
        covered = 0
        for k, j, i in np.ndindex(straight.shape):
            x, y, z = (place @ (i, j, k, 1))[:3]
            assert z == pytest.approx(k)
            if -1e-6 <= y <= 15 + 1e-6:
                expected = 100 * k + 3 * y + x - 1024
                covered += 1
            else:
                expected = 100 * k - 1024
            assert straight.array[k, j, i] == pytest.approx(expected, abs=1e-4)
        assert covered >= 8 * 15 * 16
        position = straight.image(3).plane.image_position_patient
        assert position == pytest.approx((straight.affine() @ (0, 0, 3, 1)).tolist()[:3])
        assert straight.geometry.kinds == {"tilt"}
