"""Try a plugin in a process of its own: whether it can be used, and what its import brings along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Final

from loadstone._plugins.activation import ActivationError, activate
from loadstone._plugins.index import COMMANDS, Candidate, PluginIndex

__all__ = ["Trial", "try_plugin"]

_CHILD: Final = "from loadstone._plugins.trial import answer; answer()"
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    fault: str = ""
    """Why the plugin cannot be used; empty if it can."""
    modules: frozenset[str] = frozenset()
    """Names of the modules that its import added to those of Loadstone itself."""


def try_plugin(candidate: Candidate, *, seconds: float = _SECONDS) -> Trial:
    """
    Import the plugin that a claim names, check its records, and look what else was imported.

    The process has the path and the environment of this one.

    Parameters
    ----------
    candidate
        One of its claims.
    seconds
        How long it may take.
    """
    if candidate.fault:
        return Trial(candidate.fault)
    try:
        done = subprocess.run(  # noqa: S603 - this very Python
            [sys.executable, "-c", _CHILD],
            input=json.dumps(asdict(candidate)),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(f"its import did not end within {seconds:g} s")
    if not done.stdout:
        *_, last = ["", *done.stderr.splitlines()]
        return Trial(f"its import ended the process with code {done.returncode} {last}".rstrip())
    fault, modules = json.loads(done.stdout)
    return Trial(fault, frozenset(modules))


def answer() -> None:
    """Do it, in the new process."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the plugin prints is no answer
    candidate = Candidate(**json.load(sys.stdin))
    before = set(sys.modules)
    fault = _fault(candidate)
    with out:
        json.dump((fault, sorted(set(sys.modules) - before)), out)


def _fault(candidate: Candidate) -> str:
    try:
        if candidate.group == COMMANDS:
            candidate.load()
        else:
            activate(candidate, PluginIndex.scan())
    except ActivationError as error:
        return f"{error.reason}. {error.hint}" if error.hint else error.reason
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a command does at import
        return f"its import raised {type(error).__name__}: {error}"
    return ""
