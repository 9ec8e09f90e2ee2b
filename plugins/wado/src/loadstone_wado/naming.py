"""Errors that say which object they are about."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from loadstone.errors import (
    DecodeError,
    IntegrityError,
    LimitError,
    LoadstoneError,
    MetadataError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["named", "naming"]

_NAMELESS: Final = (DecodeError, IntegrityError, LimitError, MetadataError, UnsupportedError)
"""What functions raise that see only a part of an object."""


def named(error: LoadstoneError, source: str) -> LoadstoneError:
    """Return an error that says what was looked at: `error` itself if it does, or if nobody knows."""
    if error.source or not source or not isinstance(error, _NAMELESS):
        return error
    return type(error)(error.what, source=source, hint=error.hint)


@contextmanager
def naming(source: str) -> Iterator[None]:
    """
    Add what was looked at to the errors of functions that see only a part of it.

    Parameters
    ----------
    source
        The object.
    """
    try:
        yield
    except _NAMELESS as error:
        raise named(error, source) from error.__cause__
