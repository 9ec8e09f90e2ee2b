"""``loadstone doctor``: the settings and where they come from, the versions, what is broken."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any

import typer

import loadstone
from loadstone._plugins import PluginInfo, PluginPolicy
from loadstone.cli.output import console, show_facts, show_json, show_table
from loadstone.errors import LoadstoneError
from loadstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["doctor"]

_SWITCHES = ("LOADSTONE_PLUGINS", "LOADSTONE_DISABLE_PLUGINS", "LOADSTONE_PREFER", "LOADSTONE_STRICT")
_LIBRARIES = ("loadstone", "numpy", "pluggy", "urllib3", "typer", "rich")
_USERINFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class _Row:
    """One setting."""

    name: str
    """Its field, or the variable."""
    value: Any
    """What holds."""
    source: str
    """Where that came from."""
    fault: str = ""
    """Why it cannot be used."""


def doctor(*, json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """Show each setting, its value and where it comes from, the versions, and what is wrong."""
    settings = [*_settings(), *_switches()]
    faults = [*(each.fault for each in settings if each.fault), *_strangers(), *_broken_plugins()]
    if json:
        rows = [{"name": each.name, "value": each.value, "source": each.source} for each in settings]
        show_json({"versions": dict(_versions()), "settings": rows, "faults": faults})
    else:
        show_facts(_versions())
        console().print()
        show_table(
            ("setting", "value", "from"),
            ((each.name, each.value, each.source) for each in settings),
            fold=("value",),
        )
        show_facts(("wrong", fault) for fault in faults)
    if faults:
        raise typer.Exit(1)


def _settings() -> Iterator[_Row]:
    """Read each setting by itself, so that a wrong one hides no other."""
    defaults = Settings()
    for each in fields(Settings):
        variable = f"LOADSTONE_{each.name.upper()}"
        if variable not in os.environ:
            yield _Row(each.name, getattr(defaults, each.name), "default")
            continue
        try:
            value = getattr(Settings.from_environment({variable: os.environ[variable]}), each.name)
            yield _Row(each.name, _without_password(value), variable)
        except LoadstoneError as error:
            yield _Row(each.name, getattr(defaults, each.name), "default", str(error))


def _without_password(value: object) -> object:
    return _USERINFO.sub("//***@", value) if isinstance(value, str) else value


def _switches() -> Iterator[_Row]:
    for variable in _SWITCHES:
        if (text := os.environ.get(variable)) is None:
            continue
        try:
            PluginPolicy.from_environment({variable: text})
            yield _Row(variable, text, "environment")
        except LoadstoneError as error:
            yield _Row(variable, text, "environment", str(error))


def _strangers() -> Iterator[str]:
    """A misspelt variable would be ignored in silence."""
    known = [f"LOADSTONE_{each.name.upper()}" for each in fields(Settings)] + list(_SWITCHES)
    for variable in sorted(os.environ):
        if variable.startswith("LOADSTONE_") and variable not in known and variable not in _FOR_TESTS:
            close = get_close_matches(variable, known, n=1)
            yield f"{variable} is no setting" + (f"; did you mean {close[0]}?" if close else "")


_FOR_TESTS = ("LOADSTONE_TEST_DATA",)


def _broken_plugins() -> Iterator[str]:
    for each in _plugins():
        if each.state in ("broken", "conflict"):
            yield f"{each.distribution} {each.version}, {each.name!r} is {each.state}: {each.reason}"


def _plugins() -> tuple[PluginInfo, ...]:
    try:
        return loadstone.plugins()
    except LoadstoneError:  # a switch that cannot be read: listed already
        return ()


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    plugins = {each.distribution for each in _plugins() if each.distribution}
    for name in (*_LIBRARIES, *sorted(plugins)):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"
