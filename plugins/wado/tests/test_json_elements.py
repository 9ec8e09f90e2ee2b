from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone_wado import tags
from loadstone_wado.elements import JsonElements

NAMES = (tags.WINDOW_CENTER, tags.ROWS, tags.MODALITY)
VALUES = st.none() | st.sampled_from(["", "1", "1.0", "CT"]) | st.integers(0, 2) | st.sampled_from([1.0, 2.5])
ELEMENTS = st.fixed_dictionaries({"vr": st.just("DS")}, optional={"Value": st.lists(VALUES, max_size=2)})
OBJECTS = st.dictionaries(st.sampled_from([name.json_name for name in NAMES]), ELEMENTS)


def read(elements: JsonElements) -> list[tuple[str, ...]]:
    return [elements.texts(name) for name in NAMES]


@given(one=OBJECTS, other=OBJECTS)
def test_equal_fingerprints_are_of_equal_values(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What is made of the attributes of one object may be used for another with the same fingerprint."""
    first, second = JsonElements(one), JsonElements(other)

    if first.fingerprint(NAMES) == second.fingerprint(NAMES):
        assert read(first) == read(second)
    assert first.fingerprint(NAMES) == JsonElements(dict(one)).fingerprint(NAMES)


@pytest.mark.parametrize(
    "element",
    [
        {"vr": "DS", "Value": 1},
        {"vr": "DS", "Value": [True]},
        {"vr": "PN", "Value": [{"Alphabetic": "A"}]},
        {"vr": "SQ", "Value": [{}]},
        {"vr": "OW", "BulkDataURI": "http://h/x"},
        {"vr": "OW", "InlineBinary": "AAAA"},
        "no element",
    ],
)
def test_what_has_no_fingerprint(element: Any) -> None:
    """Values that hold others, lie elsewhere or are written in an unusual way are looked at each time."""
    elements = JsonElements(
        {tags.ROWS.json_name: {"vr": "US", "Value": [1]}, tags.MODALITY.json_name: element}
    )

    assert elements.fingerprint(NAMES) is None
    assert elements.fingerprint([tags.ROWS]) is not None
