"""Media types with their parameters (RFC 2045), as servers write them."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MediaType"]


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type, taken apart."""

    name: str
    """The type in lower case, for example ``multipart/related``; empty when there is none."""
    parameters: Mapping[str, str]
    """By lower-case name, unquoted."""

    @classmethod
    def of(cls, content_type: str) -> MediaType:
        """
        Take a Content-Type apart.

        Parameters that some servers put inside the quoted ``type`` parameter are found too.
        """
        return _media_type(content_type)

    @property
    def is_text(self) -> bool:
        """Whether it is for people or programs to read: no DICOM object and no pixels ever are."""
        return self.name.startswith("text/") or self.name.endswith(("json", "xml"))


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> MediaType:
    """Do the work once: the parts of an answer say the same thing again and again."""
    if "/" not in content_type:
        return MediaType("", {})
    message = Message()
    message["Content-Type"] = content_type
    given = message.get_params() or []
    parameters = {name.lower(): collapse_rfc2231_value(value) for name, value in given[1:]}
    inner = parameters.get("type", "")
    if ";" in inner:
        found = _media_type(inner)
        parameters = {**found.parameters, **parameters, "type": found.name}
    return MediaType(message.get_content_type(), parameters)
