"""A notebook, executed in a real kernel: its event loop is running while its cells use Loadstone."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image as PillowImage

from tests.builders import write_ct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

PREPARE = """
import asyncio, json, sys, threading
import numpy as np
import loadstone
from loadstone import Image, LoadCancelled

go = threading.Event()

def slow(image_id, context):
    assert go.wait(20)
    return Image(np.full((2, 2), int(image_id.rest), "u1"))

def steps(image_id, context):
    for value in (6, 7):
        yield Image(np.full((2, 2), value, "u1"), quality=loadstone.Quality(value))
    yield Image(np.full((2, 2), 8, "u1"))

loadstone.register_image_loader("slow", slow)
loadstone.register_image_loader("steps", steps)
"""


def executed(folder: Path, *cells: str) -> list[Any]:
    """Run the cells of a notebook in one kernel, which starts in `folder`, and return the outputs of each."""
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])  # type: ignore[no-untyped-call] # not annotated
    client = NotebookClient(
        notebook, timeout=30, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def text(outputs: Sequence[Any], stream: str = "stdout") -> str:
    """Return what a cell printed."""
    return "".join(each.text for each in outputs if each.output_type == "stream" and each.name == stream)


def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocking calls, `await`, partial results, cancel, progress and display work in cells as in scripts."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))  # nothing of the user's is read or written
    (tmp_path / "ct").mkdir()
    stored = write_ct(tmp_path / "ct", shape=(6, 5, 7))
    _, image, shown, volume, awaited, gathered, partials, empty_first, cancelled, end = executed(
        tmp_path,
        PREPARE,
        'image = loadstone.load_image("dicomfile:ct/0.dcm")\nprint(image.pixels.shape, image.units)',
        "image",
        'volume = loadstone.load_volume("dicomfile:ct", progress=True)\n'
        "print(json.dumps(volume.array.tolist()))",
        'again = await loadstone.request_volume("dicomfile:ct", reload=True)\n'
        "print(again is volume, np.array_equal(again.array, volume.array))",
        "asyncio.get_running_loop().call_later(0.1, go.set)\n"
        'images = await asyncio.gather(*(loadstone.request_image(f"slow:{n}") for n in range(5)))\n'
        "print([int(each.pixels[0, 0]) for each in images])",
        'last = list(loadstone.request_image("steps:1").partials())[-1]\nprint(int(last.quality))',
        'seen = list(loadstone.request_volume("dicomfile:ct", reload=True).partials())\n'
        "print(seen[0] is seen[-1], len(seen[-1].missing))",
        """
go.clear()
handle = loadstone.request_image("slow:9")
handle.cancel()
try:
    handle.result()
except LoadCancelled:
    print("cancelled")
task = asyncio.ensure_future(asyncio.wait_for(loadstone.request_image("slow:10"), 0.1))
try:
    await task
except TimeoutError:
    print("timed out")
go.set()
""",
        "loadstone.default_session().close()\n"
        'print([each.name for each in threading.enumerate() if "loadstone" in each.name])',
    )

    assert text(image) == "(5, 7) HU\n"
    assert np.array_equal(json.loads(text(volume)), stored.astype(np.int32) - 1024)
    assert "6/6" in progress_of(volume)
    assert text(awaited) == "False True\n"
    assert text(gathered) == "[0, 1, 2, 3, 4]\n"
    assert text(partials) == "8\n"
    assert text(empty_first) == "True 0\n"
    assert text(cancelled) == "cancelled\ntimed out\n"
    assert text(end) == "[]\n"
    png = base64.b64decode(shown[0].data["image/png"])
    with PillowImage.open(BytesIO(png)) as picture:
        assert (picture.format, picture.size) == ("PNG", (7, 5))


def progress_of(outputs: Sequence[Any]) -> str:
    """Return what a bar showed: plain text, or what tqdm draws where widgets are missing."""
    return text(outputs, "stderr") + json.dumps([each.get("data", {}) for each in outputs])
