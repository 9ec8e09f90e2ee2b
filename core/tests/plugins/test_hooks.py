"""Plugins without a scheme, and the hooks that are not records of loaders."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from loadstone.errors import PluginContractError
from loadstone.events import LoadFinished
from loadstone.transport import HttpRequest

if TYPE_CHECKING:
    from types import SimpleNamespace

    from core.tests.plugins.builders import Site

START = """
from loadstone.hookspecs import ImageLoader, MetadataProvider, hookimpl
import loadstone_test_calls as c
"""


REQUEST = HttpRequest("https://host/x")


def finished(image_id: str) -> LoadFinished:
    return LoadFinished(image_id, seconds=0.1, nbytes=1, error=None)


def test_schemeless_plugins_are_imported_once_when_asked(site: Site, calls: SimpleNamespace) -> None:
    """They wait for the first load of anything, and are imported once."""
    site.add("watcher", images=(), schemeless=True, source=START + "c.names.append('import')")
    registry = site.registry()
    registry.image_schemes()
    before = list(calls.names)

    registry.activate_schemeless()
    registry.activate_schemeless()

    assert before == []
    assert calls.names == ["import"]


def test_a_broken_one_warns_once_and_the_others_work(site: Site, calls: SimpleNamespace) -> None:
    """A broken plugin without a scheme is a warning with its name and listed; the others are active."""
    site.add("broken-watcher", images=(), schemeless=True, source="1 / 0")
    site.add(
        "wrong-watcher", images=(), schemeless=True, source=START + "@hookimpl\ndef loadstone_seen(): pass"
    )
    site.add("watcher", images=(), schemeless=True, source=START + "c.names.append('import')")
    registry = site.registry()

    with pytest.warns(RuntimeWarning) as caught:
        registry.activate_schemeless()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.activate_schemeless()

    assert sorted(str(each.message).split(" 1.0")[0] for each in caught) == [
        "the plugin 'broken_watcher' of broken-watcher",
        "wrong-watcher",
    ]
    assert calls.names == ["import"]
    assert {each.distribution: each.state for each in registry.plugins()} == {
        "broken-watcher": "broken",
        "watcher": "active",
        "wrong-watcher": "broken",
    }


def test_warnings_as_errors_break_one_load_only(site: Site, calls: SimpleNamespace) -> None:
    """Where warnings are errors the first load says so, all others are active and the next load goes on."""
    site.add("broken-watcher", images=(), schemeless=True, source="1 / 0")
    site.add("watcher", images=(), schemeless=True, source=START + "c.names.append('import')")
    registry = site.registry()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="broken-watcher"):
            registry.activate_schemeless()
        registry.activate_schemeless()

    assert calls.names == ["import"]


def test_disabled_ones_stay_out(site: Site) -> None:
    """A disabled plugin without a scheme is not imported."""
    module = site.add("watcher", images=(), schemeless=True, source="1 / 0")

    site.registry(disabled={"watcher"}).activate_schemeless()

    assert module not in sys.modules


def test_a_schemeless_plugin_gives_no_loaders(site: Site, calls: SimpleNamespace) -> None:
    """Loader records without entry points are against the contract here, too."""
    code = "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader('acme', print)]"
    site.add("watcher", images=(), schemeless=True, source=START + code)

    with pytest.warns(RuntimeWarning, match="do not name"):
        site.registry().activate_schemeless()


class TestObservers:
    OBSERVE = "@hookimpl\ndef loadstone_load_finished(event): c.names.append((__name__, event.id))\n"

    def test_are_told_once_active(self, site: Site, calls: SimpleNamespace) -> None:
        """Observers of schemeless plugins and of loaders hear of loads as soon as they are active."""
        site.add("watcher", images=(), schemeless=True, source=START + self.OBSERVE)
        site.add("acme-loader", code=START + self.OBSERVE)
        registry = site.registry()

        registry.load_finished(finished("nobody"))
        registry.activate_schemeless()
        registry.load_finished(finished("one"))
        registry.image_loader("acme")
        registry.load_finished(finished("both"))

        assert sorted(calls.names) == [("acme_loader", "both"), ("watcher", "both"), ("watcher", "one")]

    def test_a_raising_one_is_logged_and_silences_nobody(
        self, site: Site, calls: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A load that went well does not fail because of who watches, and the others hear of it."""
        for name in ("a-watcher", "c-watcher"):
            site.add(name, images=(), schemeless=True, source=START + self.OBSERVE)
        failing = "@hookimpl\ndef loadstone_load_finished(): raise OSError('disk full')"
        site.add("b-watcher", images=(), schemeless=True, source=START + failing)
        registry = site.registry()
        registry.activate_schemeless()
        with caplog.at_level(logging.ERROR):
            registry.load_finished(finished("done"))

        assert sorted(calls.names) == [("a_watcher", "done"), ("c_watcher", "done")]
        assert "b-watcher:b_watcher" in caplog.text
        assert "disk full" in caplog.text

    def test_one_object_under_two_names_is_told_once(self, site: Site, calls: SimpleNamespace) -> None:
        """Two entry points of one package that name the same object are one observer."""
        source = START + self.OBSERVE + "import sys\nplugin = sys.modules[__name__]\n"
        site.install(
            "watcher",
            entry_points={"loadstone.plugins": {"one": "watcher", "two": "watcher:plugin"}},
            modules={"watcher": source},
        )
        registry = site.registry()
        registry.activate_schemeless()
        registry.load_finished(finished("done"))

        assert calls.names == [("watcher", "done")]


