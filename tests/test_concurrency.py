"""Many loads at once against real servers, and processes that end or multiply while loads are in flight."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import WAIT, until
from loadstone import Image, LoadCancelled, LoadObject, RequestType, Session
from loadstone.testing.faults import Answer, FaultServer, Received
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from tests.builders import ct_slice, part10, write_ct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_log = logging.getLogger(__name__)

IN_FLIGHT = 20
"""The default limit of requests to one host."""
PART10 = part10(ct_slice(np.full((64, 64), 1500, np.uint16)))


class Counting:
    """Answers with a file after 20 ms; counts how many requests it has at once."""

    def __init__(self, at_least: int = 0) -> None:
        self.most = self.now = self.served = 0
        self._at_least = at_least
        self._changed = threading.Condition()

    def __call__(self, request: Received) -> Answer:
        with self._changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self._changed.notify_all()
            # The first are answered when so many are there: only a client that does not wait gets an answer.
            together = self._changed.wait_for(lambda: self.most >= self._at_least, WAIT)
        time.sleep(0.02)
        with self._changed:
            self.now -= 1
            self.served += 1
        return Answer(body=PART10) if together else Answer(status=404)


def wait_settled(handles: list[LoadObject[Any]]) -> None:
    """Wait for all, and raise what one of them raised."""
    for handle in handles:
        handle.result(WAIT)


def test_twenty_requests_are_in_flight() -> None:
    """With 20 ms of latency, a server has 20 requests at a time, and never more."""
    counting = Counting(at_least=IN_FLIGHT)
    with FaultServer() as server, Session() as session:
        ids = [f"wadouri:{server.plan(f'/{n}', counting)}" for n in range(100)]
        started = time.monotonic()
        wait_settled([session.request_image(image_id) for image_id in ids])
        _log.info("100 requests of 20 ms each took %.2f s", time.monotonic() - started)

    assert (counting.most, counting.served) == (IN_FLIGHT, 100)


def test_slices_of_a_volume_are_asked_for_at_once(tmp_path: Path) -> None:
    """Where a server gives no whole series, frames are requested side by side up to the limit."""
    write_ct(tmp_path, (40, 16, 16))
    behaviour = ServerBehaviour(latency=0.02, refuses_frame_lists=True, refuses_series_metadata=True)
    most = [0]
    ended = threading.Event()
    with DicomWebServer(tmp_path, behaviour=behaviour) as server, Session() as session:

        def look() -> None:
            while not ended.wait(0.001):
                most[0] = max(most[0], sum(not each.finished for each in server.requests))

        watch = threading.Thread(target=look, daemon=True)
        watch.start()
        volume = session.load_volume(f"wadors:{server.url}/studies/1.2.3/series/1.2.3.1")
        ended.set()
        watch.join()
        requests = len(server.requests)

    assert volume.shape == (40, 16, 16)
    assert requests > 40
    assert 4 < most[0] <= IN_FLIGHT


@contextmanager
def held() -> Iterator[tuple[FaultServer, threading.Event]]:
    """Give a server whose files under ``/slow/…`` wait for an event."""
    go = threading.Event()
    with FaultServer() as server:
        try:
            yield server, go
        finally:
            go.set()


def test_an_interaction_overtakes_a_thousand_prefetches() -> None:
    """Somebody who waits is served while 1,000 prefetches from the same server are queued."""
    with held() as (server, go), Session() as session:

        def slow(_: Received) -> Answer:
            assert go.wait(WAIT)
            return Answer(body=PART10)

        server.plan("/slow", slow)
        quick = f"wadouri:{server.plan('/quick', Answer(body=PART10))}"
        queued = [
            session.request_image(f"wadouri:{server.url(f'/slow?n={n}')}", type=RequestType.PREFETCH)
            for n in range(1000)
        ]
        assert server.wait_for(lambda each: len(each.requests) == IN_FLIGHT)
        image = session.load_image(quick)
        done = sum(handle.done() for handle in queued)
        paths = [each.path for each in server.requests]
        for handle in queued:
            handle.cancel()

        assert image.pixels[0, 0] == 476
        assert done == 0
        assert paths == ["/slow"] * IN_FLIGHT + ["/quick"]


STALLS = {
    "before the header": Answer(body=PART10, delay=30),
    "in the header": Answer(body=PART10, header_cut=10, end="stall"),
    "in the body": Answer(body=PART10, body_cut=300, end="stall"),
    "in chunks": Answer(body=PART10, framing="chunked", body_cut=300, end="stall"),
    "drop by drop": Answer(body=PART10, drip=0.1),
}


def by_handle(session: Session, image_id: str, blocked: Callable[[], object]) -> float:
    """Cancel the only handle."""
    handle = session.request_image(image_id)
    blocked()
    at = time.monotonic()
    handle.cancel()
    with pytest.raises(LoadCancelled):
        handle.result(WAIT)
    return at


def by_task(session: Session, image_id: str, blocked: Callable[[], object]) -> float:
    """Cancel the task that awaits the image."""

    async def awaiting() -> float:
        async def load() -> Image:
            return await session.request_image(image_id)

        task = asyncio.create_task(load())
        await asyncio.to_thread(blocked)
        at = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return at

    return asyncio.run(awaiting())


def by_closing(session: Session, image_id: str, blocked: Callable[[], object]) -> float:
    """Close the session under a thread that blocks in `load_image`."""
    errors: list[BaseException] = []

    def load() -> None:
        try:
            session.load_image(image_id)
        except LoadCancelled as error:
            errors.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    blocked()
    at = time.monotonic()
    session.close()
    thread.join(WAIT)
    assert len(errors) == 1
    return at


@pytest.mark.parametrize("cancel", [by_handle, by_task, by_closing])
@pytest.mark.parametrize("scheme", ["wadouri", "web"])
@pytest.mark.parametrize("stall", STALLS)
def test_the_server_sees_a_cancel_within_a_second(
    stall: str, scheme: str, cancel: Callable[[Session, str, Callable[[], object]], float]
) -> None:
    """Wherever the client is blocked in a read, its connection closes; nothing is tried again."""
    with FaultServer() as server, Session() as session:
        image_id = f"{scheme}:{server.plan('/image', STALLS[stall])}"

        def blocked() -> None:
            assert server.wait_for(lambda each: len(each.requests) == 1)
            time.sleep(0.05)  # what is sent has arrived, and the client waits for more

        at = cancel(session, image_id, blocked)
        assert server.wait_for(lambda each: each.connections[0].closed_at is not None)
        closed_at = server.connections[0].closed_at
        until(lambda: session.cache.stats().reserved == 0)

        assert closed_at is not None
        assert closed_at - at < 1
        assert len(server.requests) == 1


def test_a_handle_that_stays_keeps_the_connection() -> None:
    """Cancelling one of two handles closes nothing, and the other one gets the image."""
    with held() as (server, go), Session() as session:

        def slow(_: Received) -> Answer:
            assert go.wait(WAIT)
            return Answer(body=PART10)

        image_id = f"wadouri:{server.plan('/slow', slow)}"
        first, second = session.request_image(image_id), session.request_image(image_id)
        assert server.wait_for(lambda each: len(each.requests) == 1)
        first.cancel()
        go.set()

        assert second.result(WAIT).pixels[0, 0] == 476
        assert len(server.requests) == 1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


EXIT = """
import sys
import loadstone

