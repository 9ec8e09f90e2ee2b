from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

import loadstone

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli


def settings(text: str) -> dict[str, tuple[object, str]]:
    """Read value and source of each setting."""
    return {each["name"]: (each["value"], each["source"]) for each in json.loads(text)["settings"]}


def test_every_setting_is_shown_with_its_source(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values come from the default or from the variable that is named."""
    monkeypatch.setenv("LOADSTONE_ATTEMPTS", "7")

    shown = settings(cli("doctor", "--json").out)

    assert {each.name for each in fields(loadstone.Settings)} <= set(shown)
    assert shown["attempts"] == (7, "LOADSTONE_ATTEMPTS")
    assert shown["max_redirects"] == (5, "default")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LOADSTONE_ATTEMPTS", "many", "LOADSTONE_ATTEMPTS"),
        ("LOADSTONE_ATEMPTS", "3", "LOADSTONE_ATTEMPTS"),
        ("LOADSTONE_STRICT", "maybe", "LOADSTONE_STRICT"),
        ("LOADSTONE_PREFER", "nonsense", "LOADSTONE_PREFER"),
    ],
)
def test_wrong_variable_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    """A variable that cannot be used, or that nobody reads, is named, and the command fails."""
    monkeypatch.setenv(variable, value)
    loadstone.refresh_plugins()

    said = cli("doctor", "--json")

    monkeypatch.undo()
    loadstone.refresh_plugins()
    assert said.code == 1
    assert any(told in fault for fault in json.loads(said.out)["faults"])


def test_password_of_a_proxy_is_not_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user pastes into a report holds no secret."""
    monkeypatch.setenv("LOADSTONE_PROXY", "http://me:secret@proxy:3128")

    said = cli("doctor")

    assert "proxy:3128" in said.out
    assert "secret" not in said.out


def test_versions_are_shown(cli: Cli) -> None:
    """The versions of Python and of the libraries are there for a report."""
    versions = json.loads(cli("doctor", "--json").out)["versions"]

    assert {"python", "loadstone", "numpy", "pluggy", "urllib3"} <= set(versions)
