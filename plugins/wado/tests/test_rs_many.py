from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

from loadstone import FetchError, GeometryPolicy, LoadCancelled, LoadstoneError, Progress, Session
from loadstone.errors import IntegrityError
from loadstone.events import VolumeModified
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import part10
from plugins.wado.tests.server.builders import MULTIPART_DICOM, MULTIPART_STORED, ask
from plugins.wado.tests.studies import (
    SERIES,
    asked,
    contents,
    ct_series,
    ct_slice,
    enhanced,
    instance_path,
    kept_port,
    modality_values,
    series_path,
    uid,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from loadstone import LoadObject, Volume

NO_SERIES = frozenset({AcceptKind.DICOM, AcceptKind.ANYTHING})
COUNT = 6


def serving(datasets: list[Dataset] | None = None, *, port: int = 0, **behaviour: Any) -> DicomWebServer:
    everything = contents(datasets or ct_series(COUNT))
    return DicomWebServer(everything, port=port, behaviour=ServerBehaviour(**behaviour))


def volume_id(server: DicomWebServer) -> str:
    return f"wadors:{server.url}{series_path()}"


class Spoiled:
    """A server that answers like a good one until it is told otherwise."""

    def __init__(self, datasets: list[Dataset] | None = None) -> None:
        self.good = serving(datasets)
        self.faulty = FaultServer()

    def __enter__(self) -> Self:
        self.good.start()
        self.faulty.__enter__()
        self.plan(f"{series_path()}/metadata")
        self.plan(series_path())
        for number in range(COUNT):
            self.plan(instance_path(number))
            self.plan(f"{instance_path(number)}/frames/1")
        return self

    def __exit__(self, *_: object) -> None:
        self.faulty.__exit__(None, None, None)
        self.good.close()

    def answer(self, path: str, **changes: Any) -> Answer:
        accept = None
        if not path.endswith("/metadata"):
            accept = MULTIPART_STORED if "/frames/" in path else MULTIPART_DICOM
        found = ask(f"{self.good.url}{path}", accept)
        return Answer(found.body, headers={"Content-Type": found.headers["content-type"]}, **changes)

    def plan(self, path: str, *plans: Any) -> None:
        self.faulty.plan(path, *(plans or (self.answer(path),)))

    @property
    def volume_id(self) -> str:
        return f"wadors:{self.faulty.url(series_path())}"

    @property
    def frames_asked(self) -> int:
        return sum("/frames/" in each.path for each in self.faulty.requests)


def test_most_of_a_series_is_streamed() -> None:
    """Half of a series is asked for as a whole, less of it frame by frame."""
    with serving() as server, Session() as session:
        ids = session.image_ids(volume_id(server))
        session.load_volume("some", image_ids=ids[:4])
        streamed = asked(server).count(".")
        session.load_volume("few", image_ids=ids[4:])

        assert streamed == asked(server).count(".") == 1
        assert sum("/frames/" in path for path in asked(server)) == 2


def test_images_of_several_series_together() -> None:
    """Each series of a list of images is asked for in its own way."""
    others = [
        ct_slice(10 + n, SeriesInstanceUID="1.2.3.2", ImagePositionPatient=[-10, 20, 2.5 * (COUNT + n)])
        for n in range(4)
    ]
    with serving([*ct_series(COUNT), *others]) as server, Session() as session:
        second = f"wadors:{server.url}{series_path('1.2.3.2')}"
        ids = [*session.image_ids(volume_id(server)), *session.image_ids(second)]
        volume = session.load_volume("both", image_ids=ids)

        assert np.array_equal(volume.array[:COUNT], modality_values(COUNT))
        assert volume.shape == (10, 4, 6)
        paths = [request.path.rpartition("/")[2] for request in server.requests]
        assert sorted(paths) == [SERIES, "1.2.3.2", "metadata", "metadata"]


def test_one_frame_by_two_names() -> None:
    """Two ids of one frame are both given."""
    with serving() as server, Session() as session:
        ids = session.image_ids(volume_id(server))
        twice = [*ids, ids[0].removesuffix("/frames/1")]
        volume = session.load_volume("twice", image_ids=twice, geometry=GeometryPolicy(duplicate="ignore"))

        assert volume.shape == (COUNT + 1, 4, 6)
        assert volume.missing == ()


def test_frames_that_a_stream_does_not_bring() -> None:
    """What is missing in a series is asked for by itself."""
    with Spoiled() as server, Session() as session:
        partial = [content for n, content in enumerate(contents(ct_series(COUNT))) if n not in {1, 4}]
        with DicomWebServer(partial) as less:
            found = ask(f"{less.url}{series_path()}", MULTIPART_DICOM)
        server.plan(
            series_path(), Answer(found.body, headers={"Content-Type": found.headers["content-type"]})
        )
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert server.frames_asked == 2


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_stream_that_ends_early(share: float, end: str) -> None:
    """Wherever a stream breaks, what it brought is kept and the rest is asked for; no frame is short."""
    with Spoiled() as server, Session(backoff_seconds=0, attempts=1) as session:
        whole = server.answer(series_path())
        cut = int(len(whole.body) * share)
        server.plan(series_path(), Answer(whole.body, headers=whole.headers, body_cut=cut, end=end))  # type: ignore[arg-type]
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        # A reset may throw away what had arrived and was not read.
        least = COUNT - int(share * COUNT)
        assert least <= server.frames_asked <= (least if end == "close" else COUNT)


def test_a_stream_that_ends_early_and_politely() -> None:
    """Without any length a cut is noticed at the boundary that is missing."""
    with Spoiled() as server, Session(attempts=1) as session:
        whole = server.answer(series_path())
        half = whole.body[: len(whole.body) // 2]
        server.plan(series_path(), Answer(half, headers=whole.headers, framing="close", end="close"))
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert server.frames_asked == COUNT // 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.replace(b"Content-Length: ", b"Content-Length: 1"),
        lambda body: body.replace(b"DICM", b"????"),
        lambda body: body.replace(b"--", b"=="),
        lambda _: b"<html>",
        lambda _: b"",
    ],
    ids=["lengths that lie", "no DICOM", "no boundaries", "a page", "nothing"],
)
def test_a_stream_that_cannot_be_read(spoil: Any) -> None:
    """A series that comes as nonsense is got frame by frame."""
    with Spoiled() as server, Session(attempts=1) as session:
        whole = server.answer(series_path())
        server.plan(series_path(), Answer(spoil(whole.body), headers=whole.headers))
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert server.frames_asked == COUNT


