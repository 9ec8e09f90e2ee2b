from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code that may call `main` in a process of its own."""
    code = f"import sys; from loadstone.cli import main\n{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_how_to_install_it(missing: str) -> None:
    """Without typer or rich the command says what to install and exits with 2."""
    ended = python(f"sys.modules[{missing!r}] = None; sys.exit(main())")

    assert ended.returncode == 2
    assert 'pip install "loadstone[cli]"' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_real_process_fails_in_one_line() -> None:
    """The installed command ends with 1, one line on standard error and nothing on standard output."""
    ended = python("sys.exit(main(['load', 'nothing-loads-this:1']))")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "nothing-loads-this" in ended.stderr


def test_listing_plugins_imports_none() -> None:
    """`loadstone plugins` imports no plugin code, not even that of commands."""
    ended = python("main(['plugins'])\nsys.exit(any(name.startswith('loadstone_') for name in sys.modules))")

    assert ended.returncode == 0


def test_version_is_that_of_the_distribution(cli: Cli) -> None:
    """--version says which core is installed."""
    said = cli("--version")

    assert (said.code, said.out.strip()) == (0, f"loadstone {version('loadstone')}")


def test_wrong_usage_ends_with_2(cli: Cli) -> None:
    """A missing argument, an unknown option and an unknown command are usage errors."""
    codes = [cli("load").code, cli("load", "toy:1", "--no-such").code, cli("infos").code]

    assert codes == [2, 2, 2]


def test_unknown_command_suggests_a_known_one(cli: Cli) -> None:
    """A typing error gets a suggestion."""
    assert "'info'" in cli("infos").error


def test_error_is_one_line_even_if_its_message_has_several(cli: Cli) -> None:
    """What goes wrong is one line on standard error, without a traceback."""
    said = cli("load", "toy:missing", "--as", "volume")

    assert (said.code, said.out) == (1, "")
    assert said.error == "loadstone: toy:missing: there is no such toy. Make one.\n"


def test_help_lists_the_commands(cli: Cli) -> None:
    """--help names every command of the core."""
    said = cli("--help")

    assert said.code == 0
    assert all(f"\n  {name} " in said.out for name in ("plugins", "info", "load", "doctor"))