handles = [loadstone.request_image(f"wadouri:{sys.argv[1]}?n={n}") for n in range(200)]
while sys.stdin.read(1) != "!":
    pass
print(sum(handle.done() for handle in handles))
"""


def test_exit_waits_for_no_server() -> None:
    """A script with 200 requests queued and in flight ends at its end, silently."""
    with FaultServer() as server:
        url = server.plan("/image", Answer(body=PART10, body_cut=300, end="stall"))
        command = [sys.executable, "-c", EXIT, url]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            assert server.wait_for(lambda each: len(each.requests) == IN_FLIGHT, WAIT)
            started = time.monotonic()
            output = process.communicate("!", timeout=WAIT)
            seconds = time.monotonic() - started

    assert (process.returncode, *output) == (0, "0\n", "")
    assert seconds < 5


WORKERS = """
import multiprocessing
import sys

import numpy as np

import loadstone


class DataSet:
    '''Like that of PyTorch: made in the parent, asked for items in each worker.'''

    def __init__(self, *ids):
        self.ids = ids

    def item(self, n):
        return float(loadstone.load_image(self.ids[n % len(self.ids)]).pixels.sum())


if __name__ == "__main__":
    method, folder, url = sys.argv[1:]
    data = DataSet(*loadstone.image_ids(f"dicomfile:{folder}"), f"wadouri:{url}")
    queued = [loadstone.request_image(each) for each in data.ids]  # workers import, read, wait for a server
    with multiprocessing.get_context(method).Pool(2) as pool:
        items = pool.map(data.item, range(4 * len(data.ids)))
    assert items == 4 * [float(handle.result(10).pixels.sum()) for handle in queued]
    print(len(set(items)))
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_load_from_files_and_servers(method: str, tmp_path: Path) -> None:
    """Workers use the default session with the real loaders, while the parent's is at work."""
    (tmp_path / "ct").mkdir()
    write_ct(tmp_path / "ct")
    script = tmp_path / "script.py"
    script.write_text(WORKERS, encoding="utf-8")
    with FaultServer() as server:
        url = server.plan("/image", Answer(body=PART10, delay=0.02))
        done = run(str(script), method, str(tmp_path / "ct"), url)

    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
