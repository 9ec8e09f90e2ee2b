"""The command: names are checked, then the template is filled in."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Final

import typer

import loadstone
from loadstone._plugins.index import scheme_fault
from loadstone._plugins.policy import normalised
from loadstone.errors import LoadstoneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["new_plugin"]

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FILES: Final = {
    "pyproject.toml": "pyproject.toml.template",
    "README.md": "README.md.template",
    "src/$module/__init__.py": "package.py.template",
    "src/$module/py.typed": "",
    "tests/test_contract.py": "test_contract.py.template",
}
"""Path in the new package to the template of its content."""


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the distribution, such as loadstone-acme.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where to write it; default: ./NAME.", show_default=False)
    ] = None,
    *,
    scheme: Annotated[
        str,
        typer.Option(help="What its ids begin with; default: NAME without 'loadstone-'.", show_default=False),
    ] = "",
) -> None:
    """Write a package with a plugin: a loader that works, and the tests that it has to pass."""
    words = _words(name, scheme or normalised(name).removeprefix("loadstone-"))
    folder = Path(name) if folder is None else folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LoadstoneError("is there already", source=str(folder), hint="Choose another folder.")
    for path, content in _filled_in(words):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
        typer.echo(str(folder / path))
    typer.echo(f'\nNext: pip install -e "{folder}[test]" and pytest "{folder}"')


def _words(name: str, scheme: str) -> dict[str, str]:
    """Return what the template leaves open; refuse names that would not work."""
    module = normalised(name).replace("-", "_")
    if not _NAME.fullmatch(name):
        raise LoadstoneError(f"{name!r} is no name of a distribution", hint="Write it as loadstone-acme.")
    if not module.isidentifier() or keyword.iskeyword(module) or module in _taken_modules():
        raise LoadstoneError(
            f"{name!r} would become the module {module!r}, which cannot be or is taken",
            hint=f"Call it loadstone-{normalised(name)}.",
        )
    if fault := scheme_fault(scheme):
        raise LoadstoneError(fault, hint="Choose another one with --scheme.")
    for each in loadstone.plugins():
        if each.name == scheme.lower() and each.distribution not in {"", normalised(name)}:
            raise LoadstoneError(
                f"the scheme {scheme!r} is claimed by {each.distribution}",
                hint="Choose another one with --scheme.",
            )
    core = version("loadstone")
    major, minor = (int(part) for part in core.split(".")[:2])
    below = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return {
        "name": normalised(name),
        "module": module,
        "scheme": scheme.lower(),
        "bounds": f">={major}.{minor},<{below}",
    }


def _taken_modules() -> frozenset[str]:
    return sys.stdlib_module_names | {"loadstone", "numpy", "pluggy", "pytest", "tests"}


def _filled_in(words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path and the content of each file."""
    templates = files("loadstone.cli.new_plugin") / "templates"
    for path, template in _FILES.items():
        text = (templates / template).read_text(encoding="utf-8") if template else ""
        yield Template(path).substitute(words), Template(text).substitute(words)
