"""Who imports what: plugins only public names of the core, the core no plugin, no plugin another one."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import loadstone

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core"
PLUGINS = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
FOLDERS = [CORE, *(path.parent for path in PLUGINS)]
PLUGIN_FOLDERS = FOLDERS[1:]


@dataclass(frozen=True, slots=True)
class Import:
    """A name that a module imports or reaches through an imported module."""

    where: str
    """File and line, to look at."""
    module: str
    """The module that is imported, or imported from."""
    name: str = ""
    """What is imported from it; empty for the module itself."""
    for_types: bool = False
    """Whether only type checkers see it."""

    @property
    def package(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.where}: {self.module}.{self.name}".rstrip(".")


@cache
def imports(folder: Path) -> tuple[Import, ...]:
    """List what the code of a package imports, at whatever depth: in functions and for type checkers, too."""
    return tuple(
        found
        for path in sorted((folder / "src").rglob("*.py"))
        for found in imports_below(ast.parse(path.read_bytes()), str(path.relative_to(ROOT)))
    )


def imports_below(node: ast.AST, file: str, *, for_types: bool = False) -> Iterator[Import]:
    """Yield what a part of a module imports, and what it takes from the module `loadstone`."""
    for_types |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    for each in imports_of(node, file):
        yield replace(each, for_types=for_types)
    for child in ast.iter_child_nodes(node):
        yield from imports_below(child, file, for_types=for_types)


def imports_of(node: ast.AST, file: str) -> Iterator[Import]:
    """Yield what one statement imports, or one expression takes."""
    match node:
        case ast.Import():
            yield from (Import(f"{file}:{node.lineno}", alias.name) for alias in node.names)
        case ast.ImportFrom(module=str(module)):
            yield from (Import(f"{file}:{node.lineno}", module, alias.name) for alias in node.names)
        case ast.ImportFrom():  # from . import x
            yield Import(f"{file}:{node.lineno}", ".")
        case ast.Attribute(value=ast.Name(id="loadstone")):
            yield Import(f"{file}:{node.lineno}", "loadstone", node.attr)


def of_loadstone(folder: Path) -> list[Import]:
    """List what a plugin imports from the core."""
    return [each for each in imports(folder) if each.package == "loadstone"]


def own_package(folder: Path) -> str:
    """Name the import package of a distribution."""
    return str(declared(folder)["name"]).replace("-", "_")


@cache
def declared(folder: Path) -> dict[str, Any]:
    """Read the table `[project]`."""
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    return project


def required(folder: Path) -> set[str]:
    """Name the distributions that a package needs or has an extra for; those of `loadstone[extra]` count."""
    extras = declared(folder).get("optional-dependencies", {}).values()
    requirements = [
        Requirement(text) for texts in [declared(folder)["dependencies"], *extras] for text in texts
    ]
    of_core = {
        canonicalize_name(Requirement(text).name)
        for requirement in requirements
        if requirement.name == "loadstone"
        for extra in requirement.extras
        for text in declared(CORE)["optional-dependencies"][extra]
    }
    return {canonicalize_name(requirement.name) for requirement in requirements} | of_core


def is_public(found: Import) -> bool:
    """Whether no part of a name is private, and it is a module or in the `__all__` of one."""
    if any(part.startswith("_") for part in [*found.module.split("."), found.name]):
        return False
    module = importlib.import_module(found.module)
    if not found.name or found.name in module.__all__:
        return True
    return isinstance(getattr(module, found.name, None), ModuleType)


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS, ids=lambda folder: folder.name)
def test_a_plugin_imports_only_public_names_of_the_core(folder: Path) -> None:
    """What a plugin uses, a third party can use as well: no private module, no name outside of `__all__`."""
    taken = of_loadstone(folder)

    assert taken
    assert [str(found) for found in taken if not is_public(found)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nobody_imports_a_plugin(folder: Path) -> None:
    """The core imports no plugin, and no plugin another one: each works without the others."""
    others = {own_package(other) for other in PLUGIN_FOLDERS if other != folder}

    assert [str(found) for found in imports(folder) if found.package in others] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_imports_are_absolute(folder: Path) -> None:
    """A relative import would hide from these tests what is imported."""
    relative = re.compile(r"^\s*from\s+\.", re.MULTILINE)

    assert [
        str(path.relative_to(ROOT))
        for path in (folder / "src").rglob("*.py")
        if relative.search(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_imports_are_declared(folder: Path) -> None:
    """What a package imports it requires, or has an extra for: an environment with it alone is complete."""
    distributions = packages_distributions()
    given = required(folder)

    undeclared = [
        str(found)
        for found in imports(folder)
        if not found.for_types
        and found.package not in {own_package(folder), *sys.stdlib_module_names}
        and given.isdisjoint(map(canonicalize_name, distributions.get(found.package, [found.package])))
    ]

    assert undeclared == []


def test_the_public_surface_is_what_all_says() -> None:
    """`loadstone` has the names in `__all__` and its modules, nothing that only happens to be imported."""
    names = {
        name
        for name, value in vars(loadstone).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }

    assert sorted(names) == sorted(loadstone.__all__)
    assert loadstone.__all__ == sorted(loadstone.__all__)


def public_modules() -> list[str]:
    """Name the public modules of the core; the CLI is a program, not for import."""
    source = CORE / "src"
    names = [
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in source.rglob("*.py")
    ]
    return sorted(name for name in names if "._" not in name and not name.startswith("loadstone.cli"))


@pytest.mark.parametrize("name", public_modules())
def test_a_public_module_says_what_is_public(name: str) -> None:
    """Each public module has an `__all__`, every name of which is there."""
    module = importlib.import_module(name)

    assert [each for each in module.__all__ if not hasattr(module, each)] == []
