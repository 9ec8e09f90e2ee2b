from __future__ import annotations

import pytest

from loadstone import FetchError, Session
from loadstone_wado.dicomweb.ladder import BULK, FRAME, INSTANCE, SERIES, Ladder, climb


class Refusing:
    """Understands one Accept header only."""

    def __init__(self, understood: str, status: int = 406) -> None:
        self.understood = understood
        self.status = status
        self.asked: list[str] = []

    def __call__(self, accept: str) -> str:
        self.asked.append(accept)
        if accept != self.understood:
            raise FetchError("refused", status=self.status)
        return accept


@pytest.mark.parametrize("ladder", [FRAME, INSTANCE, SERIES, BULK])
def test_one_media_range_in_each(ladder: Ladder) -> None:
    """Each header names one media range; the last one takes anything."""
    assert not any("," in rung for rung in ladder.rungs)
    assert len(set(ladder.rungs)) == len(ladder.rungs)
    assert ladder.rungs[-1] == "*/*"


@pytest.mark.parametrize("rung", range(len(FRAME.rungs)))
def test_what_was_understood_is_remembered(rung: int) -> None:
    """The next request to the same root begins where the last one ended, for this kind only."""
    with Session() as session:
        server = Refusing(FRAME.rungs[rung])
        climb(FRAME, "http://h/dw", session, server)
        climb(FRAME, "http://h/dw", session, server)

        assert server.asked == [*FRAME.rungs[: rung + 1], FRAME.rungs[rung]]
        for ladder, root in ((FRAME, "http://other/dw"), (INSTANCE, "http://h/dw")):
            other = Refusing(ladder.rungs[0])
            climb(ladder, root, session, other)
            assert other.asked == [ladder.rungs[0]]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_other_refusals_are_no_matter_of_words(status: int) -> None:
    """Only 400, 406 and 415 are answered by asking in another way."""
    with Session() as session:
        server = Refusing("nothing", status)
        with pytest.raises(FetchError):
            climb(FRAME, "http://h/dw", session, server)

        assert server.asked == [FRAME.rungs[0]]


def test_nothing_is_understood() -> None:
    """The last refusal is the error, and nothing is remembered."""
    with Session() as session:
        server = Refusing("nothing", 415)
        for _ in range(2):
            with pytest.raises(FetchError, match="refused"):
                climb(FRAME, "http://h/dw", session, server)

        assert server.asked == [*FRAME.rungs] * 2
