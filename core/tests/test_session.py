from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

import loadstone
from core.tests.builders import WAIT, Paused, flat, make_session, until
from loadstone import CacheFullError, Image, LoadCancelled, LoadstoneError, RequestType, Session
from loadstone.events import ImageLoaded
from loadstone.settings import cores
from loadstone.stash import StashKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from loadstone import ImageId, LoadContext


@pytest.fixture
def default() -> Iterator[Session]:
    """The default session, made anew and closed afterwards, with ``number:`` ids."""
    from core.tests.builders import numbered

    loadstone.default_session().close()
    with loadstone.register_image_loader("number", numbered):
        yield loadstone.default_session()
        loadstone.default_session().close()


class TestClose:
    def test_it_frees_memory_and_threads_and_leaves_arrays(self) -> None:
        """What was handed out stays valid; everything else is gone."""
        with make_session() as session:
            image = session.load_image("number:3")
        stats = session.cache.stats()

        assert session.closed
        assert (stats.kept, stats.entries, session.pool.stats().threads) == (0, 0, 0)
        assert image.pixels[0, 0] == 3
        session.close()

    def test_nothing_can_be_loaded_any_more(self) -> None:
        """Every way in says that the session is closed."""
        session = make_session()
        session.close()
        for use in (session.load_image, session.load_volume, session.volume_ids, session.image_ids):
            with pytest.raises(LoadstoneError, match="closed"):
                use("number:1")
        with pytest.raises(LoadstoneError, match="closed"):
            session.metadata.get("number:1", loadstone.metadata.ImagePlane)

    @pytest.mark.timeout(30)
    def test_a_loader_that_hangs_does_not_hold_it_up(self) -> None:
        """Closing ends within two seconds, and every handle has settled."""
        paused = Paused()
        session = make_session({"paused": paused}, file_permits=1)
        handles = [session.request_image(f"paused:{number}") for number in range(3)]
        assert paused.started.wait(WAIT)
        started = time.monotonic()
        session.close()
        seconds = time.monotonic() - started

        assert seconds < 2
        assert all(isinstance(handle.exception(), LoadCancelled) for handle in handles)
        paused.go.set()
        until(lambda: session.pool.stats().threads == 0)
        assert session.cache.stats().kept == session.cache.stats().reserved == 0
        assert paused.calls == ["paused:0"]

    def test_a_worker_may_close_its_own_session(self) -> None:
        """It does not wait for itself."""
        with make_session() as session:
            session.subscribe(ImageLoaded, lambda _: session.close())

            assert isinstance(session.request_image("number:1").exception(WAIT), LoadCancelled | None)
            until(lambda: session.closed)

    def test_loads_that_start_while_it_closes_settle(self) -> None:
        """Whoever comes too late gets an error, at once or from the handle; nobody waits for ever."""
        for _ in range(10):
            session = make_session()
            ended = list[bool]()

            def ask(session: Session = session, ended: list[bool] = ended) -> None:
                for number in range(50):
                    try:
                        session.request_image(f"number:{number}").exception(WAIT)
                    except LoadstoneError:
                        break
                ended.append(True)

            threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            session.close()
            for thread in threads:
                thread.join(WAIT)

            assert len(ended) == 4

    def test_the_stash_is_emptied(self) -> None:
        """What plugins kept is let go."""
        key = StashKey[int]()
        with make_session() as session:
            session.stash[key] = 1

        assert key not in session.stash


class TestSeveral:
    def test_sessions_share_nothing_but_what_is_installed(self) -> None:
        """Each has its own cache, threads and loaders."""
        with (
            make_session({"toy": lambda *_: flat(1)}) as one,
            make_session({"toy": lambda *_: flat(2)}) as two,
        ):
            assert one.load_image("toy:1").pixels[0, 0] == 1
            assert two.load_image("toy:1").pixels[0, 0] == 2
            assert one.cache.stats().entries == two.cache.stats().entries == 1

    def test_inside_a_loader_the_functions_of_the_package_use_its_session(self, default: Session) -> None:
        """Nested loads by `loadstone.load_image` land in the cache of the session that loads."""

        def parent(image_id: ImageId, context: LoadContext) -> Image:
            assert loadstone.default_session() is context.session
            return loadstone.load_image("number:3")

        with make_session({"parent": parent}) as session:
            session.load_image("parent:1")

            assert session.cache.stats().entries == 2
            assert default.cache.stats().entries == 0
        assert loadstone.default_session() is default

    def test_a_closed_default_session_is_made_anew(self, default: Session) -> None:
        """The functions of the package always work."""
        first = loadstone.load_image("number:1")
        default.close()

        assert loadstone.load_image("number:1") is not first
        assert loadstone.default_session() is not default

    def test_one_that_nobody_holds_is_gone(self) -> None:
        """Neither its threads nor its registry keep a forgotten session alive."""
        session = make_session(idle_seconds=0.01)
        session.load_image("number:1")
        until(lambda session=session: session.pool.stats().threads == 0)  # type: ignore[misc] # mypy #12557
        gone = weakref.ref(session)
        del session
        gc.collect()

        assert gone() is None


