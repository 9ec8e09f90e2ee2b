"""Whether an attribute matches what a search asks for (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.server.dicomjson import JsonDataset, JsonElement

__all__ = ["matches"]

RANGE_VRS = frozenset({"DA", "DT", "TM"})
NUMBER_VRS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})


def matches(dataset: JsonDataset, path: tuple[str, ...], wanted: str) -> bool:
    """Return whether an attribute matches.

    Parameters
    ----------
    dataset
        Where to look.
    path
        Tags, from the outermost sequence inwards; in a sequence any item may match.
    wanted
        What is asked for: a value, one with ``*`` and ``?``, UIDs with commas or backslashes between, a
        range of dates or times. Nothing matches everything, names match in upper and lower case, numbers
        by value, and of several values any may match.

    Returns
    -------
    bool
        True when it does.
    """
    element = dataset.get(path[0])
    if len(path) > 1:
        items = (element or {}).get("Value") or []
        return any(matches(item, path[1:], wanted) for item in items) or not wanted
    if wanted in ("", "*"):
        return True
    if element is None:
        return False
    test = _test(element["vr"], wanted)
    return any(test(value) for value in _values(element))


def _values(element: JsonElement) -> list[str]:
    values = element.get("Value") or []
    if element["vr"] == "PN":
        return [str(group) for name in values if name for group in name.values()]
    return [str(value) for value in values if value is not None]


def _test(vr: str, wanted: str) -> Callable[[str], bool]:
    if vr == "UI":
        return re.split(r"[,\\]", wanted).__contains__
    if vr in RANGE_VRS and "-" in wanted:
        first, _, last = wanted.partition("-")
        return lambda value: _within(value, first, last)
    if vr in NUMBER_VRS:
        return lambda value: _same_number(value, wanted)
    pattern = _pattern(wanted, ignore_case=vr == "PN")
    return lambda value: pattern.fullmatch(value.rstrip()) is not None


def _within(value: str, first: str, last: str) -> bool:
    # "20040826" holds all times of that day: compare no more digits than the bound has.
    return (not first or value[: len(first)] >= first) and (not last or value[: len(last)] <= last)


def _same_number(value: str, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except ValueError:
        return value == wanted


@lru_cache(maxsize=256)
def _pattern(wanted: str, *, ignore_case: bool) -> re.Pattern[str]:
    # fnmatch backtracks no more than once for a star, however many there are; brackets mean themselves here.
    return re.compile(translate(wanted.replace("[", "[[]")), re.IGNORECASE if ignore_case else 0)
