"""``loadstone plugins``: what is installed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import loadstone
from loadstone.cli.output import show_json, show_table

__all__ = ["plugins"]

_KINDS = {
    "loadstone.image_loaders": "images",
    "loadstone.volume_loaders": "volumes",
    "loadstone.suffixes": "suffix",
    "loadstone.plugins": "plugin",
    "loadstone.commands": "command",
}


def plugins(*, json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """List the installed plugins, what they load and their state, without importing any."""
    found = sorted(loadstone.plugins(), key=lambda each: (list(_KINDS).index(each.group), each.name))
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
