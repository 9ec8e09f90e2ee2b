"""What the contracts of image and volume loaders have in common: the fixtures that authors override."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from loadstone.errors import FetchError, InvalidIdError, LoadstoneError
from loadstone.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from loadstone.testing.contracts.subject import Subject
    from loadstone.testing.wire_tap import WireTap

__all__ = ["LoaderFixtures", "override"]

_Errors = type[LoadstoneError] | tuple[type[LoadstoneError], ...]


class LoaderFixtures:
    """What a loader can do, and what there is to load."""

    can_be_missing: ClassVar[bool] = True
    """Whether an id can name something that is not there; False for ids that hold their own pixels."""
    can_be_malformed: ClassVar[bool] = True
    """Whether an id can be one that makes no sense."""
    is_remote: ClassVar[bool] = False
    """Whether it loads over HTTP; then `server` is needed."""
    missing_error: ClassVar[_Errors] = FetchError
    """What it documents for an id that names something that is not there."""
    malformed_error: ClassVar[_Errors] = InvalidIdError
    """What it documents for an id that makes no sense."""

    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        """Override: the stored values, in the dtype and shape of ``scaled=False``."""
        override("expected", "the stored values as an array")

    @pytest.fixture
    def server(self) -> WireTap:
        """Override if `is_remote`: a running `WireTap` before the server that the ids lead to."""
        override("server", "a WireTap that the ids lead through")

    @pytest.fixture
    def new_session(self) -> Callable[[], Session]:
        """Override for credentials, settings, or a loader that is registered at run time."""
        return lambda: Session(backoff_seconds=0.01)

    @pytest.fixture
    def loadable(self, subject: Subject, new_session: Callable[[], Session]) -> Subject:
        """Skip a check of something that does not even load: one failure says so, not all of them."""
        with new_session() as session:
            try:
                subject.load(session)
            except (LoadstoneError, TimeoutError) as error:
                pytest.skip(f"it does not load, see test_it_loads: {error}")
        return subject

    @pytest.fixture
    def missing_id(self, subject: Subject, request: pytest.FixtureRequest) -> str:
        """Return the id of something that is not there, of the kind that is tested."""
        if not self.can_be_missing:
            pytest.skip("can_be_missing = False: whatever an id names is there")
        given: str = request.getfixturevalue(f"missing_{subject.kind}_id")
        return given

    @pytest.fixture
    def malformed_id(self, subject: Subject, request: pytest.FixtureRequest) -> str:
        """Return an id that makes no sense, of the kind that is tested."""
        if not self.can_be_malformed:
            pytest.skip("can_be_malformed = False: every id makes sense")
        given: str = request.getfixturevalue(f"malformed_{subject.kind}_id")
        return given

    @pytest.fixture
    def bad_ids(self, subject: Subject, request: pytest.FixtureRequest) -> list[str]:
        """Return the ids that must not load, as far as there can be any, or skip."""
        flags = {"missing": self.can_be_missing, "malformed": self.can_be_malformed}
        if not any(flags.values()):
            pytest.skip("every id loads: can_be_missing and can_be_malformed are False")
        return [
            request.getfixturevalue(f"{name}_{subject.kind}_id")
            for name, is_possible in flags.items()
            if is_possible
        ]

    @pytest.fixture
    def tap(self, request: pytest.FixtureRequest) -> WireTap:
        """Return the server, or skip."""
        if not self.is_remote:
            pytest.skip("is_remote = False: it asks no server")
        given: WireTap = request.getfixturevalue("server")
        return given


def override(name: str, what: str) -> NoReturn:
    """Fail a check whose fixture its author has to give."""
    pytest.fail(f"override the fixture `{name}`: {what}", pytrace=False)
