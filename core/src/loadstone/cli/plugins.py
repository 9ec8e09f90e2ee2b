"""``loadstone plugins``: what is installed, and whether it can be used."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

import loadstone
from loadstone.cli.check_plugins import check_plugins
from loadstone.cli.output import show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone import PluginInfo

__all__ = ["plugins"]

_KINDS = {
    "loadstone.image_loaders": "images",
    "loadstone.volume_loaders": "volumes",
    "loadstone.suffixes": "suffix",
    "loadstone.plugins": "plugin",
    "loadstone.commands": "command",
}


def plugins(
    schemes: Annotated[
        list[str] | None, typer.Argument(help="Only these schemes, suffixes or names.", show_default=False)
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Import each plugin in a process of its own; end with 1 if one fails."),
    ] = False,
) -> None:
    """List the installed plugins, what they load and their state; without --check none is imported."""
    found = _found(schemes or ())
    if check:
        raise typer.Exit(check_plugins(found, json=json))
    if json:
        show_json([{"kind": _KINDS[each.group], **asdict(each)} for each in found])
        return
    show_table(
        ("scheme", "kind", "distribution", "version", "state"),
        (
            (
                each.name,
                _KINDS[each.group],
                each.distribution or "(this program)",
                each.version,
                f"{each.state}: {each.reason}" if each.reason else each.state,
            )
            for each in found
        ),
        fold=("distribution", "state"),
    )


def _found(names: Sequence[str]) -> list[PluginInfo]:
    """Return the claims of these names, or all of them, sorted for people."""
    listed = loadstone.plugins()
    known = {each.name for each in listed}
    for name in names:
        if name.lower() not in known:
            schemes = {each.name for each in listed if _KINDS[each.group] in {"images", "volumes"}}
            raise loadstone.UnknownSchemeError(name, installed=sorted(schemes))
    wanted = {name.lower() for name in names} or known
    return sorted(
        (each for each in listed if each.name in wanted),
        key=lambda each: (list(_KINDS).index(each.group), each.name),
    )
