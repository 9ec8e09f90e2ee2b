"""What a forked or spawned child finds, in real processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    pytest.mark.timeout(60),
]

PREPARE = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
import numpy as np
import loadstone
from loadstone import Image, LoadCancelled, LoadstoneError, Session

def number(image_id, context):
    return Image(np.full((2, 2), int(image_id.rest), "u2"))

def stuck(image_id, context):
    time.sleep(60)

loadstone.register_image_loader("number", number)
loadstone.register_image_loader("stuck", stuck)

def in_child(work):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    return subprocess.run(
        [sys.executable, "-c", PREPARE + code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )


def assert_fine(done: subprocess.CompletedProcess[str]) -> None:
    """The script ended well and said nothing on its standard error."""
    assert (done.returncode, done.stderr) == (0, "")


def test_the_functions_of_the_package_just_work_in_the_child() -> None:
    """The child makes a default session of its own; the parent's goes on."""
    done = run("""
before = loadstone.default_session()
image = loadstone.load_image("number:1")

def work():
    assert loadstone.default_session() is not before
    mine = loadstone.load_image("number:1")
    assert mine is not image and mine.pixels[0, 0] == image.pixels[0, 0] == 1
    assert loadstone.load_volume("streaming:a", image_ids=["number:1", "number:2"]).shape == (2, 2, 2)

assert in_child(work) == 0
assert loadstone.default_session() is before
assert loadstone.load_image("number:1") is image
""")

    assert_fine(done)


def test_the_child_works_while_the_parent_is_busy() -> None:
    """Whatever locks the parent's threads hold at that moment, the child does not wait for them."""
    done = run("""
stop = False

def churn(seed):
    while not stop:
        try:
            loadstone.load_image(f"number:{seed}", reload=True)
        except LoadstoneError:
            pass

threads = [threading.Thread(target=churn, args=(n,), daemon=True) for n in range(4)]
for thread in threads:
    thread.start()

def work():
    for n in range(20):
        assert loadstone.load_image(f"number:{n}").pixels[0, 0] == n

codes = [in_child(work) for _ in range(10)]
stop = True
assert codes == [0] * 10, codes
""")

    assert_fine(done)


def test_a_session_of_the_parent_refuses_to_be_used_in_the_child() -> None:
    """The error says what to do; closing it there touches nothing of the parent's."""
    done = run("""
with Session() as session:
    session.load_image("number:1")
    volume = session.load_volume("streaming:a", image_ids=["number:1"])

    def work():
        for use in (session.load_image, session.load_volume, session.volume_ids):
            try:
                use("number:1")
            except LoadstoneError as error:
                assert "forked" in str(error), error
            else:
                raise AssertionError
        session.close()
        assert volume.array[0, 0, 0] == 1

    assert in_child(work) == 0
    assert not session.closed
    assert session.load_image("number:2").pixels[0, 0] == 2
""")

    assert_fine(done)


def test_handles_of_the_parent_settle_in_the_child() -> None:
    """Nobody works for them there, and waiting would never end."""
    done = run("""
called = []
handle = loadstone.request_image("stuck:1")
handle.add_done_callback(called.append)
while not loadstone.default_session().pool.stats().running[0]:
    time.sleep(0.01)

def work():
    assert isinstance(handle.exception(), LoadCancelled)
    assert "forked" in str(handle.exception())
    assert not called
    assert not loadstone.request_image("number:1").exception()

assert in_child(work) == 0
assert not handle.done()
""")

    assert_fine(done)


def test_nothing_of_the_parent_is_closed_in_the_child() -> None:
    """Sources that the parent holds open are neither closed nor collected there."""
    done = run("""
import gc

class File:
    nbytes = 10
    def close(self):
        os.write(1, b"closed\\n")
    def __del__(self):
        os.write(1, b"collected\\n")

def source(image_id, context):
    context.source("file", File)
    return number(image_id, context)

loadstone.register_image_loader("source", source)
loadstone.load_image("source:1")

def work():
    gc.collect()
    loadstone.load_image("number:1")

assert in_child(work) == 0
os.write(1, b"parent\\n")
loadstone.default_session().close()
""")

    assert_fine(done)
    assert done.stdout.split()[:2] == ["parent", "closed"]


def test_a_fork_inside_a_loader_leaves_the_load_to_the_parent() -> None:
    """The child of a worker belongs to no load."""
    done = run("""
def forking(image_id, context):
    def work():
        assert loadstone.default_session() is not context.session
        assert loadstone.load_image("number:5").pixels[0, 0] == 5
    assert in_child(work) == 0
    return number(image_id, context)

loadstone.register_image_loader("forking", forking)
assert loadstone.load_image("forking:1").pixels[0, 0] == 1
""")

    assert_fine(done)


def test_a_fork_while_all_cores_decode_leaves_the_child_its_own() -> None:
    """The threads that hold permits are not in the child: it waits for none of them."""
    done = run("""
from loadstone.settings import cores

def decoding(image_id, context):
    with context.computing():
        return number(image_id, context)

def hanging(image_id, context):
    with context.computing():
        holding.release()
        go.wait()
        return number(image_id, context)

loadstone.register_image_loader("decoding", decoding)
loadstone.register_image_loader("hanging", hanging)
holding, go = threading.Semaphore(0), threading.Event()
handles = [loadstone.request_image(f"hanging:{n}") for n in range(cores())]
for _ in handles:
    holding.acquire()

def work():
    assert loadstone.load_image("decoding:5").pixels[0, 0] == 5

assert in_child(work) == 0
go.set()
assert [handle.result().pixels[0, 0] for handle in handles] == list(range(cores()))
""")

    assert_fine(done)


WORKER = """
import sys
import multiprocessing
import numpy as np
import loadstone
from loadstone import Image

def number(image_id, context):
    return Image(np.full((2, 2), int(image_id.rest), "u2"))

class DataSet:
    '''Like that of PyTorch: made in the parent, asked for items in each worker.'''

    def __init__(self):
        self.ids = [f"number:{n}" for n in range(6)]

    def item(self, n):
        settings = loadstone.default_session().settings
        value = int(loadstone.load_image(self.ids[n]).pixels[0, 0])
        return value, (settings.cache_bytes, settings.compute_permits)

loadstone.register_image_loader("number", number)

if __name__ == "__main__":
    loadstone.load_image("number:1")
    own = loadstone.default_session().settings
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        items = pool.map(DataSet().item, range(6))
    print([value for value, _ in items], {share for _, share in items}, own.cache_bytes)
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_of_multiprocessing_take_a_share(method: str, tmp_path: Path) -> None:
    """Workers load by the functions of the package, each in a small budget and one decode at a time."""
    script = tmp_path / "script.py"
    script.write_text(WORKER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), method],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "LOADSTONE_CACHE_BYTES": "1000000000", "LOADSTONE_WORKER_CACHE_BYTES": "5000"},
    )

    assert_fine(done)
    assert done.stdout.strip() == "[0, 1, 2, 3, 4, 5] {(5000, 1)} 1000000000"
