"""DICOM JSON answers (DICOM PS3.18 F), parsed within limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from loadstone import DecodeError, LimitError
from loadstone.transport import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadstone import LoadContext

__all__ = ["fetch_objects", "parsed_objects"]


def fetch_objects(url: str, context: LoadContext) -> tuple[list[Mapping[str, Any]], int]:
    """
    Return the objects of a metadata or search answer, and how many bytes of JSON they were.

    Raises
    ------
    FetchError
        If the server does not give them.
    DecodeError, LimitError
        If the answer is not what it should be.
    """
    answer = context.fetch(
        url,
        headers={"Accept": "application/dicom+json"},
        max_bytes=context.settings.max_json_bytes,
        accept_gzip=True,
    )
    source, depth = redact(answer.url), context.settings.max_json_depth
    return parsed_objects(answer.body, source=source, max_depth=depth), len(answer.body)


def parsed_objects(body: bytes, *, source: str, max_depth: int) -> list[Mapping[str, Any]]:
    """
    Return a list of DICOM JSON objects; an empty body (204) has none, a lone object is a list of one.

    Raises
    ------
    DecodeError
        If it is something else.
    LimitError
        If it is nested too deeply.
    """
    if not body.strip():
        return []
    try:
        objects = json.loads(body)
    except RecursionError as error:
        raise _too_deep(max_depth, source) from error
    except ValueError as error:
        raise DecodeError(
            "the answer is no JSON", source=source, hint="Is this the address of a DICOMweb service?"
        ) from error
    if isinstance(objects, dict):
        objects = [objects]
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise DecodeError("the answer is no list of DICOM JSON objects", source=source)
    _check_depth(objects, max_depth, source)
    return objects


def _check_depth(objects: list[Any], most: int, source: str) -> None:
    """Go through the levels one by one: recursion is what deep nesting breaks."""
    level: list[Any] = [objects]
    for _ in range(most):
        level = [
            child
            for each in level
            for child in (each.values() if type(each) is dict else each)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _too_deep(most, source)


def _too_deep(most: int, source: str) -> LimitError:
    return LimitError(
        f"the JSON is nested more than {most} deep",
        source=source,
        hint="If that is right, raise max_json_depth (LOADSTONE_MAX_JSON_DEPTH).",
    )
