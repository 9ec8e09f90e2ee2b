"""Axes in front of the slices."""

from __future__ import annotations

import pytest

from loadstone import Axis, LoadstoneError


def test_an_axis_has_a_value_for_each_index() -> None:
    """Its length is the number of values, and its array has numbers as float64, labels as text."""
    time = Axis("t", (0.0, 2.5, 5.0), "s", "TriggerTime")
    segments = Axis("segment", ("Liver", "Spleen"))

    assert len(time) == 3
    assert time.array.dtype == "f8"
    assert segments.array.tolist() == ["Liver", "Spleen"]


@pytest.mark.parametrize(("name", "values"), [("", (1.0,)), ("t", ())])
def test_an_axis_without_name_or_values_is_refused(name: str, values: tuple[float, ...]) -> None:
    """There is no axis without a name, and none of length 0."""
    with pytest.raises(LoadstoneError, match="axis"):
        Axis(name, values)
