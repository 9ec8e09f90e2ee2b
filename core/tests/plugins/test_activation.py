"""Broken plugins of every kind, each of which breaks only itself."""

from __future__ import annotations

import pickle
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from loadstone.errors import PluginContractError, PluginLoadError

if TYPE_CHECKING:
    from types import SimpleNamespace

    from core.tests.plugins.builders import Site

START = "from loadstone.hookspecs import ImageLoader, VolumeLoader, MetadataProvider, hookimpl\n"

BROKEN = {
    "import error": ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named"),
    "syntax error": ("def (:", "SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "raises at import": ("1 / 0", "ZeroDivisionError"),
    "raising hook": (
        "@hookimpl\ndef loadstone_image_loaders(): raise OSError('no disk')",
        "OSError: no disk",
    ),
    "hook that exits": ("@hookimpl\ndef loadstone_image_loaders(): exit(1)", "SystemExit: 1"),
    "raising generator": ("@hookimpl\ndef loadstone_image_loaders():\n    yield 1 / 0", "ZeroDivisionError"),
    "newer api": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print, api=2)]",
        "built for plugin API 2, this loadstone supports 1",
    ),
}

FAULTY = {
    "no hooks": ("", "no record"),
    "forgotten mark": ("def loadstone_image_loaders(): return [ImageLoader('acme', print)]", "hookimpl"),
    "misspelt hook": ("@hookimpl\ndef loadstone_image_loader(): return []", "loadstone_image_loader"),
    "misspelt prefix": ("@hookimpl\ndef lodestone_image_loaders(): return []", "lodestone_image_loaders"),
    "unknown argument": ("@hookimpl\ndef loadstone_image_loaders(pixels): return []", "pixels"),
    "one record, no list": (
        "@hookimpl\ndef loadstone_image_loaders(): return ImageLoader('acme', print)",
        "not an iterable of ImageLoader",
    ),
    "a number": ("@hookimpl\ndef loadstone_image_loaders(): return 7", "returned 7"),
    "wrong record": (
        "@hookimpl\ndef loadstone_image_loaders(): return [VolumeLoader('acme', print)]",
        "not a record ImageLoader",
    ),
    "a dict": ("@hookimpl\ndef loadstone_image_loaders(): return {'acme': print}", "'acme', not a record"),
    "undeclared scheme": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader(s, print) for s in ('acme', 'other')]",
        "records for 'other', which its entry points in loadstone.image_loaders do not name",
    ),
    "missing scheme": (
        "@hookimpl\ndef loadstone_image_loaders(): return []",
        "loadstone.image_loaders name 'acme', for which it has no record",
    ),
    "undeclared volumes": (
        (
            "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print)]\n"
            "@hookimpl\ndef loadstone_volume_loaders(): return [VolumeLoader('acme', print)]"
        ),
        "loadstone.volume_loaders do not name",
    ),
    "two records": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader(s, print) for s in ('acme', 'ACME')]",
        "two records for the scheme 'acme'",
    ),
    "load is no function": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', 'load')]",
        "load is 'load', which cannot be called",
    ),
    "metadata is no function": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print, metadata={})]",
        "metadata is {}, which cannot be called",
    ),
    "empty batches": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print, batch_size=0)]",
        "batch_size is 0",
    ),
    "scheme is no text": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader(None, print)]",
        "None is no scheme",
    ),
    "scheme of the core": (
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('https', print)]",
        "belongs to the core",
    ),
    "wrong provider": (
        (
            "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print)]\n"
            "@hookimpl\ndef loadstone_metadata_providers(): return [print]"
        ),
        "not a record MetadataProvider",
    ),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_with_its_cause(site: Site, source: str, reason: str) -> None:
    """What stops a plugin is a PluginLoadError with scheme, distribution, entry point, reason and cause."""
    site.add("acme-loader", source=START + source)

    with pytest.raises(PluginLoadError) as caught:
        site.registry().image_loader("acme")

    assert reason in str(caught.value)
    assert "'acme_loader' of acme-loader 1.0 for 'acme'" in str(caught.value)
    assert (caught.value.scheme, caught.value.entry_point) == ("acme", "acme_loader")
    assert (caught.value.__cause__ is None) == ("API" in reason)


@pytest.mark.parametrize(("source", "reason"), FAULTY.values(), ids=FAULTY)
def test_a_plugin_that_breaks_the_contract_is_told_how(site: Site, source: str, reason: str) -> None:
    """What a plugin does against the contract is a PluginContractError that names it and what is wrong."""
    site.add("acme-loader", source=START + source)

    with pytest.raises(PluginContractError, match=r"acme-loader 1\.0 \(acme_loader\)") as caught:
        site.registry().image_loader("acme")

    assert reason in str(caught.value)


