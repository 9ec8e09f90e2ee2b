"""The first things that a reader copies, with nothing installed but the packages and what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installs.builders import ROOT, Environment
from tests.test_readme import block

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.installs


def test_what_the_tests_install_is_not_needed(tmp_path: Path, wheels: dict[str, Path]) -> None:
    """The README's script and the script for the documentation's files need only the four packages."""
    environment = Environment(tmp_path / "environment", *wheels.values())

    printed = environment.run(block("python"))
    environment.run((ROOT / "docs" / "samples.py").read_text(encoding="utf-8"))

    assert printed == block("text")
    assert (environment.folder / "ct").is_dir()
