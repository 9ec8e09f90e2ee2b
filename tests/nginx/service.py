"""
A static web server with DICOMweb answers as files: an nginx of our own, on a free port of the loopback
interface.

Archives are published so: nothing is computed when it is asked for, and a client meets its own limits first.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from loadstone_wado.server import DicomWebServer, ServerBehaviour

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

__all__ = ["MISSING", "publish", "serving"]

PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
MISSING = "" if PROGRAM is not None else "nginx is not installed (Debian: nginx)"
"""Why these tests cannot run; empty if they can."""

CONFIGURATION = Path(__file__).with_name("nginx.conf")
BOUNDARY = "3164a933701b45f39079f02664b58dc2"
"""Always the same, so that what was published once can be served again."""
START_SECONDS = 20
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ROOT = "http://archive.example.org/dicomweb"
"""What the published metadata call the service, which knows nothing of the port it is served from."""


def publish(
    contents: str | os.PathLike[str] | Iterable[bytes], folder: Path, *, whole_series: bool = True
) -> None:
    """
    Write DICOMweb answers as files: metadata, frames as they are stored, instances, series.

    Parameters
    ----------
    contents
        A folder of DICOM files, or the bytes of files.
    folder
        Where to.
    whole_series
        Whether a series can be had with one request.
    """
    with DicomWebServer(contents, behaviour=ServerBehaviour(advertised_root=ROOT)) as server:
        for instance in json.loads(_answer(f"{server.url}/instances?includefield=NumberOfFrames")):
            study, series, uid = (instance[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
            place = f"studies/{study}/series/{series}"
            if not (folder / place).exists():
                _write(folder / f"{place}/metadata.json", _answer(f"{server.url}/{place}/metadata"))
                if whole_series:
                    _write(folder / f"{place}.series", _answer(f"{server.url}/{place}", INSTANCES))
            place += f"/instances/{uid}"
            _write(folder / f"{place}/metadata.json", _answer(f"{server.url}/{place}/metadata"))
            _write(folder / f"{place}.dcm", _answer(server.file_url(uid)))
            frames = instance.get("00280008", {}).get("Value", [1])[0]
            for number in range(1, frames + 1):
                path = f"{place}/frames/{number}"
                _write(folder / f"{path}.frame", _answer(f"{server.url}/{path}", FRAMES))


def _answer(url: str, accept: str = "*/*") -> bytes:
    """Return an answer; the boundary in it becomes the one of the configuration."""
    with urlopen(Request(url, headers={"Accept": accept}), timeout=60) as answer:
        body: bytes = answer.read()
        _, found, boundary = answer.headers["Content-Type"].partition("boundary=")
    return body.replace(boundary.encode(), BOUNDARY.encode()) if found else body


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve what was published in a folder; give the root of the service, and stop at the end."""
    port = _free_port()
    text = Template(CONFIGURATION.read_text(encoding="utf-8"))
    path = folder / "nginx.conf"
    path.write_text(text.substitute(folder=folder, port=port, boundary=BOUNDARY), encoding="utf-8")
    command = [str(PROGRAM), "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}", process, folder / "error.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urlopen(url, timeout=5).close()
        except HTTPError as error:
            error.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < end, "nginx does not answer"
            time.sleep(0.02)
        else:
            return
