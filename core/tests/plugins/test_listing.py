from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from core.tests.plugins.builders import Site, load
from loadstone._plugins.index import COMMANDS, IMAGES

if TYPE_CHECKING:
    from loadstone._plugins import Registry
from loadstone.errors import PluginLoadError


def states(registry: Registry) -> dict[tuple[str, str], tuple[str, str]]:
    return {(each.distribution, each.name): (each.state, each.reason) for each in registry.plugins()}


def test_every_state_from_metadata_alone(site: Site) -> None:
    """The list says what is available, disabled, in conflict or broken, and imports nothing."""
    modules = {
        site.add("fine", images=("fine",), suffixes={".fin": "fine"}),
        site.add("off", images=("off",)),
        site.add("one", images=("both", "settled")),
        site.add("two", images=("both", "settled")),
    }
    site.install("wrong", entry_points={IMAGES: {"x": "wrong"}})
    registry = site.registry(disabled={"off"}, prefer={"settled": "two"})

    found = states(registry)

    assert found["fine", "fine"] == found["fine", ".fin"] == ("available", "")
    assert found["off", "off"][0] == "disabled"
    assert "LOADSTONE_DISABLE_PLUGINS" in found["off", "off"][1]
    assert found["one", "both"][0] == found["two", "both"][0] == "conflict"
    assert "one 1.0 and by two 1.0" in found["one", "both"][1]
    assert found["one", "settled"] == ("disabled", "two is preferred for 'settled'")
    assert found["two", "settled"] == ("available", "")
    assert found["wrong", "x"][0] == "broken"
    assert not modules & set(sys.modules)


def test_states_after_use(site: Site) -> None:
    """What was used is active or broken, with the reason; what the program registered is listed, too."""
    site.add("fine", images=("fine",), volumes=("fine",))
    site.add("bad", images=("bad",), source="1 / 0")
    registry = site.registry()
    registry.register_image_loader("mem", load)
    registry.image_loader("fine")
    with pytest.raises(PluginLoadError):
        registry.image_loader("bad")

    found = states(registry)

    assert found["fine", "fine"] == ("active", "")
    assert found["bad", "bad"] == ("broken", "its import raised ZeroDivisionError: division by zero")
    assert found["", "mem"] == ("active", "registered at run time")


def test_a_preference_for_who_is_not_there_is_listed(site: Site) -> None:
    """A scheme that cannot be used because of a wrong preference says so in the list."""
    site.add()

    state, reason = states(site.registry(prefer={"acme": "rival"}))["acme-loader", "acme"]

    assert state == "broken"
    assert "wants rival for 'acme'" in reason


def test_commands_can_be_loaded(site: Site) -> None:
    """Commands of plugins that may be used are found and imported one by one."""
    for name in ("tools", "off"):
        site.install(
            name,
            entry_points={COMMANDS: {f"scan-{name}": f"{name}_cli:scan"}},
            modules={f"{name}_cli": "def scan(): return 'scanned'"},
        )

    (command,) = site.registry(disabled={"off"}).commands()

    scan = command.load()

    assert callable(scan)
    assert (command.name, scan()) == ("scan-tools", "scanned")
    assert "off_cli" not in sys.modules