class TestRequests:
    def test_pass_through_without_plugins(self, site: Site) -> None:
        """Without anybody who prepares requests the same object comes back."""
        assert site.registry().prepare_request(REQUEST) is REQUEST

    def test_are_changed_by_the_first_that_answers(self, site: Site, calls: SimpleNamespace) -> None:
        """None passes; tryfirst goes before the others, as in pluggy."""
        prepare = """
@hookimpl({options})
def loadstone_prepare_request(request):
    return None if request.headers else request.with_headers({{'Authorization': __name__}})
"""
        for name, options in (("a-auth", "tryfirst=True"), ("b-auth", "")):
            code = START + prepare.format(options=options)
            site.add(name, images=(), schemeless=True, source=code)
        registry = site.registry()
        registry.activate_schemeless()
        mine = REQUEST.with_headers({"Authorization": "mine"})

        assert registry.prepare_request(REQUEST).headers["authorization"] == "a_auth"
        assert registry.prepare_request(mine) is mine

    def test_an_answer_that_is_no_request_breaks_the_contract(
        self, site: Site, calls: SimpleNamespace
    ) -> None:
        """What is no request is told with the type that came."""
        code = "@hookimpl\ndef loadstone_prepare_request(request): return {'Authorization': 'x'}"
        site.add("auth", images=(), schemeless=True, source=START + code)
        registry = site.registry()
        registry.activate_schemeless()

        with pytest.raises(PluginContractError, match=r"auth.*returned dict, not HttpRequest"):
            registry.prepare_request(REQUEST)


class TestProviders:
    def test_are_sorted_by_priority_then_the_later_one(self, site: Site, calls: SimpleNamespace) -> None:
        """Higher priority is asked first; of equal ones the later registered."""
        for name, records in (
            ("a-meta", "('low', 0), ('top', 9)"),
            ("b-meta", "('mid1', 5), ('mid2', 5)"),
            ("c-meta", "('low2', 0),"),
        ):
            code = (
                "@hookimpl\ndef loadstone_metadata_providers():\n"
                f"    return [MetadataProvider(name, print, priority) for name, priority in ({records})]"
            )
            site.add(name, images=(), schemeless=True, source=START + code)
        registry = site.registry()
        before = registry.metadata_providers()
        registry.activate_schemeless()

        assert before == ()
        assert [each.name for each in registry.metadata_providers()] == ["top", "mid2", "mid1", "low2", "low"]
        assert registry.child().metadata_providers() is registry.metadata_providers()

    def test_come_with_a_loader_and_go_with_refresh(self, site: Site, calls: SimpleNamespace) -> None:
        """A loader's providers count once it is active; refresh starts without any."""
        code = START + (
            "@hookimpl\ndef loadstone_metadata_providers(): return [MetadataProvider('mine', print)]"
        )
        site.add(code=code)
        registry = site.registry()
        registry.image_loader("acme")
        active = registry.metadata_providers()
        registry.refresh()

        assert [each.name for each in active] == ["mine"]
        assert registry.metadata_providers() == ()
