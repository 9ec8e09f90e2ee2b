from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone_wado.server.matching import matches


def says(vr: str, wanted: str, *values: Any) -> bool:
    return matches({"00100010": {"vr": vr, "Value": list(values)}}, ("00100010",), wanted)


@pytest.mark.parametrize(
    ("vr", "wanted", "value", "expected"),
    [
        ("LO", "Head", "Head", True),
        ("LO", "head", "Head", False),
        ("LO", "H*d", "Head", True),
        ("LO", "H?d", "Head", False),
        ("LO", "[H]ead", "Head", False),
        ("LO", "", "Head", True),
        ("UI", "1.2,1.3", "1.3", True),
        ("UI", "1.2\\1.3", "1.2", True),
        ("UI", "1.2", "1.23", False),
        ("DA", "20240101-20240131", "20240131", True),
        ("DA", "20240101-20240131", "20240201", False),
        ("DA", "-20240131", "19990101", True),
        ("DA", "20240131-", "20240130", False),
        ("TM", "1000-1059", "105959.5", True),
        ("IS", "007", 7, True),
        ("DS", "1.50", 1.5, True),
        ("IS", "seven", 7, False),
    ],
)
def test_single_values(vr: str, wanted: str, value: Any, expected: bool) -> None:
    """Values, wildcards, lists of UIDs, ranges and numbers match as the standard says."""
    assert says(vr, wanted, value) is expected


@pytest.mark.parametrize("wanted", ["doe*", "DOE^JANE", "*jane", "ヤマダ*"])
def test_names_match_in_any_case_and_script(wanted: str) -> None:
    """A name matches in upper and lower case, and in each of its representations."""
    assert says("PN", wanted, {"Alphabetic": "Doe^Jane", "Phonetic": "ヤマダ^タロウ"})


def test_any_of_several_values() -> None:
    """Of several values one that matches is enough."""
    assert says("CS", "AXIAL", "ORIGINAL", "PRIMARY", "AXIAL")


def test_items_of_sequences() -> None:
    """In a sequence one item that matches is enough."""
    item = {"00400009": {"vr": "SH", "Value": ["S1"]}}
    dataset: Any = {"00400275": {"vr": "SQ", "Value": [{}, item]}}

    assert matches(dataset, ("00400275", "00400009"), "S1")
    assert not matches(dataset, ("00400275", "00400009"), "S2")


def test_what_is_missing_matches_nothing_but_everything() -> None:
    """An absent attribute matches only when nothing particular is asked for."""
    assert matches({}, ("00100020",), "")
    assert not matches({}, ("00100020",), "P1")


@given(st.text("ab*?[].\\", max_size=30))
def test_no_pattern_breaks_the_search(wanted: str) -> None:
    """Whatever signs a pattern is made of, it is answered."""
    assert says("LO", wanted, "abab") in (True, False)
