"""The wheels, built once, and an environment with the core alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installs.builders import CORE, Environment, build_wheels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the wheels of the four packages by distribution."""
    return build_wheels(tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def environment(tmp_path: Path, wheels: dict[str, Path]) -> Environment:
    """Return an environment with the core alone."""
    return Environment(tmp_path / "environment", wheels[CORE])
