"""The package of the page "Write your own loader", as its author builds it and a user installs it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.installs.builders import ROOT, Environment, run_uv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.installs

EXAMPLE = ROOT / "examples" / "loadstone-base64"


def build_example(folder: Path) -> Path:
    """Build the wheel of the example by its own pyproject.toml."""
    run_uv(
        *("build", "--wheel", "--offline", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", folder, EXAMPLE),
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_example_loads_as_soon_as_it_is_installed(tmp_path: Path, environment: Environment) -> None:
    """The core alone does not know the scheme; with the wheel beside it the scheme loads."""
    example = "loadstone.load_image('base64:2x3,AAECAwQF')"

    before = environment.ask("failure('load_image', 'base64:2x3,AAECAwQF')")
    environment.install(build_example(tmp_path))
    pixels = environment.ask(f"{example}.pixels.tolist()")
    maker = environment.ask(f"{example}.loader.distribution")

    assert before[0] == "UnknownSchemeError"
    assert pixels == [[0, 1, 2], [3, 4, 5]]
    assert maker == "loadstone-base64"


def test_the_example_passes_its_own_tests(tmp_path: Path, environment: Environment) -> None:
    """The tests that the page shows pass against what was installed, not against the repository."""
    environment.install(build_example(tmp_path), "pytest")
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")

    result = environment.run(f"import pytest; print(int(pytest.main(['-q', {str(tmp_path / 'tests')!r}])))")

    assert result.splitlines()[-1] == "0", result
