"""``loadstone plugins --check``: each plugin in a process of its own, one line for each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import typer

from loadstone._plugins.index import SUFFIXES, Candidate
from loadstone._plugins.trial import try_plugin
from loadstone.cli.output import plain, show_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadstone import PluginInfo

__all__ = ["check_plugins"]

Verdict: TypeAlias = Literal["ok", "disabled", "FAILED"]


@dataclass(frozen=True, slots=True)
class _Checked:
    """What is said about one plugin."""

    verdict: Verdict
    distribution: str
    version: str
    value: str
    names: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        line = f"{self.verdict} {self.distribution} {self.version} {self.value} ({', '.join(self.names)})"
        return f"{line}: {self.reason}" if self.reason else line


def check_plugins(found: Sequence[PluginInfo], *, json: bool) -> int:
    """Write a line for each plugin as it is checked; return 1 if one of them cannot be used, else 0."""
    checked = []
    for each in map(_checked, _plugins(found)):
        checked.append(each)
        if not json:
            typer.echo(plain(each))
    if json:
        show_json([asdict(each) for each in checked])
    return int(any(each.verdict == "FAILED" for each in checked))


def _plugins(found: Iterable[PluginInfo]) -> Iterator[list[PluginInfo]]:
    """Yield the claims of each plugin: a value of a distribution. Suffixes import nothing."""
    claims: dict[tuple[str, str], list[PluginInfo]] = {}
    for each in found:
        if each.distribution and each.group != SUFFIXES:
            claims.setdefault((each.distribution, each.value), []).append(each)
    yield from claims.values()


def _checked(claims: list[PluginInfo]) -> _Checked:
    verdict, reason = _verdict(claims)
    first = claims[0]
    names = tuple(dict.fromkeys(each.name for each in claims))
    return _Checked(verdict, first.distribution, first.version, first.value, names, reason)


def _verdict(claims: list[PluginInfo]) -> tuple[Verdict, str]:
    for each in claims:
        if each.state in {"broken", "conflict"}:
            return "FAILED", each.reason
    if all(each.state == "disabled" for each in claims):
        return "disabled", claims[0].reason
    first = claims[0]
    fault = try_plugin(
        Candidate(first.group, first.name, first.value, first.distribution, first.version)
    ).fault
    return ("FAILED" if fault else "ok"), fault
