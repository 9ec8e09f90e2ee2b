"""Several threads, recursion, forks: first use happens once and nothing waits for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

from core.tests.plugins.builders import Site, load
from loadstone import Session
from loadstone.errors import PluginLoadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from loadstone._plugins import ImageRegistration

START = """
from loadstone.hookspecs import ImageLoader, hookimpl
import loadstone_test_calls as c
"""
RECORD = "@hookimpl\ndef loadstone_image_loaders(): return [ImageLoader({scheme!r}, print)]\n"


def race(*calls: Callable[[], object], timeout: float = 20) -> list[Any]:
    """Run the calls in a thread each, all starting at once; return results or errors; fail if one hangs."""
    barrier = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait(timeout)
        try:
            results[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - the error is the result
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_sixteen_threads_import_once(site: Site, calls: SimpleNamespace) -> None:
    """All threads that use a scheme for the first time get the same loader, and the hook ran once."""
    source = START + (
        "import time\nc.names.append('import'); time.sleep(0.05)\n"
        "@hookimpl\ndef loadstone_image_loaders():\n"
        "    c.names.append('hook')\n"
        "    return [ImageLoader('acme', print), ImageLoader('acme2', print)]\n"
    )
    site.add(images=("acme", "acme2"), source=source)
    registry = site.registry()

    results = race(*[lambda: registry.image_loader("acme"), lambda: registry.image_loader("acme2")] * 8)

    assert calls.names == ["import", "hook"]
    assert len(set(map(id, results))) == 2
    assert {each.record.scheme for each in results} == {"acme", "acme2"}


def test_sixteen_threads_try_a_broken_one_once(site: Site, calls: SimpleNamespace) -> None:
    """All get an error of their own with the same reason."""
    site.add(source=START + "import time\nc.names.append('import'); time.sleep(0.05)\n1 / 0")
    registry = site.registry()

    results = race(*[lambda: registry.image_loader("acme")] * 16)

    assert calls.names == ["import"]
    assert {type(each) for each in results} == {PluginLoadError}
    assert len(set(map(id, results))) == 16


def test_a_slow_import_holds_up_nobody_else(site: Site, calls: SimpleNamespace) -> None:
    """While one plugin is being imported another one can be used for the first time."""
    calls.started, calls.go_on = threading.Event(), threading.Event()
    slow = START + "c.started.set()\nassert c.go_on.wait(20)\n" + RECORD.format(scheme="slow")
    site.add("slow-loader", images=("slow",), source=slow)
    site.add("quick-loader", images=("quick",))
    registry = site.registry()

    def quick() -> ImageRegistration:
        assert calls.started.wait(20)
        found = registry.image_loader("quick")
        calls.go_on.set()
        return found

    results = race(lambda: registry.image_loader("slow"), quick)

    assert [each.record.scheme for each in results] == ["slow", "quick"]


def test_refresh_during_an_import(site: Site, calls: SimpleNamespace) -> None:
    """An import that ends after a refresh still serves who asked, and later uses start from the new look."""
    calls.started, calls.go_on = threading.Event(), threading.Event()
    site.add(source=START + "c.started.set()\nassert c.go_on.wait(20)\n" + RECORD.format(scheme="acme"))
    registry = site.registry()

    def refresh() -> str:
        assert calls.started.wait(20)
        registry.refresh()
        calls.go_on.set()
        return registry.plugins()[0].state

    first, state = race(lambda: registry.image_loader("acme"), refresh)

    assert first.record.scheme == "acme"
    assert state == "available"
    assert registry.image_loader("acme") is not first


def test_a_plugin_may_use_another_one_while_it_is_imported(site: Site, calls: SimpleNamespace) -> None:
    """A plugin whose module uses another scheme gets it, and knows that it is being imported."""
    calls.registry = None
    source = START + (
        "c.names.append((c.registry.is_activating(), c.registry.image_loader('inner').record.scheme))\n"
    ) + RECORD.format(scheme="outer")  # fmt: skip
    site.add("outer-loader", images=("outer",), source=source)
    site.add("inner-loader", images=("inner",))
    calls.registry = registry = site.registry()

    assert registry.image_loader("outer").record.scheme == "outer"
    assert calls.names == [(True, "inner")]
    assert not registry.is_activating()


def test_a_plugin_that_uses_itself_while_it_is_imported(site: Site, calls: SimpleNamespace) -> None:
    """It is told so at once, in place of waiting for itself for ever, and can be used afterwards."""
    source = START + (
        "try:\n    c.registry.image_loader('acme')\n"
        "except Exception as error:\n    c.names.append(str(error))\n"
    ) + RECORD.format(scheme="acme")  # fmt: skip
    site.add(source=source)
    calls.registry = registry = site.registry()

    assert registry.image_loader("acme").record.scheme == "acme"
    assert "it is used while it is being imported" in calls.names[0]


def test_a_plugin_that_waits_for_a_load_while_it_is_imported(site: Site, calls: SimpleNamespace) -> None:
    """The load may wait for the plugin on another thread, for ever: it is told so at once."""
    source = START + (
        "try:\n    c.session.load_image('inner:1')\n"
        "except Exception as error:\n    c.names.append(str(error))\n"
    ) + RECORD.format(scheme="acme")  # fmt: skip
    site.add(source=source)
    with Session() as session:
        session.registry = site.registry()
        session.registry.register_image_loader("inner", load)
        calls.session = session
        session.registry.image_loader("acme")
        image = session.load_image("inner:1")

    assert len(calls.names) == 1
    assert "while it is imported" in calls.names[0]
    assert image.pixels.shape == (1, 1)


def test_plugins_that_use_each_other_do_not_hang(site: Site, calls: SimpleNamespace) -> None:
    """Two threads that import two plugins which use each other end, at least one with the reason."""
    calls.barrier = threading.Barrier(2, timeout=20)
    for own, other in (("one", "two"), ("two", "one")):
        source = START + f"c.barrier.wait()\nc.registry.image_loader({other!r})\n" + RECORD.format(scheme=own)
        site.add(own, images=(own,), source=source, module=f"plugin_{own}")
    calls.registry = registry = site.registry()

    results = race(lambda: registry.image_loader("one"), lambda: registry.image_loader("two"))

    errors = [each for each in results if isinstance(each, PluginLoadError)]
    assert errors
    assert any("while it is being imported" in str(each) for each in errors)


def test_a_schemeless_plugin_may_load_while_it_is_imported(site: Site, calls: SimpleNamespace) -> None:
    """It does without the other schemeless plugins, and nothing waits for itself."""
    source = (
        START + "c.registry.activate_schemeless()\nc.registry.image_loader('acme')\nc.names.append('done')"
    )
    site.add("watcher", images=(), schemeless=True, source=source)
    site.add()
    calls.registry = registry = site.registry()

    registry.activate_schemeless()

    assert calls.names == ["done"]


def test_strict_with_plugins_that_use_each_other_at_import(site: Site, calls: SimpleNamespace) -> None:
    """Importing everything does not start again inside an import."""
    source = START + "c.registry.image_loader('inner')\n" + RECORD.format(scheme="outer")
    site.add("outer-loader", images=("outer",), source=source)
    site.add("inner-loader", images=("inner",))
    calls.registry = registry = site.registry(strict=True)

    assert registry.image_loader("outer").record.scheme == "outer"


def test_many_register_at_once(site: Site) -> None:
    """Registrations from many threads are all there, and all can be taken back."""
    registry = site.registry()

    handles = race(*[lambda n=n: registry.register_image_loader(f"mem{n}", load) for n in range(16)])
    known = registry.image_schemes()
    race(*[handle.unregister for handle in handles])

    assert len(known) == 16
    assert registry.image_schemes() == ()


def test_only_one_of_many_gets_a_scheme(site: Site) -> None:
    """Without replace exactly one of several threads gets the scheme."""
    registry = site.registry()

    results = race(*[lambda: registry.register_image_loader("mem", load)] * 8)

    assert sum(isinstance(each, Exception) for each in results) == 7


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_forked_child_starts_with_free_locks(site: Site) -> None:
    """A child that is forked while another thread imports a plugin can use plugins, and never hangs."""
    site.add("slow-loader", images=("slow",), source="import time\ntime.sleep(60)")
    site.add()
    script = """
        import os, sys, threading, time
        from loadstone._plugins import PluginIndex, Registry

        sys.path.insert(0, sys.argv[1])
        registry = Registry(index=PluginIndex.scan(sys.argv[1:]))
        threading.Thread(target=registry.image_loader, args=["slow"], daemon=True).start()
        while "slow_loader" not in sys.modules:
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            with registry.installation.plugins._turns.of(("slow-loader", "slow_loader")):
                os._exit(0 if registry.image_loader("acme").record.scheme == "acme" else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), str(site.folder)],
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
