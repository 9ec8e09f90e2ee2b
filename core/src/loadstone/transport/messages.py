"""What is asked of a server, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from loadstone.errors import LoadstoneError
from loadstone.transport.urls import redact

__all__ = ["Headers", "HttpRequest", "HttpResponse"]

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Latin-1 without control characters: a line break would start a header that nobody asked for.
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers(Mapping[str, str]):
    """
    Header fields of a message: immutable, found by name whatever its case.

    A field that occurs several times has its values joined by ``", "``. The representation has names only.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        found: dict[str, tuple[str, str]] = {}
        for name, value in fields.items() if isinstance(fields, Mapping) else fields:
            key = name.lower()
            found[key] = (name, f"{found[key][1]}, {value}" if key in found else value)
        self._fields = found

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __hash__(self) -> int:
        return hash(frozenset((key, value) for key, (_, value) in self._fields.items()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = other if isinstance(other, Headers) else Headers(other)
        return {key: value for key, (_, value) in self._fields.items()} == {
            key: value for key, (_, value) in theirs._fields.items()
        }

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """
    A request, which has no body: Loadstone only reads.

    Raises
    ------
    LoadstoneError
        If a header cannot be sent as it is (the message names it, without its value).
    """

    url: str
    """Absolute http or https URL."""
    method: str = "GET"
    """``GET`` or ``HEAD``."""
    headers: Mapping[str, str] = field(default_factory=Headers)
    """Fields to send; turned into `Headers`."""

    def __post_init__(self) -> None:
        """Refuse what would not be sent as it is."""
        if self.method not in {"GET", "HEAD"}:
            raise LoadstoneError(f"the method {self.method!r} is not GET or HEAD", source=redact(self.url))
        if not isinstance(self.headers, Headers):
            object.__setattr__(self, "headers", _checked(self.headers, self.url))

    def with_url(self, url: str) -> HttpRequest:
        """Return the same request for another URL."""
        return replace(self, url=url)

    def with_headers(self, headers: Mapping[str, str]) -> HttpRequest:
        """Return the same request with these headers added or replaced."""
        added = _checked(headers, self.url)
        kept = [item for item in self.headers.items() if item[0] not in added]
        return replace(self, headers=Headers([*kept, *added.items()]))

    def without_headers(self, *names: str) -> HttpRequest:
        """Return the same request without these headers."""
        dropped = {name.lower() for name in names}
        return replace(self, headers=Headers(i for i in self.headers.items() if i[0].lower() not in dropped))

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {redact(self.url)}, {self.headers!r})"


def _checked(headers: Mapping[str, str], url: str) -> Headers:
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise LoadstoneError("a header's name holds a character that it must not", source=redact(url))
        if not _VALUE.fullmatch(value):
            raise LoadstoneError(
                f"the header {name} holds a line break or a character outside Latin-1", source=redact(url)
            )
    return Headers(headers)


@dataclass(frozen=True, slots=True, repr=False)
class HttpResponse:
    """An answer with its whole body."""

    status: int
    """HTTP status: 2xx."""
    headers: Headers
    """Fields of the answer."""
    body: bytes
    """The body, complete, without transfer or content encoding."""
    url: str
    """Where it came from after redirects, without user and password."""

    def __repr__(self) -> str:
        return f"HttpResponse({self.status}, {len(self.body):,} bytes, {redact(self.url)})"
