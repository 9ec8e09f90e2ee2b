"""Checks of what a server sees of a loader, and of what stays open."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from loadstone.errors import LoadCancelled
from loadstone.testing.contracts.leftovers import OpenThings
from loadstone.testing.contracts.loaders import LoaderFixtures
from loadstone.testing.contracts.subject import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.session import Session
    from loadstone.testing.contracts.subject import Subject
    from loadstone.testing.wire_tap import WireTap

__all__ = ["LeftoverChecks", "RemoteChecks"]

_CANCEL_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 2.0
_GLANCE_SECONDS: Final = 0.02


class RemoteChecks(LoaderFixtures):
    """Checks of what a server sees."""

    def test_cancel_closes_the_connection(
        self, loadable: Subject, new_session: Callable[[], Session], tap: WireTap
    ) -> None:
        """Cancelling a load that waits for the server closes its connection within a second."""
        before = tap.passed
        with new_session() as session:
            loadable.load(session)
        tap.hold_after((tap.passed - before) // 2)
        with new_session() as session:
            handle = loadable.request(session)

            assert tap.wait_for(_holds, SECONDS), "the load never waits for the second half of its bytes"
            waiting = [each for each in tap.connections if each.holds]
            handle.cancel()

            assert isinstance(handle.exception(0), LoadCancelled)
            assert tap.wait_for(lambda _: all(each.closed_at for each in waiting), _CANCEL_SECONDS), (
                "the server still has its connection a second after the cancel; read by context.fetch or "
                "context.stream, or close what you opened in context.on_cancel"
            )

    def test_concurrent_loads_share_requests(
        self, loadable: Subject, new_session: Callable[[], Session], tap: WireTap
    ) -> None:
        """Two loads of one id at the same time send the requests of one."""
        with new_session() as session:
            start = len(tap.requests)
            alone = loadable.copy(session)
            of_one = tap.requests[start:]
        with new_session() as session:
            start = len(tap.requests)
            handles = [loadable.request(session) for _ in range(2)]
            arrays = [np.asarray(handle.result(SECONDS)) for handle in handles]
            of_both = tap.requests[start:]

        assert sorted(of_both) == sorted(of_one)
        for array in arrays:
            np.testing.assert_array_equal(array, alone)


def _holds(tap: WireTap) -> bool:
    return any(each.holds for each in tap.connections)


class LeftoverChecks(LoaderFixtures):
    """Checks of what stays open."""

    def test_nothing_stays_open(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """Threads, files and sockets are gone two seconds after the session was closed."""
        before = OpenThings.now()
        with new_session() as session:
            loadable.load(session)
            loadable.load(session, reload=True)
        until = time.monotonic() + _CLOSE_SECONDS
        while (left := OpenThings.now().since(before)) and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)

        assert left == []
