from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.geometry.builders import AXIAL, CORONAL, EIGHT, ORIENTATIONS, arranged, series
from loadstone.errors import GeometryError, LoadstoneError
from loadstone.geometry import Finding, GeometryPolicy, GeometryReport
from loadstone.metadata import ImagePlane

if TYPE_CHECKING:
    from loadstone.geometry import FindingKind

IGNORE = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)


def refused(planes: list[ImagePlane], policy: GeometryPolicy | None = None) -> GeometryError:
    """Return the error that the planes are refused with."""
    with pytest.raises(GeometryError) as caught:
        arranged(planes, policy)
    return caught.value


def found(planes: list[ImagePlane], kind: str) -> Finding:
    """Return a finding that must be there, whatever the policy says."""
    finding = arranged(planes, IGNORE).report.get(kind)
    assert finding is not None
    return finding


class TestGap:
    def test_missing_slice_is_named_with_index_and_position(self) -> None:
        """Slice 4 of 8 is missing: refused, with its place and the way out."""
        error = refused(series(np.delete(EIGHT, 4)))

        assert error.report is not None
        assert error.report.kinds == {"gap"}
        assert "1 of 8 slices is missing" in str(error)
        assert r"before index 4 (ImagePositionPatient -64\-60.5\22.25)" in str(error)
        assert 'GeometryPolicy(gap="ignore")' in str(error)

    @pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
    @pytest.mark.parametrize("tilt", [0.0, 15.0])
    def test_numbers_of_several_gaps(self, orientation: tuple[float, ...], tilt: float) -> None:
        """Each gap has the index of the slice after it and its length, tilted or not."""
        finding = found(series([0, 3, 12, 15, 21], orientation, tilt=tilt), "gap")

        assert finding.indices == (2, 4)
        assert finding.images == (2, 4)
        assert finding.distances == pytest.approx((9.0, 6.0))
        assert "3 of 8 slices are missing" in finding.message

    def test_images_refer_to_the_list_as_given(self) -> None:
        """`indices` count in the volume, `images` in the caller's list."""
        finding = found(series([12, 9, 3, 0]), "gap")

        assert (finding.indices, finding.images) == ((2,), (1,))

    def test_ignored_gap_leaves_space_unknown(self) -> None:
        """The slices come as they are, sorted; no affine is made up for them."""
        stack = arranged(series([12, 9, 3, 0]), GeometryPolicy(gap="ignore"))

        assert stack.order == (3, 2, 1, 0)
        assert (stack.affine_lps, stack.slice_distance, stack.z_source) == (None, None, None)
        assert stack.spacing == (2.0, 0.5, None)

    def test_long_gap_hides_nothing(self) -> None:
        """A gap of 200 slices in 8 with jitter is still one gap, and costs no memory."""
        finding = found(series([0, 3.001, 5.999, 9, 609, 612.002, 615, 618]), "gap")

        assert finding.indices == (4,)
        assert "199 of 207 slices are missing" in finding.message

    def test_gap_longer_than_all_slices_does_not_make_them_duplicates(self) -> None:
        """The spacing is that of the slices, also where 20 mm are missing between two blocks of 0.05 mm."""
        block = np.arange(150) * 0.05
        planes = series(np.concatenate((block, block[-1] + 20 + block)))

        assert arranged(planes, IGNORE).report.kinds == {"gap"}

    def test_small_errors_of_the_step_do_not_add_up_over_a_gap(self) -> None:
        """A hundred steps are counted in units of all single steps, not of the shortest."""
        finding = found(series([0, 3.012, 5.988, 9.0, 309, 312.012, 314.988, 318]), "gap")

        assert "99 of 107 slices are missing" in finding.message

    def test_a_hundred_million_missing_slices_are_only_a_number(self) -> None:
        """Nothing is allocated by a header's word."""
        finding = found(series([0, 3, 6, 3e8]), "gap")

        assert finding.indices == (3,)
        assert len(finding.message) < 300

    def test_message_lists_only_the_first_gaps(self) -> None:
        """A message stays readable; the finding holds every gap."""
        offsets = np.delete(np.arange(100) * 3.0, range(10, 90, 2))
        finding = found(series(offsets), "gap")

        assert len(finding.indices) == 40
        assert "and 32 more" in finding.message


