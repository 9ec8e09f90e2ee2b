"""What `loadstone new-plugin` writes, as its author builds, installs and tests it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.installs.builders import CORE, Environment, run_uv

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.installs


def test_a_new_plugin_passes_from_the_start(tmp_path: Path, wheels: dict[str, Path]) -> None:
    """The installed command writes a package; its wheel installs, its tests pass, and the check says ok."""
    environment = Environment(tmp_path / "environment", f"loadstone[cli,testing] @ {wheels[CORE].as_uri()}")
    project = tmp_path / "loadstone-acme"

    command(environment, "new-plugin", "loadstone-acme", str(project))
    run_uv(
        *("build", "--wheel", "--offline", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", tmp_path, project),
    )
    (wheel,) = tmp_path.glob("*.whl")
    environment.install(wheel)
    tests = environment.run(
        f"import pytest; print(int(pytest.main(['-q', '-rs', '-p', 'no:cacheprovider', {str(project)!r}])))"
    )
    check = command(environment, "plugins", "--check", "acme")

    assert tests.splitlines()[-1] == "0", tests
    assert "see test_it_loads" not in tests
    assert check == "ok loadstone-acme 0.1.0 loadstone_acme (acme)\n"


def command(environment: Environment, *arguments: str) -> str:
    """Run a command that must go well; return what it printed."""
    return environment.run(f"import sys; from loadstone.cli import main; sys.exit(main({list(arguments)!r}))")
