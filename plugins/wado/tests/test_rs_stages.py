"""``wadors:`` by stages: beginnings of frames first, the rest later, whatever the server makes of ranges."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from loadstone import FetchError, Quality, Session, Volume
from loadstone.events import RetrieveStage
from loadstone.retrieve import BUILT_IN, BYTE_RANGES, INTERLEAVED, RetrieveOptions
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.dicomweb.beginnings import Beginnings
from loadstone_wado.dicomweb.ranges import Fetched
from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import part10
from plugins.wado.tests.studies import ct_slice, instance_path, series_path

if TYPE_CHECKING:
    import numpy.typing as npt

CHUNK = 65536
COUNT = 5
SIZE = 256
SMALL_CHUNKS = BYTE_RANGES.with_options(
    single_fast=RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, 9000)),
    single_final=RetrieveOptions(byte_range=(9000, None)),
)


def stored(number: int) -> npt.NDArray[np.uint16]:
    """Return a slice whose codestream is longer than a chunk: a slope with noise."""
    noise = np.random.default_rng(number).integers(0, 2048, (SIZE, SIZE))
    return (np.add.outer(np.arange(SIZE), np.arange(SIZE)) * 4 + noise).clip(0, 4095).astype("u2")


@cache
def codestream(number: int) -> bytes:
    return bytes(imagecodecs.htj2k_encode(stored(number), reversible=True))


def encoded(number: int, **attributes: Any) -> bytes:
    """Return a slice as an HTJ2K object."""
    dataset = ct_slice(number, Rows=SIZE, Columns=SIZE, **attributes)
    dataset.PixelData = encapsulate([codestream(number)])
    dataset["PixelData"].VR = "OB"
    return part10(dataset, ts.HTJ2K_LOSSLESS)


def serving(contents: list[bytes] | None = None, **behaviour: Any) -> DicomWebServer:
    made = [encoded(number) for number in range(COUNT)] if contents is None else contents
    return DicomWebServer(made, behaviour=ServerBehaviour(**behaviour))


def expected() -> npt.NDArray[np.int16]:
    return np.stack([stored(number) for number in range(COUNT)]).astype("i2") - np.int16(1024)


def volume_id(server: DicomWebServer) -> str:
    return f"wadors:{server.url}{series_path()}"


def frame_id(server: DicomWebServer, number: int) -> str:
    return f"wadors:{server.url}{instance_path(number)}/frames/1"


def ranges(server: DicomWebServer) -> list[str]:
    """Return the ranges that frames were asked for by; empty for whole frames."""
    return [each.headers.get("range", "") for each in server.requests if "/frames/" in each.path]


def test_frames_are_longer_than_a_chunk() -> None:
    """Else the other tests would show nothing."""
    assert min(len(codestream(number)) for number in range(COUNT)) > CHUNK


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_end_is_the_plain_volume(name: str) -> None:
    """Whatever the stages, the volume is that of a plain load, bit for bit."""
    with serving() as server, Session() as session:
        volume = session.load_volume(volume_id(server), retrieve=name)

    assert np.array_equal(volume.array, expected())
    assert (volume.missing, set(volume.quality)) == ((), {Quality.FULL})


def test_a_coarse_volume_from_the_first_bytes() -> None:
    """64 KiB of each frame give a volume that is near the final one; then only the rest is fetched."""
    coarse: list[Volume] = []
    snapshots: list[tuple[set[int], float]] = []
    with serving() as server, Session() as session:

        def look(event: RetrieveStage) -> None:
            if event.stage == "fast":
                volume = coarse[0]
                off = np.abs(volume.array.astype(float) - expected()).mean()
                snapshots.append(({*volume.quality.tolist()}, off))

        session.subscribe(RetrieveStage, look)
        handle = session.request_volume(volume_id(server), retrieve="byte-ranges")
        coarse.append(next(handle.partials()))
        volume = handle.result()
        asked = ranges(server)

    ((qualities, off),) = snapshots
    assert qualities == {Quality.SUBRESOLUTION}
    assert 1 < off < 400
    assert np.array_equal(volume.array, expected())
    assert sorted(asked) == ["bytes=0-65535"] * COUNT + ["bytes=65536-"] * COUNT


def test_a_single_frame_rises() -> None:
    """An image by byte ranges is shown coarse, then final; its parts are fetched once."""
    with serving() as server, Session() as session:
        handle = session.request_image(frame_id(server, 2), retrieve="byte-ranges")
        seen = list(handle.partials())

        assert [image.quality for image in seen][-1] == Quality.FULL
        assert {image.quality for image in seen} <= {Quality.SUBRESOLUTION, Quality.FULL}
        assert np.array_equal(seen[-1].pixels, expected()[2])
        assert ranges(server) == ["bytes=0-65535", "bytes=65536-"]


def test_more_chunks_than_two() -> None:
    """Each stage fetches only what the ones before have not."""
    options = RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, 4096))
    more = RetrieveOptions(Quality.LOSSY, byte_range=(4096, 30000))
    stages = BUILT_IN["resolution-levels"].with_options(quarter=options, half=more)
    with serving() as server, Session() as session:
        image = session.load_image(frame_id(server, 1), retrieve=stages)
        asked = ranges(server)

    assert np.array_equal(image.pixels, expected()[1])
    assert asked == ["bytes=0-4095", "bytes=4096-29999", "bytes=30000-"]


def test_levels_of_resolution() -> None:
    """What is there of a frame is decoded finer for the next stage; then the rest is fetched."""
    with serving() as server, Session() as session:
        events: list[RetrieveStage] = []
        session.subscribe(RetrieveStage, events.append)
        volume = session.load_volume(volume_id(server), retrieve="resolution-levels")
        asked = ranges(server)

    assert np.array_equal(volume.array, expected())
    assert [(each.stage, each.skipped, each.failures) for each in events] == [
        ("quarter", 0, 0),
        ("half", 0, 0),
        ("final", 0, 0),
    ]
    assert sorted(asked) == ["bytes=0-65535"] * COUNT + ["bytes=65536-"] * COUNT


def test_a_frame_that_is_shorter_than_a_chunk() -> None:
    """All of it came with the first range: it is final at once, and nothing more is fetched."""
    small = ct_slice(1)
    small.PixelData = encapsulate([bytes(imagecodecs.htj2k_encode(small.pixel_array, reversible=True))])
    small["PixelData"].VR = "OB"
    with serving([part10(small, ts.HTJ2K_LOSSLESS)]) as server, Session() as session:
        image = session.load_image(frame_id(server, 1), retrieve="byte-ranges")

        assert image.quality == Quality.FULL
        assert ranges(server) == ["bytes=0-65535"]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"ignores_ranges": True},
        {"misplaces_ranges": True},
        {"names_transfer_syntax": False},
        {"refused_accepts": frozenset({AcceptKind.SINGLE_PART})},
        {
            "refused_accepts": frozenset({AcceptKind.SINGLE_PART, AcceptKind.QUOTED_TYPE}),
            "refusal_status": 400,
        },
    ],
    ids=str,
)
@pytest.mark.parametrize("retrieve", ["byte-ranges", "sequential", "resolution-levels", "interleaved"])
def test_servers_with_ideas_of_their_own(behaviour: dict[str, Any], retrieve: str) -> None:
    """Whole frames in place of ranges, other ranges, no media type: the volume is right all the same."""
    with serving(**behaviour) as server, Session() as session:
        volume = session.load_volume(volume_id(server), retrieve=retrieve)

    assert np.array_equal(volume.array, expected())


def test_a_server_without_ranges_is_asked_once() -> None:
    """One that answers with other ranges is asked for whole frames from then on."""
    with serving(misplaces_ranges=True) as server, Session() as session:
        for number in range(COUNT):
            session.load_image(frame_id(server, number), retrieve="byte-ranges")
        asked = ranges(server)

    assert [each for each in asked if each] == ["bytes=0-65535"]
    assert len(asked) == COUNT + 1


def test_frames_that_have_no_beginning_worth_showing() -> None:
    """Frames that are decoded as a whole only are found out once, then fetched as a whole."""
    native = [part10(ct_slice(number)) for number in range(COUNT)]
    with serving(native) as server, Session() as session:
        first = session.load_image(frame_id(server, 0), retrieve=SMALL_CHUNKS)
        session.load_image(frame_id(server, 1), retrieve=SMALL_CHUNKS)
        plain = session.load_image(frame_id(server, 0), reload=True)

        assert first.quality == Quality.FULL
        assert np.array_equal(first.pixels, plain.pixels)


def test_nothing_is_kept_behind() -> None:
    """Beginnings are charged to the budget while they are there, and dropped with the final image."""
    kept: list[int] = []
    with serving() as server, Session() as session:
        session.subscribe(RetrieveStage, lambda _: kept.append(session.cache.stats().kept))
        volume = session.load_volume(volume_id(server), retrieve="byte-ranges")
        with_beginnings = session.cache.stats().kept

        assert with_beginnings >= volume.nbytes
        assert session.cache.stats().reserved == 0
    assert np.array_equal(volume.array, expected())


def test_a_budget_without_room_for_beginnings() -> None:
    """Where nothing can be kept, final frames are fetched as a whole."""
    nbytes = expected().nbytes
    with serving() as server, Session(cache_bytes=4 * nbytes) as session:
        volume = session.load_volume(volume_id(server), retrieve="byte-ranges")

    assert np.array_equal(volume.array, expected())


def test_the_oldest_beginning_goes_first() -> None:
    """No more is kept than what the budget was charged."""
    kept = Beginnings(100)
    for name in "abc":
        kept.put(name, Fetched(bytes(40), 1000, "", ""))
    kept.put("c", Fetched(bytes(50), 1000, "", ""))

    assert [kept.get(name) is not None for name in "abc"] == [False, True, True]
    kept.put("d", Fetched(bytes(101), 1000, "", ""))
    assert len(kept) == 0


def test_interleaved_with_coarse_passes() -> None:
    """The first passes by byte ranges, the others whole."""
    coarse = RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, CHUNK))
    with serving() as server, Session() as session:
        volume = session.load_volume(
            volume_id(server), retrieve=INTERLEAVED.with_options(multiple_fast=coarse)
        )
        asked = ranges(server)

    assert np.array_equal(volume.array, expected())
    assert sorted(asked) == ["", "", "", "bytes=0-65535", "bytes=0-65535", "bytes=65536-", "bytes=65536-"]


def _whole(number: int) -> Answer:
    return Answer(
        codestream(number),
        headers={"Content-Type": f"application/octet-stream; transfer-syntax={ts.HTJ2K_LOSSLESS}"},
    )


def _part(number: int, start: int, stop: int, total: str, **headers: str) -> Answer:
    data = codestream(number)[start:stop]
    return Answer(
        data,
        206,
        {
            "Content-Type": f"application/octet-stream; transfer-syntax={ts.HTJ2K_LOSSLESS}",
            "Content-Range": f"bytes {start}-{start + len(data) - 1}/{total}",
            **headers,
        },
    )


MULTIPART = (
    b"--edge\r\nContent-Type: application/octet-stream; transfer-syntax="
    + ts.HTJ2K_LOSSLESS.encode()
    + b"\r\n\r\n"
)


def _of_multipart(start: int, stop: int | None) -> Answer:
    body = MULTIPART + codestream(2) + b"\r\n--edge--\r\n"
    part = body[start:stop]
    return Answer(
        part,
        206,
        {
            "Content-Type": 'multipart/related; type="application/octet-stream"; boundary=edge',
            "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(body)}",
        },
    )


LENGTH = len(codestream(2))


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ([_part(2, 0, CHUNK, str(LENGTH)), _part(2, CHUNK, LENGTH, str(LENGTH))], 2),
        ([_part(2, 0, CHUNK, "*"), _part(2, CHUNK, LENGTH, "*")], 2),
        ([_part(2, 0, CHUNK, str(LENGTH), ETag='"a"'), _part(2, CHUNK, LENGTH, str(LENGTH), ETag='"a"')], 2),
        ([_part(2, 0, CHUNK, str(LENGTH), ETag='"a"'), _whole(2)], 2),
        ([_part(2, 0, CHUNK, str(LENGTH)), _part(2, 100, LENGTH, str(LENGTH))], 2),
        ([_part(2, 0, CHUNK, str(LENGTH)), _part(2, CHUNK, LENGTH - 9, str(LENGTH)), _whole(2)], 3),
        ([_part(2, 0, CHUNK, "*"), _part(2, CHUNK, LENGTH - 9, "*"), _whole(2)], 3),
        (
            [
                _part(1, 0, CHUNK, str(LENGTH), ETag='"a"'),
                _part(2, CHUNK, LENGTH, "9", ETag='"b"'),
                _whole(2),
            ],
            3,
        ),
        ([_part(2, 5, CHUNK, str(LENGTH)), _whole(2)], 2),
        ([Answer(codestream(2)[:CHUNK], 206, {}), _whole(2)], 2),
        ([Answer(b"", 416), _whole(2)], 2),
        ([_of_multipart(0, CHUNK), _of_multipart(CHUNK, None)], 2),
        ([_of_multipart(0, 40), _whole(2)], 2),
    ],
    ids=[
        "as asked",
        "total unknown",
        "one version",
        "changed, whole",
        "overlapping",
        "short",
        "end missing",
        "changed, range",
        "begins late",
        "says nothing",
        "refused",
        "of a multipart body",
        "within a header",
    ],
)
def test_what_answers_ranges_may_be(answers: list[Answer], requests: int) -> None:
    """Pieces are put together only where they fit; else the frame is fetched as a whole, and is right."""
    with serving() as archive, FaultServer() as server, Session() as session:
        here = f"{instance_path(2)}"
        document = ask_json(archive, f"{here}/metadata")
        server.plan(
            f"/dicomweb{here}/metadata", Answer(document, headers={"Content-Type": "application/dicom+json"})
        )
        server.plan(f"/dicomweb{here}/frames/1", *answers)
        image = session.load_image(f"wadors:{server.url('/dicomweb')}{here}/frames/1", retrieve="byte-ranges")
        asked = [each for each in server.requests if each.path.endswith("/frames/1")]

    assert np.array_equal(image.pixels, expected()[2])
    assert len(asked) == requests


def ask_json(archive: DicomWebServer, path: str) -> bytes:
    with Session() as session:
        return session.transport.fetch(archive.url + path, headers={"Accept": "application/dicom+json"}).body


def test_a_server_that_is_gone() -> None:
    """Ranges are not taken for refused where nothing answers: the error is that of the connection."""
    with serving() as server, Session(attempts=1) as session:
        gone = frame_id(server, 1)
        session.metadata.get(gone, object)  # type: ignore[type-var] # only so that it is known
    with Session(attempts=1, connect_seconds=1) as session, pytest.raises(FetchError) as caught:
        session.load_image(gone, retrieve="byte-ranges")

    assert caught.value.status is None