class TestDuplicate:
    def test_one_duplicate_is_named(self) -> None:
        """Two images at one position: refused, with the image that comes second."""
        error = refused(series([*EIGHT, 9.0]))

        assert error.report is not None
        finding = error.report.get("duplicate")
        assert finding is not None
        assert (finding.indices, finding.images) == ((4,), (8,))
        assert not error.report.regular
        assert 'GeometryPolicy(duplicate="first")' in str(error)

    def test_first_of_each_position_is_kept_on_request(self) -> None:
        """The one given first stays; the volume is regular but the report says what was left out."""
        stack = arranged(series([9.0, *EIGHT]), GeometryPolicy(duplicate="first"))

        assert stack.order == (1, 2, 3, 0, 5, 6, 7, 8)
        assert stack.shape == (8, 16, 16)
        assert stack.spacing[2] == pytest.approx(3.0)
        assert stack.affine_lps is not None

    def test_ignored_duplicates_leave_space_unknown(self) -> None:
        """All images come sorted, those of one position in the order given."""
        stack = arranged(series([3.001, 0, 3, 0]), IGNORE)

        assert stack.order == (1, 3, 0, 2)
        assert stack.affine_lps is None
        assert stack.spacing[2] is None

    @pytest.mark.parametrize("count", [2, 100])
    def test_equal_counts_are_called_several_volumes(self, count: int) -> None:
        """Time points at every position, with jitter, are no spacing of a fraction."""
        jitter = np.random.default_rng(3).uniform(-0.001, 0.001, 8 * count)
        error = refused(series(np.tile(EIGHT, count) + jitter))

        assert f"{8 * count} images lie at 8 positions, {count} at each, as several volumes" in str(error)

    def test_duplicate_and_gap_are_both_named(self) -> None:
        """Findings combine: what is missing is seen behind what is there twice."""
        error = refused(series([0, 3, 3, 6, 12]))

        assert error.report is not None
        assert error.report.kinds == {"duplicate", "gap"}
        assert 'GeometryPolicy(duplicate="first", gap="ignore")' in str(error)

    def test_everything_at_one_position(self) -> None:
        """A cine of one slice is duplicates; the first alone is a single slice."""
        planes = series([5.0] * 4, slice_thickness=6.0)
        stack = arranged(planes, GeometryPolicy(duplicate="first"))

        assert refused(planes).report is not None
        assert stack.order == (0,)
        assert stack.spacing == (2.0, 0.5, 6.0)
        assert arranged(planes, IGNORE).affine_lps is None

    @given(st.floats(0.15, 5), st.integers(1, 3))
    def test_coarse_text_never_melts_neighbours(self, step: float, decimals: int) -> None:
        """Slices whose text differs are not duplicates."""
        planes = series([step * index for index in range(20)], decimals=decimals)

        assert "duplicate" not in arranged(planes, IGNORE).report.kinds


