"""What is installed is found, what is not is asked for, and what is uninstalled is gone."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.installs.builders import CORE, PLUGINS, ROOT, SCHEMES, Environment, build_plugin

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.installs

TIMED_IMPORT = """
import time
import numpy
start = time.perf_counter()
import loadstone
print((time.perf_counter() - start) * 1000)
"""

DISTRIBUTIONS = {scheme: name for name, schemes in PLUGINS.items() for scheme in schemes}


@pytest.mark.parametrize("call", ["load_image", "load_volume"])
def test_the_core_alone_says_what_to_install(environment: Environment, call: str) -> None:
    """Without a plugin every scheme is unknown, and the error names the package to `pip install`."""
    with environment.start() as interpreter:
        known = interpreter.ask("schemes()")
        failures = {scheme: interpreter.ask(f"failure('{call}', '{scheme}:/x')") for scheme in SCHEMES}
        other = interpreter.ask(f"failure('{call}', 'other:/x')")

    assert known == []
    for scheme, (error, message) in failures.items():
        assert error == "UnknownSchemeError"
        assert repr(scheme) in message
        assert "installed: none" in message
        assert message.endswith(f"pip install {DISTRIBUTIONS[scheme]}")
    assert other[0] == "UnknownSchemeError"
    assert "pip install" not in other[1]


def test_the_core_alone_knows_no_suffix(environment: Environment) -> None:
    """Without a plugin no path and no URL has an id, and the error says that none is known."""
    error, message = environment.ask("failure('to_id', '/data/a.nii.gz')")

    assert error == "InvalidIdError"
    assert "known: none" in message


def test_schemes_come_and_go_with_their_wheels(environment: Environment, wheels: dict[str, Path]) -> None:
    """Each wheel adds exactly its own schemes to a fresh process, and takes them away when uninstalled."""
    expected: set[str] = set()

    for name, schemes in PLUGINS.items():
        environment.install(wheels[name])
        expected |= schemes

        assert environment.ask("schemes()") == sorted(expected)

    for name, schemes in PLUGINS.items():
        environment.uninstall(name)
        expected -= schemes

        assert environment.ask("schemes()") == sorted(expected)

    error, message = environment.ask("failure('load_image', 'web:/x.png')")

    assert error == "UnknownSchemeError"
    assert "pip install loadstone-web" in message


def test_a_running_process_looks_again_when_told(environment: Environment, tmp_path: Path) -> None:
    """A process sees what was installed and uninstalled meanwhile after refresh_plugins(), not before."""
    wheel = build_plugin(tmp_path, "acme-loader", ["acme"], value=7)
    refresh = "loadstone.refresh_plugins()"
    load = "pixel('acme:1')"
    failure = "failure('load_image', 'acme:1')[0]"

    with environment.start() as interpreter:
        assert interpreter.ask(failure) == "UnknownSchemeError"

        environment.install(wheel)

        assert interpreter.ask(failure) == "UnknownSchemeError"
        assert interpreter.ask(refresh) is None
        assert interpreter.ask("schemes()") == ["acme"]
        assert interpreter.ask(load) == 7

        environment.uninstall("acme-loader")

        assert interpreter.ask(load) == 7
        assert interpreter.ask(refresh) is None
        assert interpreter.ask("schemes()") == []
        assert interpreter.ask("failure('load_image', 'acme:2')[0]") == "UnknownSchemeError"


def test_a_running_process_finds_a_first_party_wheel(
    environment: Environment, wheels: dict[str, Path]
) -> None:
    """The libraries that came with a wheel are importable in the running process, too."""
    with environment.start() as interpreter:
        assert interpreter.ask("schemes()") == []

        environment.install(wheels["loadstone-web"])
        interpreter.ask("loadstone.refresh_plugins()")

        assert interpreter.ask("schemes()") == ["web"]
        assert interpreter.ask("failure('load_image', 'web:/missing.png')[0]") == "FetchError"


def lower_bound(name: str) -> Version:
    """Return the lowest version of a dependency that the core admits."""
    content = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))
    (requirement,) = [
        found for text in content["project"]["dependencies"] if (found := Requirement(text)).name == name
    ]
    return min(Version(bound.version) for bound in requirement.specifier if bound.operator == ">=")


@pytest.mark.parametrize("chosen", ["lowest", "pinned"])
def test_pluggy(tmp_path: Path, wheels: dict[str, Path], chosen: str) -> None:
    """Every plugin activates with the lowest pluggy that the core admits and with the pinned one."""
    lowest = lower_bound("pluggy")
    environment = Environment(tmp_path / "environment", *wheels.values())
    if chosen == "lowest":
        environment.replace(f"pluggy=={lowest}")

    with environment.start() as interpreter:
        version = Version(interpreter.ask("__import__('pluggy').__version__"))
        failures = [interpreter.ask(f"failure('load_image', '{scheme}:/missing')") for scheme in SCHEMES]
        states = interpreter.ask("[each.state for each in loadstone.plugins() if 'image' in each.group]")

    assert (version == lowest) == (chosen == "lowest")
    assert states == ["active"] * len(SCHEMES)
    assert not {error for error, _ in failures} & {"PluginLoadError", "PluginContractError"}


def test_importing_the_core_imports_no_plugin(
    tmp_path: Path, wheels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Plugins and the libraries that they bring are imported neither with the core nor by listing them."""
    environment = Environment(tmp_path / "environment", *wheels.values())
    unwanted = {"PIL", "imagecodecs", "nibabel", "pydicom", *(name.replace("-", "_") for name in PLUGINS)}

    loaded = environment.run("import sys, loadstone; loadstone.plugins(); print(*sys.modules)").split()

    assert CORE in loaded
    assert unwanted.isdisjoint(loaded)

    timed = min(float(environment.run(TIMED_IMPORT)) for _ in range(5))
    avoidable = sorted({"asyncio", "ssl", "urllib3"} & set(loaded)) or "none"
    with capsys.disabled():
        print(f"\nimport loadstone: numpy + {timed:.0f} ms; avoidable modules: {avoidable}")  # noqa: T201
