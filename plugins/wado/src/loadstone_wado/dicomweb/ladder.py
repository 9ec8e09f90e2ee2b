"""Asking in a way that the server understands: Accept headers in turn, the right one remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from loadstone import FetchError, StashKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone import Session

__all__ = ["BULK", "FRAME", "INSTANCE", "JSON", "PLAIN_FRAME", "RENDERED", "SERIES", "Ladder", "climb"]

_NOT_UNDERSTOOD: Final = frozenset({400, 406, 415})
"""Statuses that say: ask in another way."""
_NOT_ACCEPTABLE: Final = frozenset({406, 415})
"""The same where 400 says something about the question itself."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """The ways to ask for one kind of resource."""

    rungs: tuple[str, ...]
    """Accept headers in the order in which they are tried: each names one media range."""
    refusals: frozenset[int] = _NOT_UNDERSTOOD
    """Statuses after which the next one is tried."""


def _ladder(media: str) -> Ladder:
    """Ask for what is stored, quoted and not, then for what every server must give, then for anything."""
    quoted, plain = f'multipart/related; type="{media}"', f"multipart/related; type={media}"
    return Ladder((f"{quoted}; transfer-syntax=*", f"{plain}; transfer-syntax=*", quoted, plain, "*/*"))


FRAME: Final = _ladder("application/octet-stream")
INSTANCE: Final = _ladder("application/dicom")
SERIES: Final = _ladder("application/dicom")
PLAIN_FRAME: Final = Ladder(FRAME.rungs[2:])
"""For a frame in whatever way the server can give it."""
BULK: Final = Ladder(FRAME.rungs[2:])
JSON: Final = Ladder(("application/dicom+json", "application/json", "*/*"), _NOT_ACCEPTABLE)
RENDERED: Final = Ladder(("image/jpeg", "image/png", "*/*"))

_RUNGS: StashKey[dict[tuple[str, Ladder], int]] = StashKey()


def climb(ladder: Ladder, root: str, session: Session, ask: Callable[[str], T]) -> T:
    """
    Ask with the first Accept header that the server at `root` understands.

    Parameters
    ----------
    ladder
        What is asked for.
    root
        URL of the service; the header that it understood is remembered for it.
    session
        Remembers it.
    ask
        Asks with an Accept header.

    Raises
    ------
    FetchError
        The server's last refusal, or whatever `ask` raises.
    """
    remembered = session.stash.setdefault(_RUNGS, dict)
    rung = remembered.get((root, ladder), 0)
    while True:
        try:
            answer = ask(ladder.rungs[rung])
        except FetchError as error:
            if error.status not in ladder.refusals or rung + 1 == len(ladder.rungs):
                raise
            rung += 1
        else:
            remembered[root, ladder] = rung
            return answer