class TestTilt:
    @pytest.mark.parametrize("degrees", [15.0, -15.0, 0.5])
    def test_affine_is_sheared_exactly(self, degrees: float) -> None:
        """The step of k is the step of the positions; planes are as far apart as they are."""
        planes = series(tilt=degrees)
        stack = arranged(planes)
        finding = stack.report.get("tilt")

        assert finding is not None
        assert finding.degrees == pytest.approx(abs(degrees))
        assert not stack.report.regular
        assert stack.spacing[2] == pytest.approx(3.0 / np.cos(np.radians(degrees)))
        assert stack.slice_distance == pytest.approx(3.0)
        assert stack.affine_lps is not None
        world = stack.affine_lps @ (0, 0, 7, 1)
        np.testing.assert_allclose(world[:3], planes[7].image_position_patient or ())

    def test_less_than_a_tenth_of_a_degree_is_regular_with_the_measured_step(self) -> None:
        """A small lean is kept in the affine and not called tilt."""
        planes = series(tilt=0.09)
        stack = arranged(planes)

        assert stack.report.kinds == {"regular"}
        assert stack.affine_lps is not None
        world = stack.affine_lps @ (0, 0, 7, 1)
        np.testing.assert_allclose(world[:3], planes[7].image_position_patient or ())

    def test_tilt_can_be_refused(self) -> None:
        """Who cannot use a shear says so."""
        error = refused(series(tilt=15), GeometryPolicy(tilt="raise"))

        assert "15°" in str(error)
        assert 'GeometryPolicy(tilt="shear")' in str(error)

    def test_rounded_text_of_an_oblique_pair_is_no_tilt(self) -> None:
        """Two slices a millimetre apart cannot vouch for an angle that rounding explains."""
        assert "tilt" not in arranged(series([0, 1], ORIENTATIONS["oblique"], decimals=1)).report.kinds

    def test_tilt_and_irregular_are_both_named(self) -> None:
        """A tilted series with a slice out of place is refused for the slice."""
        error = refused(series([0, 3, 6, 10, 12, 15, 18, 21], tilt=15))

        assert error.report is not None
        assert error.report.kinds == {"tilt", "irregular"}


class TestIrregular:
    def test_slice_out_of_place_is_named_with_its_deviation(self) -> None:
        """Which slice, how far off, and what would have been accepted."""
        error = refused(series([0, 3, 6, 10, 12, 15, 18, 21]))

        assert error.report is not None
        finding = error.report.get("irregular")
        assert finding is not None
        assert finding.indices == (3,)
        assert finding.distances == pytest.approx((1.0,))
        assert finding.tolerance == pytest.approx(0.03)
        assert "distances from 2 mm to 4 mm" in str(error)
        assert 'GeometryPolicy(irregular="ignore")' in str(error)

    @pytest.mark.parametrize(
        ("step", "decimals", "deviation", "regular"),
        [
            (3.0, None, 0.029, True),
            (3.0, None, 0.031, False),
            (3.0, 2, 0.034, True),
            (3.0, 2, 0.036, False),
            (20.0, None, 0.099, True),
            (20.0, None, 0.101, False),
            (3.0, 0, 0.099, True),
            (3.0, 0, 0.101, False),
            (0.625, 2, 0.011, True),
            (0.625, 2, 0.012, False),
        ],
    )
    def test_tolerance_is_one_percent_and_half_a_decimal_at_most_a_tenth_of_a_millimetre(
        self, step: float, decimals: int | None, deviation: float, regular: bool
    ) -> None:
        """The numbers of the rule, on both sides of its edge."""
        offsets = np.arange(9) * step
        offsets[4] += deviation
        planes = series(offsets, position_decimals=decimals)

        assert arranged(planes, IGNORE).report.regular is regular

    def test_the_longest_text_tells_the_precision(self) -> None:
        """``-12`` beside ``-12.25`` has lost its zeros, not its precision."""
        offsets = np.array(EIGHT)
        offsets[3] += 0.05
        planes = [series([z], position_decimals=2 * (k % 2))[0] for k, z in enumerate(offsets)]

        assert "irregular" in arranged(planes, IGNORE).report.kinds

    @given(st.sampled_from(sorted(ORIENTATIONS)), st.floats(0.05, 0.4), st.integers(1, 6))
    def test_a_slice_out_of_place_never_passes(self, name: str, share: float, index: int) -> None:
        """5 % of a step and more is an irregularity in every orientation."""
        offsets = np.array(EIGHT)
        offsets[index] += 3 * share

        assert "irregular" in arranged(series(offsets, ORIENTATIONS[name]), IGNORE).report.kinds

    def test_drift_within_the_plane_counts(self) -> None:
        """Equal distances along the normal do not make a line."""
        planes = series(EIGHT[:4]) + [
            ImagePlane((0.5, 2.0), (-60.0, -60.5, 10.25 + z), AXIAL, frame_of_reference_uid="1.2.3")
            for z in EIGHT[4:]
        ]

        assert refused(planes).report is not None

    def test_images_side_by_side_are_no_stack(self) -> None:
        """Positions that differ only within the plane give no affine."""
        planes = [ImagePlane((1.0, 1.0), (10.0 * x, 0.0, 0.0), AXIAL) for x in range(4)]
        error = refused(planes)

        assert "side by side" in str(error)
        assert arranged(planes, IGNORE).affine_lps is None

    def test_coarse_text_does_not_turn_anything_into_a_gap(self) -> None:
        """Where the tolerance is as large as the smallest step, multiples of it mean nothing."""
        planes = series([0, 0.2, 0.7, 2.4, 4.9, 5.8], decimals=1)

        assert arranged(planes, IGNORE).report.kinds == {"irregular"}


