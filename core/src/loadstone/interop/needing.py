"""Libraries that are only there for those who asked for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loadstone.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["needing"]


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """
    Say what to install where an import inside fails.

    Parameters
    ----------
    extra
        Of the distribution, which brings the library.

    Raises
    ------
    UnsupportedError
        If the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"this needs {error.name}, which is not installed",
            hint=f'Install it: pip install "loadstone[{extra}]".',
        ) from error
