"""A WADO-RS series with 300 slices to a volume in HU: from Orthanc, nginx, and the embedded server."""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
import requests
from dicomweb_client import DICOMwebClient

from tests.bench import bare
from tests.bench.contest import Contest
from tests.bench.folders import loaded
from tests.bench.kept import kept_folder
from tests.bench.phantom import SIZE, SLICES, ct_folder
from tests.bench.server import serving
from tests.nginx import service as nginx
from tests.orthanc.service import MISSING, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["latency_contests", "nginx_contests", "orthanc_contests", "series_contests"]

GOALS = {"raw": 2.0, "JPEG-LS": 3.0}
"""Against the fastest route of dicomweb-client."""
GOAL_FRAMES = 15.0
"""Against its default, frame by frame."""
GOALS_NGINX = {"raw": 3.5, "HTJ2K": 1.5}
"""Against a loop over requests."""
THREADS = {"raw": 1, "HTJ2K": 4}
"""With which that loop is fastest: requests holds the interpreter, the codec does not."""
LATENCY = 0.02
IN_FLIGHT = 20
GOAL_LATENCY = 1 / 1.15


def series_contests(root: Path) -> Iterator[Contest]:
    """From the embedded server in another process."""
    folder = ct_folder(root, "1 kB")
    with serving(folder) as (url, study, series):
        place = f"{url}/studies/{study}/series/{series}"
        yield Contest(
            "WADO-RS series of 300, embedded server",
            "dicomweb-client",
            partial(loaded, f"wadors:{place}"),
            partial(_iter_series, url, study, series),
            GOALS["raw"],
            _limits(place, folder),
        )


def latency_contests(root: Path) -> Iterator[Contest]:
    """Where each answer takes 20 ms: against bare sockets that know all names."""
    folder = ct_folder(root, "1 kB")
    with serving(folder, LATENCY) as (url, study, series):
        yield Contest(
            "the same with 20 ms of latency",
            f"{IN_FLIGHT} sockets",
            partial(loaded, f"wadors:{url}/studies/{study}/series/{series}"),
            partial(_sockets, url, _frame_paths(folder), IN_FLIGHT),
            GOAL_LATENCY,
        )


def orthanc_contests(root: Path) -> Iterator[Contest]:
    """From an Orthanc of our own; uncompressed and JPEG-LS."""
    if MISSING:
        print(f"(no Orthanc: {MISSING})")
        return
    for syntax, goal in GOALS.items():
        folder = ct_folder(root, "1 kB", syntax)
        with _orthanc(folder) as (url, study, series):
            work = f"WADO-RS series of 300, Orthanc, {syntax}"
            place = f"{url}/studies/{study}/series/{series}"
            ours, limits = partial(loaded, f"wadors:{place}"), _limits(place, folder, syntax)
            yield Contest(
                work, "dicomweb-client", ours, partial(_iter_series, url, study, series), goal, limits
            )
            if syntax == "raw":
                frames = partial(_frame_by_frame, url, study, series, folder)
                yield Contest(work, "… its default", ours, frames, GOAL_FRAMES, limits)


def nginx_contests(root: Path) -> Iterator[Contest]:
    """From files behind an nginx of our own, which has next to nothing to do; uncompressed and HTJ2K."""
    if nginx.MISSING:
        print(f"(no nginx: {nginx.MISSING})")
        return
    for syntax, goal in GOALS_NGINX.items():
        folder = ct_folder(root, "1 kB", syntax)
        first = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
        place = f"studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
        for name, whole_series in (("", True), (", frame by frame", False)):
            publish = partial(nginx.publish, folder, whole_series=whole_series)
            published = kept_folder(root, f"nginx-{syntax}{'' if whole_series else '-frames'}", publish)
            with nginx.serving(published) as url:
                limits = _limits(f"{url}/{place}", folder, syntax)
                if syntax == "raw" and not whole_series:
                    limits = [partial(_sockets, url, _frame_paths(folder), threads) for threads in (1, 4)]
                yield Contest(
                    f"WADO-RS series of 300, nginx, {syntax}{name}",
                    "requests",
                    partial(loaded, f"wadors:{url}/{place}"),
                    partial(_over_requests, f"{url}/{place}", _DECODE[syntax], THREADS[syntax]),
                    goal,
                    limits,
                )


