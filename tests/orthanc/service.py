"""
Archives that the tests fill and load from: an Orthanc of our own, and the embedded server.

Orthanc is started on a free port of the loopback interface, configured for these tests alone, and stopped
by its pid.
"""

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
from typing import TYPE_CHECKING, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from loadstone_wado.server import DicomWebServer, ServerBehaviour

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


class Archive(Protocol):
    """A server with studies in it."""

    @property
    def root(self) -> str:
        """Root of its DICOMweb service."""
        ...

    @property
    def wado(self) -> str:
        """Address of its WADO-URI service."""
        ...

    @property
    def stored(self) -> int:
        """How many instances it took."""
        ...


@dataclass(frozen=True)
class Embedded:
    """The embedded server."""

    server: DicomWebServer

    @property
    def root(self) -> str:
        return self.server.url

    @property
    def wado(self) -> str:
        return self.server.wado_uri_url

    @property
    def stored(self) -> int:
        return self.server.counts.instances


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
        return f"{self.origin}/dicom-web"

    @property
    def wado(self) -> str:
        return f"{self.origin}/wado"

    @property
    def stored(self) -> int:
        found: int = json.loads(self.ask("/statistics"))["CountInstances"]
        return found

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
def embedded(
    folder: Path, contents: Iterable[bytes], user: tuple[str, str] | None = None
) -> Iterator[Embedded]:
    """Start an embedded server."""
    with DicomWebServer(list(contents), behaviour=ServerBehaviour(basic_auth=user)) as server:
        yield Embedded(server)


@contextmanager
def orthanc(
    folder: Path, contents: Iterable[bytes], user: tuple[str, str] | None = None
) -> Iterator[Orthanc]:
    """Start an Orthanc that keeps everything in a folder, fill it, and stop it at the end."""
    with running(folder, user) as service:
        service.store(contents)
        yield service


@contextmanager
def running(folder: Path, user: tuple[str, str] | None = None) -> Iterator[Orthanc]:
    """Start an empty Orthanc that keeps everything in a folder, and stop it at the end."""
    service = Orthanc(_free_port(), user)
    configuration = json.loads(CONFIGURATION.read_text(encoding="utf-8")) | {
        "HttpPort": service.port,
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
            _wait_until_it_answers(service, process, log)
            yield service
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


def _wait_until_it_answers(service: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            service.ask("/system")
        except (URLError, OSError):
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            assert time.monotonic() < end, "Orthanc does not answer"
            time.sleep(0.1)
        else:
            return
