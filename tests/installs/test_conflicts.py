"""Broken plugins and plugins that claim what another one claims, installed like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installs.builders import CORE, Environment, build_plugin

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.installs

PIXEL = "pixel('acme:1')"
FAILURE = "failure('load_image', 'acme:1')"


@pytest.fixture(scope="module")
def rivals(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Environment:
    """Return an environment where two distributions claim `acme:`; no test changes it."""
    folder = tmp_path_factory.mktemp("rivals")
    return Environment(
        folder / "environment",
        wheels[CORE],
        build_plugin(folder, "acme-loader", ["acme"], version="1.2", value=1),
        build_plugin(folder, "other-loader", ["acme", "other"], version="3.4", value=2),
    )


def test_a_broken_plugin_breaks_only_its_own_scheme(environment: Environment, tmp_path: Path) -> None:
    """What a module raises at import is told to who asks for its scheme, and to nobody else."""
    environment.install(
        build_plugin(
            tmp_path, "broken-loader", ["broken"], source="raise OSError('libjpeg.so is missing')\n"
        ),
        build_plugin(tmp_path, "acme-loader", ["acme"], value=1),
    )

    with environment.start() as interpreter:
        error, message = interpreter.ask("failure('load_image', 'broken:1')")
        value = interpreter.ask(PIXEL)
        again, _ = interpreter.ask("failure('load_image', 'broken:1')")
        states = interpreter.ask("{each.name: [each.state, each.reason] for each in loadstone.plugins()}")

    assert error == again == "PluginLoadError"
    for fact in (
        "'broken'",
        "broken-loader 1.0",
        "broken_loader",
        "OSError: libjpeg.so is missing",
        "uninstall",
    ):
        assert fact in message
    assert value == 1
    assert states["acme"] == ["active", ""]
    assert states["broken"][0] == "broken"
    assert "libjpeg.so is missing" in states["broken"][1]


def test_a_plugin_mended_on_disk_works_after_refresh(environment: Environment, tmp_path: Path) -> None:
    """A failure is remembered, and forgotten by refresh_plugins(): the next version is tried anew."""
    environment.install(build_plugin(tmp_path, "acme-loader", ["acme"], source="raise OSError\n"))

    with environment.start() as interpreter:
        assert interpreter.ask(FAILURE)[0] == "PluginLoadError"

        environment.install(build_plugin(tmp_path, "acme-loader", ["acme"], version="1.0.1", value=5))

        assert interpreter.ask(FAILURE)[0] == "PluginLoadError"

        interpreter.ask("loadstone.refresh_plugins()")

        assert interpreter.ask(PIXEL) == 5
        assert interpreter.ask("loadstone.load_image('acme:1').loader.version") == "1.0.1"


def test_two_claimants_are_a_conflict(rivals: Environment) -> None:
    """A scheme that two distributions claim is an error with both versions and the line that decides."""
    with rivals.start() as interpreter:
        error, message = interpreter.ask(FAILURE)
        other = interpreter.ask("pixel('other:1')")
        states = interpreter.ask(
            "sorted([each.distribution, each.name, each.state] for each in loadstone.plugins())"
        )

    assert error == "SchemeConflictError"
    for fact in ("'acme'", "acme-loader 1.2", "other-loader 3.4", 'LOADSTONE_PREFER="acme='):
        assert fact in message
    assert other == 2
    assert states == [
        ["acme-loader", "acme", "conflict"],
        ["other-loader", "acme", "conflict"],
        ["other-loader", "other", "active"],
    ]


@pytest.mark.parametrize(
    ("variables", "value"),
    [
        ({"LOADSTONE_PREFER": "acme=acme-loader"}, 1),
        ({"LOADSTONE_PREFER": "acme=other-loader"}, 2),
        ({"LOADSTONE_PREFER": "ACME=Other_Loader"}, 2),
        ({"LOADSTONE_DISABLE_PLUGINS": "other-loader"}, 1),
        ({"LOADSTONE_DISABLE_PLUGINS": "acme-loader"}, 2),
        ({"LOADSTONE_PLUGINS": "acme-loader"}, 1),
        ({"LOADSTONE_PLUGINS": "acme-loader,other-loader", "LOADSTONE_DISABLE_PLUGINS": "acme-loader"}, 2),
    ],
    ids=str,
)
def test_a_switch_decides_a_conflict(rivals: Environment, variables: dict[str, str], value: int) -> None:
    """Preferring one, disabling one or allowing one leaves one loader for the scheme."""
    assert rivals.ask(PIXEL, **variables) == value


def test_preferring_what_is_not_installed_is_an_error(rivals: Environment) -> None:
    """A preference that cannot be honoured is never silently passed over."""
    error, message = rivals.ask(FAILURE, LOADSTONE_PREFER="acme=third-loader")

    assert error == "LoadstoneError"
    assert "third-loader" in message


def test_an_empty_allow_list_allows_nothing(rivals: Environment) -> None:
    """LOADSTONE_PLUGINS set to nothing switches every plugin off, and the error says so."""
    with rivals.start(LOADSTONE_PLUGINS="") as interpreter:
        known = interpreter.ask("schemes()")
        error, message = interpreter.ask("failure('load_image', 'other:1')")

    assert known == []
    assert error == "UnknownSchemeError"
    assert "LOADSTONE_PLUGINS" in message
    assert "other-loader 3.4" in message


def test_a_disabled_plugin_says_that_it_is(rivals: Environment) -> None:
    """Who asks for a scheme of a disabled plugin is told which switch is in the way."""
    error, message = rivals.ask("failure('load_image', 'other:1')", LOADSTONE_DISABLE_PLUGINS="other-loader")

    assert error == "UnknownSchemeError"
    assert "LOADSTONE_DISABLE_PLUGINS" in message


def test_strict_fails_on_any_broken_plugin(environment: Environment, tmp_path: Path) -> None:
    """With LOADSTONE_STRICT=1 a broken plugin fails the first load of anything, and without it does not."""
    environment.install(
        build_plugin(tmp_path, "broken-loader", ["broken"], source="raise OSError\n"),
        build_plugin(tmp_path, "acme-loader", ["acme"], value=1),
    )

    error, message = environment.ask(FAILURE, LOADSTONE_STRICT="1")

    assert error == "PluginLoadError"
    assert "broken-loader 1.0" in message
    assert environment.ask(PIXEL, LOADSTONE_STRICT="0") == 1
    assert environment.ask(PIXEL, LOADSTONE_STRICT="1", LOADSTONE_DISABLE_PLUGINS="broken-loader") == 1
