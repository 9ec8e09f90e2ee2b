"""QIDO-RS searches (DICOM PS3.18 8.3.4, 10.6): what may be asked for, and paging that always ends."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from loadstone import InvalidIdError, LimitError, LoadstoneError
from loadstone.transport import redact
from loadstone_wado.dicomweb.json_objects import fetch_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from loadstone import Session
    from loadstone_wado.dicomweb.json_objects import Fetch

__all__ = ["Filter", "parameters", "search"]

Filter: TypeAlias = str | int | float | dt.date | Sequence[str]
"""
What an attribute must be: text with ``*`` and ``?``, a number, a day, a range of days
(``"20240101-20240131"``), several UIDs.
"""

MOST_ROWS: Final = 2**20
"""Rows after which a search is given up: no list for a person or a program is as long."""

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


def parameters(
    filters: Mapping[str, Filter], include: Iterable[str] = (), *, fuzzy: bool = False
) -> list[tuple[str, str]]:
    """
    Return the parameters of a search, names and values.

    Parameters
    ----------
    filters
        By keyword (``PatientID``), by tag (``00100020``), or by a path of them with dots between.
    include
        Attributes to be returned beside the usual ones; ``all`` for all of them.
    fuzzy
        Whether names of people may be matched by their sound.

    Raises
    ------
    InvalidIdError
        If there is no such attribute.
    LoadstoneError
        If a value is of no kind that can be asked for.
    """
    asked = [(_attribute(name), _value(name, value)) for name, value in filters.items()]
    asked += [("includefield", name if name == "all" else _attribute(name)) for name in include]
    return asked + [("fuzzymatching", "true")] * fuzzy


def _attribute(path: str) -> str:
    return ".".join(map(_keyword_or_tag, path.split(".")))


def _keyword_or_tag(name: str) -> str:
    from pydicom.datadict import keyword_dict

    if name in keyword_dict:
        return name
    if found := _TAG.fullmatch(name):
        return (found[1] + found[2]).upper()
    close = difflib.get_close_matches(name, keyword_dict, n=3)
    meant = f"Did you mean {' or '.join(close)}?" if close else "Take a keyword or a tag such as 00100020."
    raise InvalidIdError(f"{name!r} is no DICOM attribute", hint=meant)


def _value(name: str, value: Filter) -> str:
    if isinstance(value, dt.date):
        return f"{value:%Y%m%d}"
    if isinstance(value, str | int | float):
        return str(value)
    try:
        return ",".join(value)
    except TypeError as error:
        raise LoadstoneError(
            f"the filter {name} cannot be {value!r}",
            hint="Give text, a number, a day, a range of days as text, or several UIDs.",
        ) from error


def search(
    url: str,
    root: str,
    session: Session,
    fetch: Fetch,
    *,
    identity: Callable[[Mapping[str, Any]], str],
    asked: Sequence[tuple[str, str]] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[Mapping[str, Any]]:
    """
    Yield what a search finds, each object once, page by page until a page brings nothing new.

    So it ends with servers that cap a page without saying so, ignore ``offset`` or ``limit``, or repeat
    themselves.

    Parameters
    ----------
    url
        Of the search, perhaps with a query.
    root
        URL of the service.
    session
        Limits, and what the service understands.
    fetch
        Fetches an answer.
    identity
        Gives the UID of an object.
    asked
        Parameters to be added.
    limit
        Most objects that are wanted; None: all.
    offset
        How many are left out at the beginning.

    Raises
    ------
    FetchError
        If the server refuses.
    DecodeError, LimitError
        If an answer is not what it should be, or there are more than a million objects.
    """
    if offset < 0 or (limit is not None and limit < 0):
        raise LoadstoneError(f"limit={limit}, offset={offset}: both count from 0")
    seen: set[str] = set()
    received = offset
    while limit is None or len(seen) < limit:
        page = [("limit", str(limit - len(seen)))] if limit is not None else []
        page += [("offset", str(received))] if received else []
        answer = fetch_objects(_with(url, [*asked, *page]), root, session, fetch)
        if not seen:
            _warn_if_not_fuzzy(asked, answer.warning)
        new = {name: each for each in answer.objects if (name := identity(each)) and name not in seen}
        if not new:
            return
        left = None if limit is None else limit - len(seen)
        yield from list(new.values())[:left]
        seen |= new.keys()
        received += len(answer.objects)
        if len(seen) > MOST_ROWS:
            raise LimitError(
                f"the search found more than {MOST_ROWS:,}",
                source=redact(url),
                hint="Ask for less: give filters, or a limit.",
            )


def _with(url: str, asked: Sequence[tuple[str, str]]) -> str:
    if not asked:
        return url
    query = urlencode(asked, quote_via=quote, safe="*,")
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _warn_if_not_fuzzy(asked: Sequence[tuple[str, str]], warning: str) -> None:
    if ("fuzzymatching", "true") in asked and "fuzzymatching" in warning:
        warnings.warn(
            "the server does not match names by their sound: only what is written so was found", stacklevel=5
        )
