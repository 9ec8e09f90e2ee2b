"""The commands as one program: the core's own, those of plugins, and what happens when one fails."""

from __future__ import annotations

import io
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from loadstone.cli.doctor import doctor
from loadstone.cli.info import info
from loadstone.cli.load import load
from loadstone.cli.new_plugin import new_plugin
from loadstone.cli.output import say_error
from loadstone.cli.plugin_commands import plugin_commands
from loadstone.cli.plugins import plugins
from loadstone.cli.scan import scan
from loadstone.errors import LoadstoneError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

_CORE = (plugins, info, scan, load, doctor, new_plugin)


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code; what went wrong is one line on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _survive_narrow_encodings()
    try:
        _program(arguments).main(args=list(arguments), prog_name="loadstone")
    except SystemExit as end:
        return _code(end)
    except (LoadstoneError, OSError) as error:
        say_error(error)
        return 1
    return 0


def _program(arguments: Sequence[str]) -> TyperGroup:
    """Build the commands; those of plugins are imported only where they are meant, or all are listed."""
    program = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
    program.callback()(_options)
    for command in _CORE:
        program.command(command.__name__.replace("_", "-"))(command)
    group = typer.main.get_command(program)
    assert isinstance(group, TyperGroup)  # noqa: S101 - for the type: it has several commands
    meant = next((each for each in arguments if not each.startswith("-")), None)
    own = frozenset(group.commands)
    if meant not in own:
        for name, command in plugin_commands(meant, taken=own):
            group.add_command(command, name)
    return group


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        typer.echo(f"loadstone {version('loadstone')}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Load medical images by name, through plugins."""


def _survive_narrow_encodings() -> None:
    """A terminal or pipe that cannot encode a file's name shows an escape; it is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _code(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else int(end.code is not None)
