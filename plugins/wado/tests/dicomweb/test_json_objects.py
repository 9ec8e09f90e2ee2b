from __future__ import annotations

import json
from typing import Any

import pytest

from loadstone import DecodeError, LimitError
from loadstone_wado.dicomweb.json_objects import integer_of, parsed_objects, texts_of


def nested(levels: int) -> bytes:
    """Return a list of one object nested so deep: 3 levels for each sequence."""
    return b'[{"a":' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}]"


def parsed(body: bytes, max_depth: int = 64) -> list[Any]:
    return list(parsed_objects(body, source="http://h/metadata", max_depth=max_depth))


@pytest.mark.parametrize(
    ("body", "count"), [(b"", 0), (b" \r\n", 0), (b"[]", 0), (b"{}", 1), (b"[{},{}]", 2)]
)
def test_objects(body: bytes, count: int) -> None:
    """A list of objects, a lone object, nothing: each is what it is."""
    assert len(parsed(body)) == count


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str) -> None:
    """UTF-8 is the rule; Latin-1, which some servers send, keeps no series from being loaded."""
    body = '[{"00081030": {"vr": "LO", "Value": ["Schädel"]}}]'.encode(encoding)

    assert texts_of(parsed(body)[0], "00081030") == ("Schädel",)


@pytest.mark.parametrize("body", [b"<html>", b"[{}", b"[1]", b'"x"', b"null", b"[null]", b"\xff\xfe", b"NaN"])
def test_anything_else(body: bytes) -> None:
    """Whatever is no list of objects is refused by name."""
    with pytest.raises(DecodeError):
        parsed(body)


@pytest.mark.parametrize("levels", [65, 900, 100_000])
def test_deep_nesting(levels: int) -> None:
    """Deep nesting is a limit of its own, however deep, and no crash."""
    with pytest.raises(LimitError, match="nested"):
        parsed(nested(levels))


def test_the_deepest_allowed() -> None:
    """The limit itself is allowed."""
    assert len(parsed(nested(64))) == 1
    assert json.loads(nested(64))


@pytest.mark.parametrize(
    ("element", "texts"),
    [
        ({"vr": "LO", "Value": ["a ", " b\0"]}, ("a", "b")),
        ({"Value": "bare"}, ("bare",)),
        ({"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane", "Ideographic": "x"}]}, ("Doe^Jane",)),
        ({"vr": "PN", "Value": [{"Ideographic": "山田^太郎"}]}, ("山田^太郎",)),
        ({"vr": "PN", "Value": ["Doe^Jane"]}, ("Doe^Jane",)),
        ({"vr": "IS", "Value": [7, 2.5]}, ("7", "2.5")),
        ({"vr": "LO", "Value": [None, "", "a"]}, ("a",)),
        ({"vr": "LO", "Value": [True, [], {}, {"Alphabetic": 3}]}, ("3",)),
        ({"vr": "LO"}, ()),
        ({"vr": "LO", "Value": None}, ()),
        (None, ()),
        ("text", ()),
    ],
)
def test_values_as_text(element: object, texts: tuple[str, ...]) -> None:
    """Whatever a server writes for values is read as text, or not at all; never an error."""
    assert texts_of({"00100010": element}, "00100010") == texts


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (512, 512),
        ("512", 512),
        (512.0, 512),
        (" 7 ", 7),
        ("1e3", 1000),
        (2.5, None),
        ("x", None),
        ("nan", None),
        ("inf", None),
        (None, None),
    ],
)
def test_values_as_numbers(value: object, number: int | None) -> None:
    """A whole number is one however it is written; anything else is unknown."""
    assert integer_of({"00280010": {"vr": "US", "Value": [value]}}, "00280010") == number