def _limits(series: str, folder: Path, syntax: str = "raw") -> list[Callable[[], object]]:
    """Return what receives the series in one answer, or decodes what is in memory: that takes longer."""
    if syntax == "raw":
        return [partial(bare.receive, series)]
    return [partial(bare.decode, bare.frames_of(folder.glob("*.dcm")), syntax)]


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as storage, running(Path(storage)) as orthanc:
        assert orthanc.store(path.read_bytes() for path in folder.glob("*.dcm")) == SLICES
        first = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
        yield orthanc.root, first.StudyInstanceUID, first.SeriesInstanceUID


def _iter_series(url: str, study: str, series: str) -> npt.NDArray[Any]:
    """Take the fastest route that the client has: the series as a stream, not compressed on the way."""
    client = DICOMwebClient(url, headers={"Accept-Encoding": "identity"})
    slices = sorted(
        client.iter_series(study, series, media_types=("application/dicom",)),
        key=lambda each: each.ImagePositionPatient[2],
    )
    return np.stack([each.pixel_array for each in slices]).astype(np.int16) + np.int16(-1024)


def _frame_by_frame(url: str, study: str, series: str, folder: Path) -> npt.NDArray[Any]:
    """Take the route that its documentation shows for pixels, knowing the order already."""
    client = DICOMwebClient(url)
    frames = [
        client.retrieve_instance_frames(study, series, uid, [1], media_types=("application/octet-stream",))[0]
        for uid in _in_order(folder)
    ]
    stack = np.stack([np.frombuffer(frame, "<u2").reshape(SIZE, SIZE) for frame in frames])
    return stack.astype(np.int16) + np.int16(-1024)


def _over_requests(
    series: str, decode: Callable[[bytes, npt.NDArray[Any]], object], threads: int
) -> npt.NDArray[Any]:
    """Ask for the metadata, then for one frame after the other on each of some threads."""
    with requests.Session() as session:
        described = session.get(f"{series}/metadata").json()
    described.sort(key=lambda each: each["00200032"]["Value"][2])
    volume = np.empty((len(described), SIZE, SIZE), np.uint16)
    local = threading.local()

    def fetch(index: int) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        uid = described[index]["00080018"]["Value"][0]
        body = local.session.get(f"{series}/instances/{uid}/frames/1").content
        decode(body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")], volume[index])

    bare.spread(fetch, range(len(described)), threads)
    return volume.view(np.int16) + np.int16(-1024)


def _copy(frame: bytes, out: npt.NDArray[Any]) -> None:
    out[...] = np.frombuffer(frame, "<u2").reshape(out.shape)


def _decode_htj2k(frame: bytes, out: npt.NDArray[Any]) -> None:
    imagecodecs.htj2k_decode(frame, out=out)


_DECODE: dict[str, Callable[[bytes, npt.NDArray[Any]], object]] = {"raw": _copy, "HTJ2K": _decode_htj2k}


def _in_order(folder: Path) -> list[str]:
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")]
    headers.sort(key=lambda each: each.ImagePositionPatient[2])
    return [each.SOPInstanceUID for each in headers]


def _frame_paths(folder: Path) -> list[str]:
    first = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
    series = f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
    return [f"{series}/instances/{uid}/frames/1" for uid in _in_order(folder)]


def _sockets(url: str, paths: list[str], connections: int) -> npt.NDArray[Any]:
    """Ask for one frame after the other on each connection: what the latency allows at best."""
    parts = urlsplit(url)
    volume = np.zeros((len(paths), SIZE, SIZE), np.int16)
    local = threading.local()

    def fetch(index: int) -> None:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection(parts.hostname or "", parts.port)
        local.connection.request("GET", parts.path + paths[index], headers={"Accept": "*/*"})
        body = local.connection.getresponse().read()
        start = body.index(b"\r\n\r\n") + 4
        frame = np.frombuffer(body, "<u2", SIZE * SIZE, start)
        np.subtract(frame.reshape(SIZE, SIZE).view(np.int16), 1024, out=volume[index])

    bare.spread(fetch, range(len(paths)), connections)
    return volume
