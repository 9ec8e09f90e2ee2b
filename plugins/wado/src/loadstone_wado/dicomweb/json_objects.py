"""DICOM JSON answers (DICOM PS3.18 F), parsed within limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from loadstone import DecodeError, LimitError
from loadstone.transport import redact
from loadstone_wado.dicomweb.ladder import JSON, climb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadstone import Session
    from loadstone.transport import HttpResponse

__all__ = ["Fetch", "Objects", "fetch_objects", "integer_of", "parsed_objects", "texts_of"]

_WAYS_TO_WRITE_A_NAME: Final = ("Alphabetic", "Ideographic", "Phonetic")


class Fetch(Protocol):
    """Fetches a whole answer, as `LoadContext.fetch` and `Transport.fetch` do."""

    def __call__(
        self, url: str, /, *, headers: Mapping[str, str], max_bytes: int, accept_gzip: bool
    ) -> HttpResponse:
        """Return the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Objects:
    """A metadata or search answer."""

    objects: list[Mapping[str, Any]]
    """The DICOM JSON objects in it."""
    nbytes: int
    """How many bytes of JSON they were."""
    warning: str
    """Header ``Warning`` of the answer; empty when there is none."""


def fetch_objects(url: str, root: str, session: Session, fetch: Fetch) -> Objects:
    """
    Return the objects of a metadata or search answer.

    Parameters
    ----------
    url
        What is asked for.
    root
        URL of the service.
    session
        Limits, and what the service understands.
    fetch
        Fetches it.

    Raises
    ------
    FetchError
        If the server does not give them.
    DecodeError, LimitError
        If the answer is not what it should be.
    """
    most, depth = session.settings.max_json_bytes, session.settings.max_json_depth
    answer = climb(
        JSON,
        root,
        session,
        lambda accept: fetch(url, headers={"Accept": accept}, max_bytes=most, accept_gzip=True),
    )
    objects = parsed_objects(answer.body, source=redact(answer.url), max_depth=depth)
    return Objects(objects, len(answer.body), answer.headers.get("Warning", ""))


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
        objects = json.loads(_text_of(body))
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


def _text_of(body: bytes) -> str:
    """Decode JSON, which is UTF-8; some servers pass the names in Latin-1 files on as they are."""
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        return body.decode("latin-1")


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


def texts_of(attributes: Mapping[str, Any], tag: str) -> tuple[str, ...]:
    """
    Return the values of an attribute as text, whatever JSON a server writes for them.

    Parameters
    ----------
    attributes
        A DICOM JSON object.
    tag
        Eight hexadecimal digits.

    Returns
    -------
    tuple of str
        Empty where the attribute is absent or nothing that can be read. A name is its first representation.
    """
    element = attributes.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    # Some servers write a single value without the array around it.
    listed = values if isinstance(values, list) else [values]
    return tuple(text for each in listed if (text := _text(each)))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return next((text for way in _WAYS_TO_WRITE_A_NAME if (text := _text(value.get(way)))), "")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip("\0 ")


def integer_of(attributes: Mapping[str, Any], tag: str) -> int | None:
    """Return the first value of an attribute as a whole number; None where it is none."""
    texts = texts_of(attributes, tag)
    try:
        number = float(texts[0]) if texts else None
    except ValueError:
        return None
    return int(number) if number is not None and number.is_integer() else None
