from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from loadstone_wado.demo import run_demo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WATCHED = """
import json, sys, threading
met = []
sys.addaudithook(lambda event, given: met.append(str(given)) if event in {
    "socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"
} else None)
from loadstone.cli import main
code = main(["demo", "--output", sys.argv[1]])
print(json.dumps({"met": met, "code": code, "threads": [each.name for each in threading.enumerate()]}))
"""


def run(output: Path, temporary: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a process whose connections are recorded; the last line it prints is the record."""
    return subprocess.run(
        [sys.executable, "-c", WATCHED, str(output)],
        env={**os.environ, "TMPDIR": str(temporary), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def rows(text: str) -> list[list[str]]:
    """Return the words of the numbered rows of the table."""
    words = (line.split() for line in text.splitlines())
    return [row for row in words if len(row) > 2 and row[0].isdigit() and ":" in row[1]]


def test_demo_stays_on_loopback_and_cleans_up(tmp_path: Path) -> None:
    """It loads everything, talks to 127.0.0.1 alone whatever proxies are set, and leaves only the sheet."""
    temporary, proxy = tmp_path / "tmp", "http://192.0.2.1:9"
    temporary.mkdir()

    ended = run(tmp_path / "sheet.png", temporary, http_proxy=proxy, HTTP_PROXY=proxy, LOADSTONE_PROXY=proxy)

    record = json.loads(ended.stdout.splitlines()[-1])
    assert ended.stderr == ""
    assert record["code"] == 0
    assert record["met"]
    assert [each for each in record["met"] if "127.0.0.1" not in each] == []
    assert [each for each in record["threads"] if each.startswith(("demo-", "dicomweb"))] == []
    assert list(temporary.iterdir()) == []


def test_failures_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    """What cannot be loaded is one line on standard error, the exit code 1; there is a sheet all the same."""
    ended = run(tmp_path / "sheet.png", tmp_path, LOADSTONE_MAX_PIXELS="20000")

    record = json.loads(ended.stdout.splitlines()[-1])
    failed = [row for row in rows(ended.stdout) if row[-1] == "failed"]
    assert record["code"] == 1
    assert 0 < len(failed) < len(rows(ended.stdout))
    assert len(ended.stderr.splitlines()) == len(failed)
    assert "max_pixels" in ended.stderr
    assert (tmp_path / "sheet.png").is_file()


def test_other_plugins_are_optional(tmp_path: Path) -> None:
    """Without the plugins for NIfTI and web images their rows are left out and nothing fails."""
    ended = run(tmp_path / "sheet.png", tmp_path, LOADSTONE_PLUGINS="loadstone-wado")

    assert json.loads(ended.stdout.splitlines()[-1])["code"] == 0
    assert {row[1].partition(":")[0] for row in rows(ended.stdout)} == {"wadors", "wadouri", "dicomfile"}


def test_sheet_shows_something_in_every_tile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each numbered row has a tile with a picture that is neither black nor all of one colour."""
    before = {each.name for each in threading.enumerate()}

    good = run_demo(tmp_path / "sheet.png")

    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    tiles = [
        pixels[top : top + 220, left : left + 220]
        for top in range(10, pixels.shape[0] - 220, 285)
        for left in range(10, pixels.shape[1] - 220, 230)
    ]
    assert good
    assert sum(len(np.unique(tile)) > 4 for tile in tiles) == len(rows(capsys.readouterr().out))
    assert {each.name for each in threading.enumerate()} <= before | {"MainThread"}
