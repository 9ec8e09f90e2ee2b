"""An Orthanc of our own: started on a free port of the loopback interface, filled, and stopped by its pid."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROGRAM = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
CONFIGURATION = Path(__file__).with_name("orthanc.json")
START_SECONDS = 60

MISSING = (
    ""
    if PROGRAM is not None and PLUGIN.is_file()
    else "Orthanc and its DICOMweb plugin are not installed (Debian: orthanc, orthanc-dicomweb)"
)
"""Why these tests cannot run; empty if they can."""


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    port: int
    user: tuple[str, str] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> str:
        """Return the root of its DICOMweb service."""
        return f"{self.origin}/dicom-web"

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """Send a request to its REST API."""
        request = Request(f"{self.origin}{path}", data=body)
        if self.user is not None:
            credentials = base64.b64encode(":".join(self.user).encode()).decode()
            request.add_header("Authorization", f"Basic {credentials}")
        with urlopen(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def store(self, contents: Iterable[bytes]) -> int:
        """Store Part-10 files; return how many it took."""
        return sum(map(self._stores, contents))

    def _stores(self, content: bytes) -> bool:
        try:
            self.ask("/instances", content)
        except HTTPError:
            return False
        return True


@contextmanager
def running(folder: Path, user: tuple[str, str] | None = None) -> Iterator[Orthanc]:
    """Start an Orthanc that keeps everything in a folder, and stop it at the end."""
    orthanc = Orthanc(_free_port(), user)
    configuration = json.loads(CONFIGURATION.read_text(encoding="utf-8")) | {
        "HttpPort": orthanc.port,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "AuthenticationEnabled": user is not None,
        "RegisteredUsers": dict([user] if user else []),
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration), encoding="utf-8")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(PROGRAM), str(path)], stdout=output, stderr=output)
        try:
            _wait_until_it_answers(orthanc, process, log)
            yield orthanc
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
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_answers(orthanc: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            orthanc.ask("/system")
        except (URLError, OSError):
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < end, "Orthanc does not answer"
            time.sleep(0.1)
        else:
            return
