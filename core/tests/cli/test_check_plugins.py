from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import loadstone

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli
    from loadstone.testing import PluginSandbox

RIGHT = """
from loadstone import ImageLoader, hookimpl
import loadstone

print("this is no answer")


@hookimpl
def loadstone_image_loaders():
    return [ImageLoader("acme", lambda image_id, context: None)]
"""


def install(sandbox: PluginSandbox, source: str = RIGHT, name: str = "acme-loader") -> None:
    """Install a plugin that claims ``acme:``."""
    module = name.replace("-", "_")
    sandbox.install(
        name, entry_points={"loadstone.image_loaders": {"acme": module}}, modules={module: source}
    )
    loadstone.refresh_plugins()


def test_a_right_plugin_is_ok(cli: Cli, sandbox: PluginSandbox) -> None:
    """One line says so, whatever the plugin prints."""
    install(sandbox)

    said = cli("plugins", "--check", "ACME")

    assert (said.code, said.out) == (0, "ok acme-loader 1.0 acme_loader (acme)\n")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import acme_gone", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os; os._exit(7)", "ended the process with code 7"),
        ("", "for which it has no record"),
        (RIGHT.replace('"acme"', '"acme2"'), "which its entry points in loadstone.image_loaders do not name"),
    ],
)
def test_a_broken_plugin_fails(cli: Cli, sandbox: PluginSandbox, source: str, reason: str) -> None:
    """One line says why, the command ends with 1, and this process is not affected."""
    install(sandbox, source)

    said = cli("plugins", "--check", "acme")

    assert said.code == 1
    assert said.out.startswith("FAILED acme-loader 1.0 acme_loader (acme): ")
    assert said.out.count("\n") == 1
    assert reason in said.out


def test_every_plugin_has_a_line(cli: Cli, sandbox: PluginSandbox) -> None:
    """A broken plugin does not end the check of the others."""
    install(sandbox, "import acme_gone")

    said = cli("plugins", "--check")
    values = {
        each.value for each in loadstone.plugins() if each.distribution and each.group != "loadstone.suffixes"
    }

    assert said.code == 1
    assert {line.split()[3] for line in said.out.splitlines()} == values


def test_a_conflict_fails(cli: Cli, sandbox: PluginSandbox) -> None:
    """A scheme that two distributions claim cannot be used."""
    install(sandbox)
    install(sandbox, name="acme-other")

    said = cli("plugins", "--check", "acme")

    assert said.code == 1
    assert said.out.count("FAILED") == 2
    assert "LOADSTONE_PREFER" in said.out


def test_a_disabled_plugin_is_not_imported(
    cli: Cli, sandbox: PluginSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may not be used cannot fail."""
    monkeypatch.setenv("LOADSTONE_DISABLE_PLUGINS", "acme-loader")
    install(sandbox, "import acme_gone")

    said = cli("plugins", "--check", "acme")

    assert (said.code, said.out.split()[0]) == (0, "disabled")


def test_an_unknown_scheme_is_an_error(cli: Cli) -> None:
    """It says which schemes there are."""
    said = cli("plugins", "nothing", "--check")

    assert said.code == 1
    assert "nifti" in said.error


def test_check_as_json(cli: Cli, sandbox: PluginSandbox) -> None:
    """--json gives the same facts."""
    install(sandbox, "import acme_gone")

    said = cli("plugins", "--check", "--json", "acme")
    (found,) = json.loads(said.out)

    assert said.code == 1
    assert (found["verdict"], found["distribution"], found["names"]) == ("FAILED", "acme-loader", ["acme"])
    assert "acme_gone" in found["reason"]


def test_the_list_can_be_narrowed(cli: Cli, sandbox: PluginSandbox) -> None:
    """Without --check the names choose rows."""
    install(sandbox)

    rows = cli("plugins", "acme").out.splitlines()

    assert [row.split()[0] for row in rows if "acme" in row] == ["acme"]
    assert not any("nifti" in row for row in rows)
