"""Stages: which images, in which order, and how they are asked for."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import LoadstoneError, Quality, RequestType, Settings
from loadstone.retrieve import (
    BUILT_IN,
    BYTE_RANGES,
    FINAL,
    INTERLEAVED,
    SEQUENTIAL,
    SINGLE,
    NearbyFill,
    RetrieveConfiguration,
    RetrieveOptions,
    RetrieveRegistry,
    Stage,
    outward,
)


@pytest.mark.parametrize(
    ("stage", "count", "expected"),
    [
        (Stage("positions", positions=(0.5, 0, -1)), 11, (5, 0, 10)),
        (Stage("positions", positions=(0.5, 0, -1)), 4, (1, 0, 3)),
        (Stage("positions", positions=(0.5, 0, -1)), 1, (0,)),
        (Stage("indices", positions=(3, 1, -2)), 6, (3, 1, 4)),
        (Stage("every"), 4, (0, 1, 2, 3)),
        (Stage("every fourth", decimate=4, offset=3), 12, (3, 7, 11)),
        (Stage("beyond", decimate=4, offset=3), 3, ()),
    ],
    ids=lambda each: each.name if isinstance(each, Stage) else None,
)
def test_indices_of_a_stage(stage: Stage, count: int, expected: tuple[int, ...]) -> None:
    """Positions are indices, shares or counted from the end; without them every so-many from an offset."""
    assert stage.indices(count) == expected


@pytest.mark.parametrize("position", [5, -6])
def test_a_position_outside_is_an_error(position: float) -> None:
    """A stage that names an image that is not there says so."""
    with pytest.raises(LoadstoneError, match=r"position -?\d of 5 images"):
        Stage("outside", positions=(position,)).indices(5)


@given(count=st.integers(1, 60))
def test_interleaved_stages_reach_every_image(count: int) -> None:
    """With any number of images each has a stage of its own, beside the one that repeats what failed."""
    reached = {index for stage in INTERLEAVED.stages[:-1] for index in stage.indices(count)}

    assert reached == set(range(count))


def test_interleaved_goes_from_few_images_to_all() -> None:
    """The middle, first and last, then quarters; only the first passes stand in for neighbours."""
    asked = [stage.indices(16) for stage in INTERLEAVED.stages]
    nearby = {(fill.offset, fill.quality) for fill in INTERLEAVED.stages[0].nearby}

    assert asked[0] == (7, 0, 15)
    assert [each[0] for each in asked[1:-1]] == [3, 1, 2, 0, 1, 3]
    assert [bool(stage.nearby) for stage in INTERLEAVED.stages] == [True] * 3 + [False] * 5
    assert nearby == {
        (-1, Quality.ADJACENT_REPLICATE),
        (1, Quality.ADJACENT_REPLICATE),
        (2, Quality.FAR_REPLICATE),
    }
    assert [stage.priority for stage in INTERLEAVED.stages] == [*range(5, 13)]
    assert {stage.request_type for stage in INTERLEAVED.stages} == {RequestType.THUMBNAIL}


@given(st.integers(1, 12), st.integers(1, 5), st.data())
def test_outward_goes_ever_further_away(groups: int, images: int, data: st.DataObject) -> None:
    """Every image once, group by group, none nearer to the current one than the group before it."""
    current = data.draw(st.integers(0, groups - 1))

    asked = [stage.indices(groups * images) for stage in outward(current, groups, images).stages]
    order = [indices[0] // images for indices in asked]
    distances = [abs(group - current) for group in order]

    assert sorted(index for indices in asked for index in indices) == [*range(groups * images)]
    assert distances == sorted(distances)
    assert all(len({index // images for index in indices}) == 1 for indices in asked)


def test_outward_from_a_group_that_is_not_there() -> None:
    """A time point outside of the volume is an error."""
    with pytest.raises(LoadstoneError, match="no group 4"):
        outward(4, 4, 10)


def test_options_by_retrieve_type() -> None:
    """A type without options of its own has the default's; without these the final quality."""
    coarse, better = RetrieveOptions(Quality.SUBRESOLUTION), RetrieveOptions(Quality.LOSSY)
    stage, other = Stage("a", retrieve_type="fast"), Stage("b", retrieve_type="other")
    configuration = RetrieveConfiguration.of([stage, other], fast=coarse)

    assert configuration.options_of(stage) == coarse
    assert configuration.options_of(other) is FINAL
    assert configuration.with_options(default=better).options_of(other) == better
    assert configuration.with_options(fast=better).options_of(stage) == better


def test_built_in_configurations() -> None:
    """They have names, can be compared and pickled, and end with the final quality."""
    assert list(BUILT_IN) == ["single", "sequential", "interleaved", "byte-ranges", "resolution-levels"]
    for configuration in BUILT_IN.values():
        assert pickle.loads(pickle.dumps(configuration)) == configuration
        assert hash(configuration) == hash(configuration)
        assert configuration.options_of(configuration.stages[-1]).is_final
    ranges = [BYTE_RANGES.options_of(stage).byte_range for stage in BYTE_RANGES.stages]

    assert ranges == [(0, 65536), (65536, None)]
    assert [SEQUENTIAL.options_of(stage).quality for stage in SEQUENTIAL.stages] == [6, 8]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stage("none", decimate=0),
        lambda: Stage("none", offset=-1),
        lambda: RetrieveOptions(byte_range=(10, 10)),
        lambda: RetrieveOptions(byte_range=(-1, 10)),
        lambda: RetrieveOptions(decode_level=-1),
        lambda: NearbyFill(0, Quality.FAR_REPLICATE),
        lambda: NearbyFill(1, Quality.FULL),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any) -> None:
    """Stages that ask for nothing, ranges without a byte, copies that pass for the image itself."""
    with pytest.raises(LoadstoneError):
        make()


def test_what_is_used_for_a_request() -> None:
    """The request's own wish, then its id, then its transfer syntax; for volumes then the setting."""
    registry = RetrieveRegistry(Settings(retrieve="interleaved"))
    registry.set("volume:1", SEQUENTIAL)
    registry.set("1.2.840.10008.1.2.4.202", "byte-ranges")

    assert registry.of_volume("single", "volume:1") is SINGLE
    assert registry.of_volume(None, "volume:1", "1.2.840.10008.1.2.4.202") is SEQUENTIAL
    assert registry.of_volume(None, "volume:2", "1.2.840.10008.1.2.4.202") is BYTE_RANGES
    assert registry.of_volume(None, "volume:2") is INTERLEAVED
    registry.remove("volume:1")

    assert registry.of_volume(None, "volume:1") is INTERLEAVED
    assert RetrieveRegistry(Settings()).of_volume(None, "volume:1") is None
    assert registry.chosen(None, "volume:1") is None


def test_a_name_that_no_configuration_has() -> None:
    """A misspelt name is an error that lists those there are, never a plain load."""
    registry = RetrieveRegistry(Settings(retrieve="interlaced"))

    with pytest.raises(LoadstoneError, match=r"'interlaced'.*interleaved"):
        registry.of_volume(None)
    with pytest.raises(LoadstoneError, match="'fast'"):
        registry.set("volume:1", "fast")
