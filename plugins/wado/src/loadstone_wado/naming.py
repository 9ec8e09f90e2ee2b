"""Errors that say which object they are about."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loadstone.errors import DecodeError, IntegrityError, LimitError, MetadataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["naming"]


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
    except (DecodeError, IntegrityError, LimitError, MetadataError, UnsupportedError) as error:
        if error.source or not source:
            raise
        raise type(error)(error.what, source=source, hint=error.hint) from (error.__cause__ or error)
