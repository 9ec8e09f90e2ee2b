from __future__ import annotations

import json
from typing import Any

import pytest

from loadstone import DecodeError, LimitError
from loadstone_wado.dicomweb.json_objects import parsed_objects


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