class TestMixed:
    @pytest.mark.parametrize(
        ("other", "kind"),
        [
            ({"orientation": CORONAL}, "mixed_orientation"),
            ({"pixel_spacing": (0.5, 2.001)}, "mixed_spacing"),
            ({"frame_of_reference_uid": "1.2.4"}, "mixed_frame_of_reference"),
        ],
    )
    def test_what_belongs_to_two_stacks_is_refused(self, other: dict[str, object], kind: str) -> None:
        """A foreign slice is never stacked."""
        planes = series() + series([24.0], **other)  # type: ignore[arg-type]
        error = refused(planes)
        stack = arranged(planes, IGNORE)

        assert error.report is not None
        assert error.report.kinds == {kind}
        assert stack.order == tuple(range(9))
        assert stack.affine_lps is None
        assert stack.spacing[2] is None

    def test_some_images_without_position_are_incomplete(self) -> None:
        """Part of a series that does not say where it lies is no unknown geometry but a broken one."""
        planes = [*series(), *series([0.0], image_position_patient=None)]
        error = refused(planes)

        assert error.report is not None
        finding = error.report.get("incomplete")
        assert finding is not None
        assert finding.images == (8,)
        assert arranged(planes, IGNORE).order == tuple(range(9))


class TestPolicyAndReport:
    @pytest.mark.parametrize(
        "policy", [{"gap": "fill"}, {"tilt": "ignore"}, {"duplicate": None}, {"mixed": "split"}]
    )
    def test_unknown_value_is_refused_with_the_known_ones(self, policy: dict[str, str]) -> None:
        """A typo in a policy never means the default."""
        with pytest.raises(LoadstoneError, match="Use one of"):
            GeometryPolicy(**policy)  # type: ignore[arg-type]

    def test_report_is_the_same_whatever_the_policy(self) -> None:
        """A policy decides, it does not hide."""
        planes = series([0, 3, 3, 6, 12], tilt=10)

        assert refused(planes).report == arranged(planes, IGNORE).report

    def test_error_and_report_pickle(self) -> None:
        """They cross processes, with every number."""
        error = refused(series([0, 3, 9]))
        copy = pickle.loads(pickle.dumps(error))

        assert copy.report == error.report
        assert str(copy) == str(error)

    def test_report_holds_plain_numbers(self) -> None:
        """No numpy scalar hides in a report: it prints and serialises as it looks."""
        for finding in arranged(series([0, 3, 3, 6, 12], tilt=10), IGNORE).report.findings:
            numbers = (*finding.indices, *finding.images, *finding.distances)

            assert {type(number) for number in numbers} <= {int, float}
            assert type(finding.degrees) in {float, type(None)}
            assert type(finding.tolerance) in {float, type(None)}

    def test_report_reads_as_one_line_a_finding(self) -> None:
        """`str` is for people: short lines, each with its name."""
        text = str(arranged(series([0, 3, 3, 6, 12], tilt=10), IGNORE).report)

        assert [line.split(":")[0] for line in text.splitlines()] == ["duplicate", "gap", "tilt"]
        assert str(GeometryReport()) == "nothing to report"

    def test_loaders_add_findings(self) -> None:
        """What a plugin noticed stands beside what the core found, compared by plain names."""
        kind: FindingKind = found(series([0.0]), "single_slice").kind
        report = arranged(series()).report.adding(Finding(kind, "said by a plugin"))

        assert report.regular
        assert report.kinds == {"regular", "single_slice"}
        assert report.get("gap") is None