def test_one_damaged_instance_in_a_stream() -> None:
    """An instance that cannot be read does not end the stream: it alone is asked for by itself."""
    with Spoiled() as server, Session(attempts=1) as session:
        whole = server.answer(series_path())
        body = whole.body.replace(b"DICM", b"????", 1)
        server.plan(series_path(), Answer(body, headers=whole.headers))
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert server.frames_asked == 1


def test_parts_without_lengths() -> None:
    """Parts that do not say their length are found by the boundaries."""
    with Spoiled() as server, Session(attempts=1) as session:
        whole = server.answer(series_path())
        lines = whole.body.split(b"\r\n")
        body = b"\r\n".join(line for line in lines if not line.startswith(b"Content-Length:"))
        server.plan(series_path(), Answer(body, headers=whole.headers, framing="chunked", chunk=100))
        volume = session.load_volume(server.volume_id)

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert server.frames_asked == 0


def test_frames_that_cannot_be_had() -> None:
    """Frames that nobody gives are named, the rest is there, and the next attempt asks for them only."""
    with Spoiled() as server, Session(attempts=1) as session:
        server.plan(series_path(), Answer(status=406))
        for number in (2, 3):
            server.plan(f"{instance_path(number)}/frames/1", Answer(status=404))
            server.plan(instance_path(number), Answer(status=404))
        with pytest.raises(FetchError) as caught:
            session.load_volume(server.volume_id)
        volume = caught.value.volume
        assert volume is not None
        assert caught.value.missing == volume.missing == (2, 3)
        assert np.array_equal(volume.array[:2], modality_values(COUNT)[:2])
        assert not volume.array[2:4].any()
        before = len(server.faulty.requests)
        for number in (2, 3):
            server.plan(f"{instance_path(number)}/frames/1")
        volume.load()

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert len(server.faulty.requests) == before + 2


@pytest.mark.parametrize("refused", [frozenset(), NO_SERIES], ids=["series", "frames"])
def test_a_server_killed_in_the_middle(refused: frozenset[AcceptKind]) -> None:
    """A server that dies costs what it had not sent: the error has the rest, a later load completes it."""
    count = 60  # more than sockets keep
    slices = [ct_slice(number, Rows=400, Columns=400, PixelData=bytes(320_000)) for number in range(count)]
    everything = [part10(each) for each in slices]
    behaviour = ServerBehaviour(refused_accepts=refused, latency=0.01)
    with (
        kept_port() as port,
        DicomWebServer(everything, port=port, behaviour=behaviour) as server,
        Session(attempts=1, backoff_seconds=0, host_permits=2) as session,
    ):
        session.subscribe(VolumeModified, lambda _: server.close())
        with pytest.raises(LoadstoneError) as caught:
            session.load_volume(volume_id(server))
        volume = caught.value.volume
        assert volume is not None
        assert 0 < len(caught.value.missing) < count
        assert isinstance(caught.value, FetchError | IntegrityError), repr(caught.value)
        with DicomWebServer(everything, port=port) as again:
            volume.load()
            asked_again = len(again.requests)

    assert volume.missing == ()
    assert np.array_equal(volume.array, np.full((count, 400, 400), -1024))
    assert asked_again <= 2 * len(caught.value.missing) + 2


