"""Commands that plugins add: imported one by one, so that a broken one breaks nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import typer

from loadstone._plugins import Candidate, default_registry
from loadstone.errors import LoadstoneError, PluginLoadError, SchemeConflictError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["plugin_commands"]


def plugin_commands(meant: str | None, *, taken: Collection[str]) -> Iterator[tuple[str, Any]]:
    """
    Yield name and command of what plugins add.

    Parameters
    ----------
    meant
        The command that was asked for: only this one is imported if a plugin has it, else all of them, for a
        list or for suggestions.
    taken
        Names of the core's own commands, which stay the core's.

    Yields
    ------
    name, command
        What typer made of it. For one that is broken, or claimed by several distributions, a command that
        says so.
    """
    claims: dict[str, list[Candidate]] = {}
    for candidate in default_registry().commands():
        if candidate.name not in taken:
            claims.setdefault(candidate.name, []).append(candidate)
    for name in [meant] if meant in claims else claims:
        yield name, _command(name, claims[name])


def _command(name: str, claims: list[Candidate]) -> Any:  # noqa: ANN401 - typer does not name this type in public
    if len(claims) > 1:
        return _failing(SchemeConflictError(name, [each.claimant for each in claims]))
    (candidate,) = claims
    try:
        return _made(name, candidate.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does at import
        reason = f"{type(error).__name__}: {error}"
        broken = PluginLoadError(name, candidate.claimant, candidate.value, reason)
        broken.__cause__ = error
        return _failing(broken)


def _made(name: str, value: object) -> Any:  # noqa: ANN401
    if not isinstance(value, typer.Typer):
        if not callable(value):
            raise TypeError(f"{value!r} is neither a function nor a typer.Typer")
        function, value = value, typer.Typer(add_completion=False, rich_markup_mode=None)
        value.command(name)(function)
    return typer.main.get_command(value)


def _failing(error: LoadstoneError) -> Any:  # noqa: ANN401
    """Return a command that takes any arguments and fails."""

    def fail(context: typer.Context) -> NoReturn:
        raise error

    # Even --help must say what is wrong, not that all is well.
    lenient = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    stub = typer.Typer(add_completion=False, rich_markup_mode=None)
    stub.command(context_settings=lenient, help=f"Unusable: {error}")(fail)
    return typer.main.get_command(stub)
