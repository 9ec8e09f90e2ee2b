"""Bad input through every plugin: a typed error that helps, nothing kept, and the next correct load works."""

from __future__ import annotations

import gzip
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import nibabel
import numpy as np
import pytest
from PIL import Image as PilImage
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID, ExplicitVRLittleEndian

import loadstone
from loadstone import (
    DecodeError,
    FetchError,
    IntegrityError,
    InvalidIdError,
    LoadstoneError,
    Session,
    UnknownSchemeError,
    UnsupportedError,
)
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.server import DicomWebServer
from tests.builders import ct_slice, part10, write_ct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

SECRET = "s3cret"
VALUES = np.arange(60, dtype=np.uint16).reshape(6, 10)
TEXT = b"this is no image, it is a letter\n" * 50
PAGE = b"<!DOCTYPE html><html>Please log in</html>"
PRIVATE_SYNTAX = UID("1.2.840.113619.99")


def dicom(syntax: UID = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """Return a CT slice as a Part-10 file; its values are 1024 below what is stored."""
    return part10(ct_slice(VALUES, SOPInstanceUID="1.2.3.4", **attributes), syntax)


def dicom_without_pixels() -> bytes:
    """Return the same without pixel data."""
    dataset = ct_slice(VALUES, SOPInstanceUID="1.2.3.4")
    del dataset.PixelData
    return part10(dataset)


def report() -> bytes:
    """Return a structured report that pydicom brings along."""
    return Path(str(get_testdata_file("reportsi.dcm", read=False))).read_bytes()


def nifti() -> bytes:
    """Return a NIfTI file of three slices, the second one with the values of the others."""
    image: Any = nibabel.Nifti1Image
    return bytes(image(np.stack(3 * [VALUES.T], axis=-1), np.eye(4)).to_bytes())


def png() -> bytes:
    """Return a PNG file."""
    file = BytesIO()
    PilImage.fromarray(VALUES).save(file, "PNG")
    return file.getvalue()


def jpeg() -> bytes:
    """Return a JPEG file."""
    file = BytesIO()
    PilImage.fromarray(VALUES.astype(np.uint8)).save(file, "JPEG", quality=100)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Bad:
    """Bytes that are no image, and what is to be said about them."""

    name: str
    """Name of the file."""
    data: bytes
    """Its bytes."""
    error: type[LoadstoneError]
    """What is raised."""
    says: str
    """What happened, as a regular expression."""

    @property
    def good(self) -> bytes:
        """What is to stand in its place."""
        kinds: dict[str, Callable[[], bytes]] = {".dcm": dicom, ".nii": nifti, ".png": png, ".jpg": jpeg}
        stem, compressed, _ = self.name.partition(".gz")
        data = kinds[Path(stem).suffix]()
        return gzip.compress(data) if compressed else data

    def image_id(self, source: str) -> str:
        """Return the id of one image in it."""
        scheme = "wadouri" if source.startswith("http") else "dicomfile"
        if ".nii" in self.name:
            return f"nifti:{source}{'&' if '?' in source else '?'}frame=1"
        return f"{scheme}:{source}" if ".dcm" in self.name else f"web:{source}"

    def __str__(self) -> str:
        return f"{self.name}-{self.says}"


BAD = [
    Bad("a.dcm", TEXT, DecodeError, "not a DICOM object"),
    Bad("a.dcm", png(), UnsupportedError, "not a DICOM object but a PNG image"),
    Bad("a.dcm", PAGE, DecodeError, "not a DICOM object"),
    Bad("a.dcm", b"", DecodeError, "not a DICOM object"),
    Bad(
        "a.dcm", dicom()[:-50], IntegrityError, "ends before frame 1 does: 120 bytes are needed, 70 are there"
    ),
    Bad(
        "a.dcm", dicom(PRIVATE_SYNTAX), UnsupportedError, f"transfer syntax {PRIVATE_SYNTAX} is not supported"
    ),
    Bad("a.dcm", dicom_without_pixels(), UnsupportedError, "CT Image Storage .* without pixel data"),
    Bad("a.dcm", report(), UnsupportedError, "Basic Text SR Storage .* without pixel data"),
    Bad("a.nii", TEXT, UnsupportedError, "not a NIfTI file but text"),
    Bad("a.nii", png(), UnsupportedError, "not a NIfTI file but a PNG image"),
    Bad("a.nii", PAGE, UnsupportedError, "not a NIfTI file but an HTML page"),
    Bad("a.nii", b"", IntegrityError, "empty"),
    Bad("a.nii", nifti()[:-50], IntegrityError, "truncated|has [0-9,]+ bytes"),
    Bad("a.nii.gz", TEXT, UnsupportedError, "not a NIfTI file but text"),
    Bad("a.nii.gz", gzip.compress(TEXT), UnsupportedError, "not a NIfTI file but text"),
    Bad("a.nii.gz", gzip.compress(nifti(), mtime=0)[:100], IntegrityError, "truncated"),
    Bad("a.png", TEXT, UnsupportedError, "neither PNG nor JPEG but text"),
    Bad("a.png", PAGE, UnsupportedError, "neither PNG nor JPEG but an HTML page"),
    Bad("a.png", b"", IntegrityError, "empty"),
    Bad("a.png", png()[:-20], IntegrityError, "PNG is truncated"),
    Bad("a.jpg", TEXT, UnsupportedError, "neither PNG nor JPEG but text"),
    Bad("a.jpg", jpeg()[:-40], IntegrityError, "JPEG is truncated"),
]


@pytest.fixture
def session() -> Iterator[Session]:
    """Return a session that tries twice, at once."""
    with Session(attempts=2, backoff_seconds=0.0) as session:
        yield session


@contextmanager
def refused(session: Session, error: type[LoadstoneError], says: str, *, about: str) -> Iterator[None]:
    """
    Expect an error.

    Its class is exactly `error`; it says what happened, what was looked at and what to do, and no secret.
    Nothing is reserved or pinned afterwards.
    """
    with pytest.raises(LoadstoneError) as caught:
        yield

    found = caught.value
    shown = f"{found} {found.__cause__}"

    assert type(found) is error, shown
    assert re.search(says, found.what)
    assert about in found.source
    assert found.hint.endswith(".")
    assert SECRET not in shown
    assert session.cache.stats().pinned == session.cache.stats().reserved == 0


def check(session: Session, bad: Bad, source: str) -> None:
    """Compare the image, after its file was mended."""
    image = session.load_image(bad.image_id(source))

    if ".jpg" in bad.name:
        np.testing.assert_allclose(image.pixels.astype(int), VALUES, atol=2)
    else:
        np.testing.assert_array_equal(image.pixels, VALUES.astype(int) - (1024 if ".dcm" in bad.name else 0))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_file(session: Session, tmp_path: Path, bad: Bad) -> None:
    """Neither the image nor the volume loads, however often it is tried; a good file in its place does."""
    path = tmp_path / bad.name
    path.write_bytes(bad.data)

    for _ in range(2):
        with refused(session, bad.error, bad.says, about=str(path)):
            session.load_image(bad.image_id(str(path)))
    if not bad.image_id("").startswith("web"):
        with refused(session, bad.error, bad.says, about=str(path)):
            session.load_volume(path)

    path.write_bytes(bad.good)

    check(session, bad, str(path))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_answer(session: Session, bad: Bad) -> None:
    """The same over HTTP, where the query of the URL is nobody else's business."""
    with FaultServer() as server:
        source = f"{server.url(f'/{bad.name}')}?token={SECRET}"
        server.plan(f"/{bad.name}", Answer(bad.data))

        with refused(session, bad.error, bad.says, about=bad.name):
            session.load_image(bad.image_id(source))

        server.plan(f"/{bad.name}", Answer(bad.good))

        check(session, bad, source)


def other(data: bytes) -> bytes:
    """Return the file with other values in its place, rows in reverse order."""
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(other(gzip.decompress(data)))
    changed = data.replace(VALUES.tobytes(), VALUES[::-1].tobytes())

    assert changed != data
    return changed


@pytest.mark.parametrize("name", ["a.dcm", "a.nii", "a.nii.gz"])
def test_reload_asks_the_server(session: Session, name: str) -> None:
    """``reload=True`` gives what the server has now, not what was read from its last answer."""
    one = Bad(name, b"", FetchError, "")
    with FaultServer() as server:
        image_id = one.image_id(server.url(f"/{name}"))
        server.plan(f"/{name}", Answer(other(one.good)))
        session.load_image(image_id)
        server.plan(f"/{name}", Answer(one.good))

        pixels = session.load_image(image_id, reload=True).pixels

    np.testing.assert_array_equal(pixels, VALUES.astype(int) - (1024 if ".dcm" in name else 0))


ONE_OF_EACH = [bad for bad in BAD if bad.data == TEXT]


@pytest.mark.parametrize("bad", ONE_OF_EACH, ids=lambda bad: bad.name)
def test_a_missing_file(session: Session, tmp_path: Path, bad: Bad) -> None:
    """A file that is not there is a FetchError, and is read as soon as it is there."""
    path = tmp_path / bad.name

    with refused(session, FetchError, "No such file", about=str(path)):
        session.load_image(bad.image_id(str(path)))

    path.write_bytes(bad.good)

    check(session, bad, str(path))


def ends(data: bytes, end: Literal["close", "reset"]) -> Answer:
    """Answer with the first half and then end the connection."""
    return Answer(data, body_cut=len(data) // 2, end=end)


FAILURES: dict[str, tuple[Callable[[bytes], Answer], str]] = {
    "404": (lambda _: Answer(status=404), "404"),
    "503": (lambda _: Answer(status=503), "503"),
    "closed": (lambda data: ends(data, "close"), "ended after"),
    "reset": (lambda data: ends(data, "reset"), "closed the connection|reset|ended after"),
}


@pytest.mark.parametrize("plain", [False, True], ids=["id", "URL"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("bad", ONE_OF_EACH, ids=lambda bad: bad.name)
def test_a_server_that_fails(session: Session, bad: Bad, failure: str, plain: bool) -> None:
    """A status, or an answer that ends in its middle, is a FetchError; a whole answer later is an image."""
    answer, says = FAILURES[failure]
    with FaultServer() as server:
        url = server.url(f"/{bad.name}")
        server.plan(f"/{bad.name}", answer(bad.good))

        with refused(session, FetchError, says, about=bad.name):
            session.load_image(url + "?frame=1" * (".nii" in bad.name) if plain else bad.image_id(url))

        server.plan(f"/{bad.name}", Answer(bad.good))

        check(session, bad, url)


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "image_id",
    [
        "web:http://127.0.0.1:{port}/a.png",
        "nifti:http://127.0.0.1:{port}/a.nii?frame=1",
        "nifti:http://127.0.0.1:{port}/a.nii.gz?frame=1",
        "wadouri:http://127.0.0.1:{port}/a.dcm",
        "wadors:http://127.0.0.1:{port}/dicomweb/studies/1.2.3/series/1.2.3.1/instances/1.2.3.4/frames/1",
    ],
)
def test_a_server_that_is_not_there(session: Session, image_id: str) -> None:
    """A refused connection is a FetchError that names host and port."""
    port = free_port()

    with refused(session, FetchError, "refused", about=f"127.0.0.1:{port}"):
        session.load_image(image_id.format(port=port))


def test_a_dicomweb_server_that_comes_and_goes(session: Session) -> None:
    """The same id fails while the server is down or has another instance, and loads as soon as it can."""
    port = free_port()
    series = f"wadors:http://127.0.0.1:{port}/dicomweb/studies/1.2.3/series/1.2.3.1"
    image_id = f"{series}/instances/1.2.3.4/frames/1"

    with refused(session, FetchError, "refused", about=str(port)):
        session.load_image(image_id)
    with (
        DicomWebServer(report(), port=port),
        refused(session, FetchError, "404", about="1.2.3.4"),
    ):
        session.load_image(image_id)
    with DicomWebServer(dicom(), port=port):
        image = session.load_image(image_id)
        volume = session.load_volume(series)

    np.testing.assert_array_equal(image.pixels, VALUES.astype(int) - 1024)
    np.testing.assert_array_equal(volume.array[0], image.pixels)

    with refused(session, FetchError, "refused", about=str(port)):
        session.load_image(image_id, reload=True)


@pytest.mark.parametrize(
    ("content", "path", "error", "says"),
    [
        (dicom(), "studies/9.9/series/9.9", FetchError, "404"),
        (dicom(), "studies/1.2.3/series/1.2.3.1/instances/9.9/frames/1", FetchError, "404"),
        (dicom(), "studies/1.2.3/series/1.2.3.1/instances/1.2.3.4/frames/2", InvalidIdError, "no frame 2"),
        (dicom(), "studies/1.2.3", FetchError, "400"),
        (
            dicom_without_pixels(),
            "studies/1.2.3/series/1.2.3.1/instances/1.2.3.4/frames/1",
            UnsupportedError,
            "CT Image Storage .* without pixel data",
        ),
        (
            dicom(PRIVATE_SYNTAX),
            "studies/1.2.3/series/1.2.3.1/instances/1.2.3.4/frames/1",
            UnsupportedError,
            f"transfer syntax {PRIVATE_SYNTAX} is not supported",
        ),
    ],
    ids=["no series", "no instance", "no frame", "a study", "no pixel data", "unknown transfer syntax"],
)
def test_what_a_dicomweb_server_does_not_have(
    session: Session, content: bytes, path: str, error: type[LoadstoneError], says: str
) -> None:
    """What is not there, or is no image, is an error of its own kind; the session goes on."""
    good = dicom(SeriesInstanceUID="1.2.3.5").replace(b"1.2.3.4\0", b"1.2.3.6\0")
    with DicomWebServer([content, good]) as server:
        load = session.load_image if "frames" in path else session.load_volume

        with refused(session, error, says, about=path.partition("/frames")[0]):
            load(f"wadors:{server.url}/{path}?token={SECRET}")

        image = session.load_image(
            f"wadors:{server.url}/studies/1.2.3/series/1.2.3.5/instances/1.2.3.6/frames/1"
        )

    np.testing.assert_array_equal(image.pixels, VALUES.astype(int) - 1024)


def test_a_report_over_dicomweb(session: Session) -> None:
    """A structured report is not an image, by whatever service it comes, and its error names its class."""
    dataset = dcmread(BytesIO(report()))
    names = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    with DicomWebServer(report()) as server:
        series = f"wadors:{server.url}/studies/{names[0]}/series/{names[1]}"
        query = "requestType=WADO&studyUID={}&seriesUID={}&objectUID={}&contentType=application/dicom"

        for image_id in (f"{series}/instances/{names[2]}/frames/1", f"wadouri:{server.wado_uri_url}?{query}"):
            with refused(session, UnsupportedError, "Basic Text SR Storage", about="127.0.0.1"):
                session.load_image(image_id.format(*names))
        with refused(session, UnsupportedError, "Basic Text SR Storage", about=names[1]):
            session.load_volume(series)


SERVER = """
import sys
from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour

folder, port = sys.argv[1:]
# Slow, and one request a frame: time to be killed in.
whole = frozenset({AcceptKind.DICOM, AcceptKind.ANYTHING})
behaviour = ServerBehaviour(latency=0.05, refused_accepts=whole)
with DicomWebServer(folder, port=int(port), behaviour=behaviour) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def server_process(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a DICOMweb server as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_is_killed_in_the_middle_of_a_volume(tmp_path: Path) -> None:
    """The error carries what has arrived; when the server is back, only the rest is asked for."""
    stored = write_ct(tmp_path, (16, 5, 7))
    port = free_port()
    source = f"wadors:http://127.0.0.1:{port}/dicomweb/studies/1.2.3/series/1.2.3.1"

    with Session(attempts=2, backoff_seconds=0.0, host_permits=2) as session:
        with server_process(tmp_path, port) as process, pytest.raises(FetchError) as caught:
            session.load_volume(source, progress=lambda progress: process.kill() if progress.done else None)
        volume, missing = caught.value.volume, caught.value.missing

        assert volume is not None
        assert 0 < len(missing) < len(stored)
        assert session.cache.stats().reserved == 0
        for k in set(range(len(stored))) - set(missing):
            np.testing.assert_array_equal(volume.array[k], hu(stored[k]))

        with server_process(tmp_path, port):
            volume.load()

    assert volume.missing == ()
    np.testing.assert_array_equal(volume.array, hu(stored))


def hu(stored: npt.NDArray[np.uint16]) -> npt.NDArray[np.int16]:
    """Return stored values in Hounsfield units."""
    return stored.astype(np.int16) - np.int16(1024)


@pytest.mark.parametrize("function", ["load_image", "load_volume"])
@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("other:/x", UnknownSchemeError, "'other'.*dicomfile, nifti"),
        ("nifty:/x.nii", UnknownSchemeError, "'nifti'"),
        ("/nowhere/x.xyz", InvalidIdError, "suffix.*\\.nii\\.gz"),
        ("/nowhere/x", InvalidIdError, "no such file"),
        (f"http://127.0.0.1/x.xyz?token={SECRET}", InvalidIdError, "suffix.*\\.nii\\.gz"),
        ("", InvalidIdError, "neither an id nor a path"),
    ],
)
def test_what_nobody_can_load(
    session: Session, function: str, source: str, error: type[LoadstoneError], says: str
) -> None:
    """An unknown scheme or suffix is told at once, with those that are known."""
    with pytest.raises(error, match=says) as caught:
        getattr(session, function)(source)

    assert caught.value.hint.endswith((".", "?"))
    assert SECRET not in str(caught.value)


def test_a_folder_without_images(session: Session, tmp_path: Path) -> None:
    """The error counts what was looked at; a file that is put there is found."""
    (tmp_path / "letter.txt").write_bytes(TEXT)
    (tmp_path / "report.dcm").write_bytes(report())

    with refused(
        session, FetchError, r"no DICOM image \(1 .*DICOM.* 1 .*without an image", about=str(tmp_path)
    ):
        session.load_volume(tmp_path)

    (tmp_path / "image.dcm").write_bytes(dicom())

    np.testing.assert_array_equal(session.load_volume(tmp_path).array[0], VALUES.astype(int) - 1024)


def test_an_image_does_not_show_the_query_of_its_url(session: Session) -> None:
    """What is printed about an image or a volume has no secret of its URL."""
    with FaultServer() as server:
        server.plan("/a.dcm", Answer(dicom()))
        image_id = f"wadouri:{server.url('/a.dcm')}?token={SECRET}"

        assert SECRET not in repr(session.load_image(image_id))
        assert SECRET not in repr(session.load_volume(image_id))


def test_errors_of_the_default_session_are_not_kept(tmp_path: Path) -> None:
    """The functions of the package forget failures, too."""
    path = tmp_path / "a.png"
    with pytest.raises(FetchError):
        loadstone.load_image(path)

    path.write_bytes(png())

    np.testing.assert_array_equal(loadstone.load_image(path).pixels, VALUES)
