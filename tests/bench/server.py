"""The embedded DICOMweb server in a process of its own: it must not share the interpreter with a client."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["serving"]

_PROGRAM = """
import sys
from loadstone_wado.server import DicomWebServer, ServerBehaviour
with DicomWebServer(sys.argv[1], behaviour=ServerBehaviour(latency=float(sys.argv[2]))) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving(folder: Path, latency: float = 0.0) -> Iterator[tuple[str, str, str]]:
    """Serve a folder with one series, each answer after `latency` seconds; give the URL, study and series."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder), str(latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/series") as answer:
            (found,) = json.load(answer)
        study, series = found["0020000D"]["Value"][0], found["0020000E"]["Value"][0]
        # The first answer converts all headers to JSON; a real archive has them in a database.
        with urllib.request.urlopen(f"{url}/studies/{study}/series/{series}/metadata") as answer:
            answer.read()
        yield url, study, series
    finally:
        process.communicate()