def test_the_functions_of_the_package(default: Session) -> None:
    """Each does what the method of the default session does."""
    ids = [f"number:{number}" for number in (2, 1)]
    volume = loadstone.load_volume("streaming:a", image_ids=ids)

    assert loadstone.load_image("number:1") is default.load_image("number:1")
    assert loadstone.request_image("number:1").result() is default.load_image("number:1")
    assert loadstone.request_volume("streaming:a", image_ids=ids).result() is volume
    assert loadstone.create_volume("streaming:a", image_ids=ids) is volume
    assert loadstone.to_id("number:1") == "number:1"
    assert default.cache.stats().pinned == volume.nbytes


def test_limits_can_be_changed_while_it_runs() -> None:
    """`set_limit` changes threads and permits alike."""
    with make_session(host_permits=2, compute_permits=1) as session:
        gates = [session.permits.gate(key) for key in (("host:80", RequestType.PREFETCH), "compute", "file")]
        session.set_limit(RequestType.PREFETCH, 5)
        session.set_limit(RequestType.COMPUTE, 3)
        limits = [gate.limit for gate in gates]
        session.set_limit(RequestType.PREFETCH, 1)

        assert limits == [5, 3, session.settings.file_permits]
        assert (gates[0].limit, session.pool.limit(RequestType.PREFETCH)) == (1, 1)
        assert session.pool.limit(RequestType.INTERACTION) == 2
        assert session.pool.limit(RequestType.INTERACTION, "file") == session.settings.file_permits
        with pytest.raises(ValueError, match="at least 1"):
            session.set_limit(RequestType.PREFETCH, 0)


def test_several_sessions_decode_no_more_at_a_time_than_there_are_cores() -> None:
    """Sessions with the default settings share the cores, and all loads end."""
    go, lock, computing = threading.Event(), threading.Lock(), list[str]()

    def decoding(image_id: ImageId, context: LoadContext) -> Image:
        with context.computing():
            with lock:
                computing.append(image_id.rest)
            assert go.wait(WAIT)
            return flat(1)

    with (
        make_session({"decoding": decoding}) as one,
        make_session({"decoding": decoding}) as two,
        make_session({"decoding": decoding}) as three,
    ):
        each = cores() + 1
        ids = [f"decoding:{number}" for number in range(each)]
        handles = [session.request_image(name) for session in (one, two, three) for name in ids]
        until(lambda: len(one.permits._share._whole._queue) == 3 * each - cores())

        assert len(computing) == cores()
        go.set()
        assert [handle.result(WAIT).pixels[0, 0] for handle in handles] == [1] * 3 * each
        assert one.permits._share._whole.inside == 0


@pytest.mark.timeout(30)
def test_loads_through_three_sessions_end_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that decodes waits for a load of another session: the one permit goes to whoever works."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)

    def through(inner: Session) -> Callable[[ImageId, LoadContext], Image]:
        def load(image_id: ImageId, context: LoadContext) -> Image:
            with context.computing():
                return flat(1 + inner.load_image(f"number:{image_id.rest}").pixels[0, 0])

        return load

    limits: dict[str, Any] = {"host_permits": 1, "file_permits": 1}
    with make_session(**limits) as lowest:
        with (
            make_session({"number": through(lowest)}, **limits) as middle,
            make_session({"number": through(middle)}, **limits) as top,
        ):
            handles = [top.request_image(f"number:{number}") for number in range(5)]
            others = [middle.request_image(f"number:{number}") for number in range(5, 10)]

            assert [handle.result(WAIT).pixels[0, 0] for handle in handles] == [2, 3, 4, 5, 6]
            assert [handle.result(WAIT).pixels[0, 0] for handle in others] == [6, 7, 8, 9, 10]
        assert lowest.settings.compute_permits == 1
        assert top.permits.gate("compute") is top.permits._share


def test_it_refuses_to_be_pickled_or_copied() -> None:
    """Threads, sockets and memory stay in their process."""
    with make_session() as session:
        with pytest.raises(TypeError, match="Settings"):
            pickle.dumps(session)
        with pytest.raises(TypeError, match="pickled"):
            copy.copy(session)


