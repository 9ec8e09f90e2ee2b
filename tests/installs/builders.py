"""Wheels, virtual environments to install them into, and fresh interpreters in those."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Self

import uv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

ROOT = Path(__file__).parents[2]
CORE = "loadstone"
PLUGINS = {
    "loadstone-nifti": {"nifti"},
    "loadstone-wado": {"dicomfile", "wadors", "wadouri"},
    "loadstone-web": {"web"},
}
"""The schemes of each plugin."""
SCHEMES = sorted(set().union(*PLUGINS.values()))

INTERPRETER = Path(__file__).with_name("interpreter.py")

# A whole plugin: each of its images has one pixel with the value that the test chose.
SOURCE = """
import numpy as np

import loadstone


def load(image_id, context):
    return loadstone.Image(np.full((1, 1), {value}, np.int16))


@loadstone.hookimpl
def loadstone_image_loaders():
    return [loadstone.ImageLoader(scheme, load) for scheme in {schemes}]
"""


def run_uv(*arguments: str | Path) -> str:
    """
    Run the uv of the test environment and return what it printed.

    It runs in the root, where `[tool.uv]` says how uv behaves here.
    """
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def _environment(**variables: str) -> dict[str, str]:
    """Return the variables of this process without those that would lead back into the workspace."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOADSTONE_", "PYTHON", "VIRTUAL_ENV"))
    }
    return kept | variables


def build_wheels(folder: Path) -> dict[str, Path]:
    """Build the source distributions of the four packages, and from these their wheels."""
    run_uv(
        *("build", "--all-packages", "--offline", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", folder),
    )
    return {name: _only_wheel(folder, name) for name in (CORE, *PLUGINS)}


def build_plugin(
    folder: Path,
    name: str,
    schemes: Sequence[str],
    *,
    version: str = "1.0",
    value: int = 0,
    source: str = SOURCE,
) -> Path:
    """Write the project of a plugin, as its author would, and build its wheel."""
    module = name.replace("-", "_")
    project = folder / f"{name}-{version}"
    project.mkdir()
    loaders = "\n".join(f'{scheme} = "{module}"' for scheme in schemes)
    (project / "pyproject.toml").write_text(
        dedent("""\
        [build-system]
        requires = ["hatchling"]
        build-backend = "hatchling.build"

        [project]
        name = "{name}"
        version = "{version}"
        dependencies = ["loadstone"]

        [project.entry-points."loadstone.image_loaders"]
        {loaders}
        """).format(name=name, version=version, loaders=loaders),
        encoding="utf-8",
    )
    (project / f"{module}.py").write_text(
        source.format(value=value, schemes=list(schemes)) if source is SOURCE else source, encoding="utf-8"
    )
    run_uv(
        *("build", "--wheel", "--offline", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", project, project),
    )
    return _only_wheel(project, name)


def _only_wheel(folder: Path, name: str) -> Path:
    (wheel,) = folder.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return wheel


class Environment:
    """
    A virtual environment that sees nothing of the workspace and of the environment that the tests run in.

    Loadstone's packages are given as wheels. What they need has the version that `constraints.txt` pins: uv
    has had it in its cache since it made the environment of the tests, and links it from there at once.
    """

    def __init__(self, folder: Path, *requirements: str | Path) -> None:
        self.folder = folder
        self._python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run_uv("venv", "--python", sys.executable, folder)
        self.install(*requirements)

    def install(self, *requirements: str | Path) -> None:
        """Install wheels or named packages; whatever they need comes in the version of `constraints.txt`."""
        run_uv("pip", "install", "--python", self._python, "--constraints", "constraints.txt", *requirements)

    def replace(self, requirement: str) -> None:
        """Install another version than that of `constraints.txt`."""
        run_uv("pip", "install", "--python", self._python, requirement)
        self.check()

    def check(self) -> None:
        """Ask whether everything that the installed distributions need is there, in a version that fits."""
        run_uv("pip", "check", "--python", self._python)

    def uninstall(self, *names: str) -> None:
        """Uninstall distributions."""
        run_uv("pip", "uninstall", "--python", self._python, *names)

    def start(self, **variables: str) -> Interpreter:
        """Start an interpreter that has imported Loadstone."""
        return Interpreter(self._python, self.folder, variables)

    def ask(self, expression: str, **variables: str) -> Any:
        """Evaluate an expression in a fresh interpreter that has imported Loadstone."""
        with self.start(**variables) as interpreter:
            return interpreter.ask(expression)

    def run(self, code: str) -> str:
        """Run code in a fresh interpreter that has imported nothing, and return what it printed."""
        command: list[str | Path] = [self._python, "-I", "-W", "error", "-c", code]
        done = subprocess.run(
            command, cwd=self.folder, env=_environment(), stdout=subprocess.PIPE, text=True, check=True
        )
        return str(done.stdout)


class Interpreter:
    """A process that runs on, and evaluates what it is given."""

    def __init__(self, python: Path, folder: Path, variables: dict[str, str]) -> None:
        # Isolated: neither a variable nor the current folder adds to its path. A warning is an error.
        self._process = subprocess.Popen(
            [python, "-I", "-W", "error", INTERPRETER],
            cwd=folder,
            env=_environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, expression: str) -> Any:
        """Evaluate an expression and return its value, which has to be something that JSON knows."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{expression}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"{expression} ended the interpreter"
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
