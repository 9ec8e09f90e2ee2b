"""Checks of the arrays that come out: right, final, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone.testing.contracts.loaders import LoaderFixtures
from loadstone.testing.contracts.memory import LEAST_BYTES, SLACK_BYTES, array_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from loadstone.session import Session
    from loadstone.testing.contracts.subject import Subject

__all__ = ["ArrayChecks"]


class ArrayChecks(LoaderFixtures):
    """Checks of arrays."""

    def test_it_loads(self, subject: Subject, new_session: Callable[[], Session]) -> None:
        """What the id names loads, and the core accepts it."""
        with new_session() as session:
            subject.load(session)

    def test_array_is_the_expected_one(
        self, loadable: Subject, new_session: Callable[[], Session], expected: npt.NDArray[Any]
    ) -> None:
        """dtype, shape and every stored value are those that the author knows."""
        with new_session() as session:
            array = loadable.copy(session, scaled=False)

        assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(array, expected)

    def test_array_is_final(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """An array that was handed out is contiguous, read-only, and no later load writes into it."""
        with new_session() as session:
            array = np.asarray(loadable.load(session))
            before = array.copy()
            again = np.asarray(loadable.load(session, reload=True))

            assert array.flags.c_contiguous
            assert array.dtype.isnative
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True
            np.testing.assert_array_equal(array, before, "the next load wrote into an earlier result")
            assert not np.may_share_memory(array, again), "two loads gave the same memory"

    def test_same_call_gives_same_array(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """Whatever was loaded before, is cached or not, the same call gives the same dtype and values."""
        calls: tuple[dict[str, Any], ...] = ({"scaled": False}, {})
        fresh = []
        for call in calls:
            with new_session() as session:
                fresh.append(loadable.copy(session, **call))
        with new_session() as session:
            for extra in ({}, {"reload": True}, {"cache": False}, {}):
                for call, first in zip(calls, fresh, strict=True):
                    again = loadable.copy(session, **call, **extra)

                    assert again.dtype == first.dtype, f"another dtype with {call | extra}"
                    np.testing.assert_array_equal(again, first, f"other values with {call | extra}")

    def test_memory_is_counted(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """Arrays that stay in memory are results or `context.source`s, and are gone with the session."""
        with array_memory() as living:
            with new_session() as session:
                loaded = loadable.load(session)
                nbytes = np.asarray(loaded).nbytes
                sources = session.cache.stats().kept - loaded.nbytes
                while_open = living()
            del loaded
            after = living()

        if nbytes < LEAST_BYTES:
            pytest.skip(f"{nbytes:,} bytes do not stand out: load something of {LEAST_BYTES:,} or more")
        assert while_open <= nbytes + sources + SLACK_BYTES, (
            f"arrays of {while_open:,} bytes live after the load: {nbytes:,} are the result and {sources:,} "
            "sources; let the session keep what must stay, with context.source"
        )
        assert after <= SLACK_BYTES, f"arrays of {after:,} bytes outlive the session; keep none in a module"