def test_repr_says_how_full_it_is() -> None:
    """In one line."""
    with make_session(cache_bytes=1000) as session:
        session.load_image("number:1")

        assert repr(session) == "<Session 1 entries, 40 of 1,000 bytes>"


@pytest.mark.parametrize("wish", [True, "plain"])
def test_progress_true_draws_something(
    wish: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar of tqdm, or plain text where it is not installed."""
    if wish == "plain":
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with make_session() as session:
        session.load_volume("streaming:a", image_ids=["number:1", "number:2"], progress=True)
    shown = capsys.readouterr().err

    assert "2/2" in shown
    assert "streaming:a" in shown


@pytest.mark.timeout(120)
def test_a_thousand_loads_with_random_cancels_leave_nothing_behind() -> None:
    """Threads, file descriptors, reservations and loads are what they were."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208

    before = threading.active_count(), descriptors()
    random = np.random.default_rng(7)
    with make_session(cache_bytes=2000, idle_seconds=0.05, file_permits=4) as session:
        for start in range(0, 1000, 50):
            handles = [
                session.request_image(
                    f"number:{random.integers(200)}", type=RequestType(int(random.integers(3)))
                )
                for _ in range(start, start + 50)
            ]
            for handle in handles:
                if random.random() < 0.4:
                    handle.cancel()
            for handle in handles:
                assert isinstance(handle.exception(WAIT), LoadCancelled | CacheFullError | None)
        until(lambda: session.pool.stats().threads == 0)
        stats = session.cache.stats()

        assert (stats.reserved, stats.pinned) == (0, 0)
        assert stats.kept == stats.entries * 40
        assert session.desk._loads == {}
        assert session.desk._unsettled == set()
    assert (threading.active_count(), descriptors()) <= before


class TestProcess:
    """What happens at the ends of a process."""

    SCRIPT = """
import signal, sys, threading, time
import numpy as np
import loadstone
from loadstone import Image

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background

def slow(image_id, context):
    print("started", flush=True)
    context.on_cancel(lambda: print("cancelled", flush=True))
    while not context.cancelled:
        time.sleep(0.01)
    return Image(np.zeros((2, 2), "u1"))

def stuck(image_id, context):
    time.sleep(60)

loadstone.register_image_loader("slow", slow)
loadstone.register_image_loader("stuck", stuck)
"""

    def run(self, code: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT + code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_exit_does_not_wait_for_what_is_queued_or_running(self) -> None:
        """A script ends when it ends."""
        process = self.run("""
handles = [loadstone.request_image(f"stuck:{n}") for n in range(100)]
print("end", flush=True)
""")
        out, err = process.communicate(timeout=WAIT)

        assert (process.returncode, out, err) == (0, "end\n", "")

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
    @pytest.mark.parametrize(
        "call", ["loadstone.load_image('slow:1')", "loadstone.load_image('slow:1', progress=print)"]
    )
    def test_an_interrupt_cancels_the_load(self, call: str) -> None:
        """Ctrl-C in a blocking call ends the call, and the load with it."""
        import signal

        process = self.run(f"""
try:
    {call}
except KeyboardInterrupt:
    time.sleep(0.2)
    print("interrupted", flush=True)
""")
        assert process.stdout is not None
        while "started" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)

        assert (process.returncode, err) == (0, "")
        assert "cancelled" in out
        assert "interrupted" in out


@pytest.mark.parametrize(
    "keywords", [{"type": "INTERACTION"}, {"type": 0}, {"priority": "high"}, {"options": 5}, {"dtype": "x"}]
)
def test_keywords_that_make_no_sense_are_refused_at_once(keywords: dict[str, Any]) -> None:
    """Whether the image is cached or not, and before anything is queued."""
    with make_session() as session:
        for _ in range(2):
            with pytest.raises(LoadstoneError, match=next(iter(keywords))):
                _ = session.request_image("number:1", **keywords)
            session.load_image("number:1")
        with pytest.raises(LoadstoneError, match=next(iter(keywords))):
            _ = session.request_volume("all", image_ids=["number:1"], **keywords)


@pytest.mark.parametrize(
    "make",
    [
        lambda session: session.create_local_image(np.zeros((2, 2))),
        lambda session: session.create_local_volume(np.zeros((2, 2, 2))),
    ],
)
def test_nothing_is_made_in_a_closed_session(make: Callable[[Session], object]) -> None:
    """It could not be kept, nor found by its id."""
    session = make_session()
    session.close()
    with pytest.raises(LoadstoneError, match="closed"):
        make(session)
