"""Checks of how a loader fails: typed, named, chained, and without a trace."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np

from loadstone.errors import LoadstoneError
from loadstone.ids import ImageId, VolumeId
from loadstone.testing.contracts.loaders import LoaderFixtures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone.session import Session
    from loadstone.testing.contracts.subject import Subject

__all__ = ["ErrorChecks"]


class ErrorChecks(LoaderFixtures):
    """Checks of errors."""

    def test_missing_id_raises_its_error(
        self, loadable: Subject, new_session: Callable[[], Session], missing_id: str
    ) -> None:
        """An id of something that is not there ends with `missing_error`."""
        with new_session() as session:
            error = loadable.named(missing_id).failure(session)

        assert isinstance(error, self.missing_error), f"{type(error).__name__}: {error}"

    def test_malformed_id_raises_its_error(
        self, loadable: Subject, new_session: Callable[[], Session], malformed_id: str
    ) -> None:
        """An id that makes no sense ends with `malformed_error`."""
        with new_session() as session:
            error = loadable.named(malformed_id).failure(session)

        assert isinstance(error, self.malformed_error), f"{type(error).__name__}: {error}"

    def test_errors_keep_their_cause(
        self, loadable: Subject, new_session: Callable[[], Session], bad_ids: list[str]
    ) -> None:
        """An error that stands for another one is raised ``from`` it."""
        for bad_id in bad_ids:
            with new_session() as session:
                error = loadable.named(bad_id).failure(session)

            for each in _chain(error):
                hidden = each.__context__ if each.__cause__ is None else None
                assert hidden is None or isinstance(hidden, LoadstoneError), (
                    f"{each!r} for {bad_id!r} hides {hidden!r}; write `raise ... from error`"
                )

    def test_ids_and_errors_pickle(
        self, loadable: Subject, new_session: Callable[[], Session], bad_ids: list[str]
    ) -> None:
        """Ids and errors go to another process and back: `multiprocessing` and job queues send them."""
        kind = ImageId if loadable.kind == "image" else VolumeId
        for bad_id in bad_ids:
            with new_session() as session:
                error = loadable.named(bad_id).failure(session)
            back = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here

            assert (type(back), str(back)) == (type(error), str(error))
        assert pickle.loads(pickle.dumps(kind(loadable.id))) == loadable.id  # noqa: S301 - the same

    def test_failure_leaves_nothing_behind(
        self, loadable: Subject, new_session: Callable[[], Session], bad_ids: list[str]
    ) -> None:
        """After a failure no memory is held, the next correct load works, and what failed fails again."""
        with new_session() as session:
            right = loadable.copy(session)
        for bad_id in bad_ids:
            with new_session() as session:
                first = loadable.named(bad_id).failure(session)
                stats = session.cache.stats()
                next_one = loadable.copy(session)
                again = loadable.named(bad_id).failure(session)

            assert (stats.reserved, stats.pinned) == (0, 0), f"{bad_id!r} left memory reserved or in use"
            np.testing.assert_array_equal(next_one, right, f"other values after {bad_id!r} failed")
            assert type(again) is type(first), f"{bad_id!r} fails differently the second time: {again!r}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while isinstance(error, LoadstoneError):
        assert id(error) not in seen, f"{error!r} is its own cause"
        seen.add(id(error))
        yield error
        error = error.__cause__
