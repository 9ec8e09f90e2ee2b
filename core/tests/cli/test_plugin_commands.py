from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import loadstone

if TYPE_CHECKING:
    import pytest

    from core.tests.cli.builders import Cli
    from loadstone.testing import PluginSandbox

FUNCTION = """
def greet(name: str = "world"):
    '''Say hello.'''
    print("hello", name)
"""
TYPER = """
import typer

app = typer.Typer()


@app.command()
def one():
    print("first")


@app.command()
def two():
    print("second")
"""


def install(sandbox: PluginSandbox, distribution: str, code: str, **commands: str) -> None:
    """Install a distribution with one module and commands that name its attributes."""
    module = distribution.replace("-", "_")
    values = {name: f"{module}:{attribute}" for name, attribute in commands.items()}
    sandbox.install(distribution, entry_points={"loadstone.commands": values}, modules={module: code})
    loadstone.refresh_plugins()


def test_function_becomes_a_command(cli: Cli, sandbox: PluginSandbox) -> None:
    """A plain function with annotated arguments is a command."""
    install(sandbox, "acme-greet", FUNCTION, greet="greet")

    said = cli("greet", "--name", "you")

    assert (said.code, said.out) == (0, "hello you\n")


def test_typer_becomes_a_group(cli: Cli, sandbox: PluginSandbox) -> None:
    """A typer.Typer with several commands is a group of sub-commands."""
    install(sandbox, "acme-group", TYPER, acme="app")

    assert cli("acme", "two").out == "second\n"


def test_only_the_command_that_is_meant_is_imported(cli: Cli, sandbox: PluginSandbox) -> None:
    """Running one command imports no other plugin's."""
    install(sandbox, "acme-greet", FUNCTION, greet="greet")
    install(sandbox, "acme-other", FUNCTION, other="greet")

    cli("greet")

    assert "acme_greet" in sys.modules
    assert "acme_other" not in sys.modules


def test_broken_command_breaks_no_other(cli: Cli, sandbox: PluginSandbox) -> None:
    """A command that cannot be imported is listed as unusable, fails in one line, and others work."""
    install(sandbox, "acme-broken", "raise SystemExit('gone')", broken="run")
    install(sandbox, "acme-none", "run = 3", nothing="run")
    install(sandbox, "acme-odd", "def run(x: int | str): ...", odd="run")
    install(sandbox, "acme-greet", FUNCTION, greet="greet")

    listed = cli("--help")
    failed = cli("broken", "--any", "argument", "--help")

    assert listed.code == 0
    assert listed.out.count("Unusable") >= 3
    assert "Say hello." in listed.out
    assert failed.code == 1
    assert "acme-broken 1.0" in failed.error
    assert "gone" in failed.error
    assert len(failed.error.splitlines()) == 1
    assert cli("greet").code == 0


def test_two_claims_of_one_command_are_an_error(cli: Cli, sandbox: PluginSandbox) -> None:
    """Where two distributions have a command of one name, neither runs, and both are named."""
    install(sandbox, "acme-greet", FUNCTION, greet="greet")
    install(sandbox, "zeta-greet", FUNCTION, greet="greet")

    said = cli("greet")

    assert said.code == 1
    assert "acme-greet 1.0" in said.error
    assert "zeta-greet 1.0" in said.error


def test_core_command_cannot_be_taken(cli: Cli, sandbox: PluginSandbox) -> None:
    """A plugin cannot put itself in the place of a command of the core."""
    install(sandbox, "acme-greet", FUNCTION, load="greet")

    assert "hello" not in cli("load", "toy:1").out


def test_disabled_distribution_adds_no_command(
    cli: Cli, sandbox: PluginSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOADSTONE_DISABLE_PLUGINS takes commands away, too."""
    install(sandbox, "acme-greet", FUNCTION, greet="greet")
    monkeypatch.setenv("LOADSTONE_DISABLE_PLUGINS", "acme-greet")
    loadstone.refresh_plugins()

    assert cli("greet").code == 2