@pytest.mark.parametrize(("source", "reason"), [*BROKEN.values(), *FAULTY.values()], ids=[*BROKEN, *FAULTY])
def test_a_broken_plugin_breaks_only_its_own_schemes(site: Site, source: str, reason: str) -> None:
    """With any broken plugin there, another one loads, before and after it was tried."""
    site.add("acme-loader", source=START + source)
    site.add("good-loader", images=("good", "better"))
    registry = site.registry()

    registry.image_loader("good")
    with pytest.raises((PluginLoadError, PluginContractError)):
        registry.image_loader("acme")

    assert registry.image_loader("better").info.distribution == "good-loader"
    assert registry.metadata_providers() == ()


def test_a_failure_is_remembered_until_refresh(site: Site, calls: SimpleNamespace) -> None:
    """A broken plugin is imported once, every use tells the reason, and after a repair refresh finds it."""
    site.add("acme-loader", source="import loadstone_test_calls as c; c.names.append('import'); 1 / 0")
    registry = site.registry()
    errors = []
    for _ in range(3):
        with pytest.raises(PluginLoadError) as caught:
            registry.image_loader("acme")
        errors.append(caught.value)
    site.add("acme-loader")
    with pytest.raises(PluginLoadError):
        registry.image_loader("acme")
    registry.refresh()

    assert registry.image_loader("acme").record.scheme == "acme"
    assert calls.names == ["import"]
    assert len(set(map(id, errors))) == 3
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in errors}) <= 2
    assert all(isinstance(error.__cause__, ZeroDivisionError) for error in errors)


def test_the_error_names_the_scheme_that_was_used(site: Site) -> None:
    """A broken plugin with two schemes says for each use which one was asked for."""
    site.add("acme-loader", images=("acme", "acme2"), source="1 / 0")
    registry = site.registry()

    for scheme in ("acme", "acme2"):
        with pytest.raises(PluginLoadError) as caught:
            registry.image_loader(scheme)
        assert caught.value.scheme == scheme


def test_errors_pickle(site: Site) -> None:
    """Errors of plugins go to other processes."""
    site.add("acme-loader", source="1 / 0")
    with pytest.raises(PluginLoadError) as caught:
        site.registry().image_loader("acme")

    again = pickle.loads(pickle.dumps(caught.value))

    assert (str(again), again.scheme) == (str(caught.value), "acme")


def test_an_interrupt_at_import_is_no_failure(site: Site, calls: SimpleNamespace) -> None:
    """Ctrl-C while a plugin is imported passes, and the plugin can be used afterwards."""
    code = (
        "import loadstone_test_calls as c\nc.names.append(1)\nif len(c.names) == 1: raise KeyboardInterrupt"
    )
    site.add("acme-loader", code=code)
    registry = site.registry()
    with pytest.raises(KeyboardInterrupt):
        registry.image_loader("acme")

    assert registry.image_loader("acme").record.scheme == "acme"


def test_lazy_attributes_of_a_plugin_are_not_touched(site: Site) -> None:
    """Looking for hooks does not get attributes that import what they stand for."""
    source = START + (
        "def __dir__(): return ['loadstone_image_loaders', 'viewer']\n"
        "def __getattr__(name): raise ImportError(name)\n"
        "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print)]\n"
    )
    site.add("acme-loader", source=source)

    assert site.registry().image_loader("acme").record.scheme == "acme"


def test_a_plugin_may_be_an_object(site: Site) -> None:
    """An entry point may name an instance whose methods are the hooks."""
    source = START + (
        "class Plugin:\n"
        "    def load(self, image_id, context): return image_id\n"
        "    @hookimpl\n"
        "    def loadstone_image_loaders(self): return [ImageLoader('acme', self.load)]\n"
        "plugin = Plugin()\n"
    )
    site.install(
        "acme",
        entry_points={"loadstone.image_loaders": {"acme": "acme_object:plugin"}},
        modules={"acme_object": source},
    )

    found = site.registry().image_loader("acme")

    assert found.info.plugin == "acme_object:plugin"
    assert found.record.load.__self__ is sys.modules["acme_object"].plugin  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ["acme_none:plugin", "acme_none:missing", "acme_none.missing"])
def test_an_entry_point_that_names_nothing(site: Site, value: str) -> None:
    """None, a missing attribute and a missing module are told as the plugin's fault."""
    site.install(
        "acme",
        entry_points={"loadstone.image_loaders": {"acme": value}},
        modules={"acme_none": "plugin = None"},
    )

    with pytest.raises((PluginLoadError, PluginContractError), match="acme"):
        site.registry().image_loader("acme")