def in_flight(server: DicomWebServer, done: threading.Event) -> int:
    """Return the most requests that were unanswered at a time."""
    most = 0
    while not done.wait(0.01):
        most = max(most, sum(not each.finished for each in server.requests))
    return most


@pytest.mark.parametrize(("permits", "count"), [(20, 40), (3, 12)])
def test_frames_are_asked_for_side_by_side(permits: int, count: int) -> None:
    """Frame by frame, as many requests are in flight as one host may get, and no more."""
    done, found = threading.Event(), []
    with (
        serving(ct_series(count), refused_accepts=NO_SERIES, latency=0.12) as server,
        Session(host_permits=permits) as session,
    ):
        place = volume_id(server)
        session.image_ids(place)
        watcher = threading.Thread(target=lambda: found.append(in_flight(server, done)))
        watcher.start()
        volume = session.load_volume(place)
        done.set()
        watcher.join()

    assert np.array_equal(volume.array, modality_values(count))
    # A busy machine may not start all threads in time; more than allowed are a fault on any machine.
    assert 0.8 * permits <= found[0] <= permits


def test_cancelling_ends_the_requests() -> None:
    """A load that nobody waits for any more ends within a second, stream or not."""
    with serving(ct_series(40), refused_accepts=NO_SERIES, latency=0.15) as server, Session() as session:
        handle = session.request_volume(volume_id(server))
        while not any("/frames/" in path for path in asked(server)):
            time.sleep(0.01)
        started = time.monotonic()
        handle.cancel()
        with pytest.raises(LoadstoneError):
            handle.result()
        while any(not each.finished for each in server.requests):
            time.sleep(0.01)
        frames = sum("/frames/" in path for path in asked(server))

    assert time.monotonic() - started < 3
    assert frames < 40


def test_what_arrived_before_a_cancel_is_not_asked_for_again() -> None:
    """However much is missing: each of those frames by itself, and not the whole series once more."""
    arrived: list[int] = []
    found: list[LoadObject[Volume]] = []
    asked_for = threading.Event()

    def cancel(event: VolumeModified) -> None:
        arrived.extend(event.indices)
        asked_for.wait()
        found[0].cancel()

    with serving(ct_series(12)) as server, Session() as session, session.subscribe(VolumeModified, cancel):
        found.append(session.request_volume(volume_id(server)))
        volume = next(found[0].partials())
        asked_for.set()
        with pytest.raises(LoadCancelled):
            found[0].result()
        volume.load()
        frames = asked(server)[2:]

    assert np.array_equal(volume.array, modality_values(12))
    assert 0 < len(frames) < 12
    assert sorted(arrived) == list(range(12))
    assert set(frames) == {f"/instances/{uid(k)}/frames/1" for k in arrived[-len(frames) :]}


def test_progress_in_bytes() -> None:
    """A stream tells how many bytes have arrived."""
    seen: list[Progress] = []
    with serving() as server, Session() as session:
        session.load_volume(volume_id(server), progress=seen.append)

    assert seen[-1].done == COUNT
    assert max(each.received_bytes for each in seen) > COUNT * 48


def test_a_multi_frame_instance_frame_by_frame() -> None:
    """Where whole instances are refused, the frames of one come one by one."""
    with serving([enhanced(COUNT)], refused_accepts=NO_SERIES) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{instance_path(0)}")

        assert np.array_equal(volume.array, modality_values(COUNT))
        assert sum("/frames/" in path for path in asked(server)) == COUNT


def test_more_in_a_stream_than_is_wanted() -> None:
    """What a stream brings beyond what is wanted is passed over."""
    with serving([*ct_series(COUNT), ct_slice(20, SOPInstanceUID=uid(20))]) as server, Session() as session:
        ids = session.image_ids(volume_id(server))
        volume = session.load_volume("most", image_ids=ids[:-1])

        assert volume.missing == ()
        assert asked(server) == ["/metadata", "."]
