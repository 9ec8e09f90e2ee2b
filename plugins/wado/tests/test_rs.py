from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, LoadstoneError, MetadataError, Session
from loadstone.errors import DecodeError, IntegrityError, LimitError, SecurityError, UnsupportedError
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import identity, image
from plugins.wado.tests.server.builders import MULTIPART_STORED, ask
from plugins.wado.tests.studies import (
    SERIES,
    STUDY,
    asked,
    contents,
    ct_series,
    ct_slice,
    enhanced,
    instance_path,
    modality_values,
    series_path,
    stored_values,
    uid,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataset import Dataset

    from loadstone.testing.faults import Received


def serving(*datasets: Dataset, **behaviour: Any) -> DicomWebServer:
    return DicomWebServer(contents(datasets or ct_series(5)), behaviour=ServerBehaviour(**behaviour))


def frame_id(server: DicomWebServer, number: int, frame: int = 1) -> str:
    return f"wadors:{server.url}{instance_path(number)}/frames/{frame}"


def accepts(server: DicomWebServer, ending: str) -> list[str]:
    return [each.headers["accept"] for each in server.requests if each.path.endswith(ending)]


def test_a_frame() -> None:
    """A frame is an image in modality values, placed in space; its instance's metadata are asked for once."""
    with serving() as server, Session() as session:
        found = session.load_image(frame_id(server, 3))
        stored = session.load_image(frame_id(server, 3), scaled=False)

        assert np.array_equal(found.pixels, modality_values()[3])
        assert np.array_equal(stored.pixels, stored_values(3))
        assert found.plane.image_position_patient == (-10.0, 20.0, 7.5)
        assert (found.units, found.loader.distribution) == ("HU", "loadstone-wado")
        assert found.header().InstanceNumber == 3
        here = instance_path(3).removeprefix(series_path())
        assert asked(server) == [f"{here}/metadata", f"{here}/frames/1", f"{here}/frames/1"]


def test_names_of_one_frame() -> None:
    """A frame has one name in the cache, however it is written."""
    with serving() as server, Session() as session:
        found = session.load_image(frame_id(server, 3))

        assert session.load_image(f"wadors:{server.url}{instance_path(3)}") is found
        assert session.load_image(f"wadors:{server.url}{instance_path(3)}?frame=1") is found
        assert session.load_image(f"WADORS:{server.url}{instance_path(3)}/frames/1/") is found


def test_frames_of_an_instance() -> None:
    """Each frame of a multi-frame instance has its own plane, and is asked for by itself."""
    with serving(enhanced(5)) as server, Session() as session:
        found = [session.load_image(frame_id(server, 0, number)) for number in (5, 1)]

        assert [each.plane.image_position_patient for each in found] == [(-10, 20, 0), (-10, 20, 10)]
        assert np.array_equal(found[0].pixels, modality_values()[0])
        assert [path.rpartition("/")[2] for path in asked(server)] == ["metadata", "5", "1"]


@pytest.mark.parametrize("number", [6, 999_999_999])
def test_no_such_frame(number: int) -> None:
    """A frame that the instance does not have is not asked for."""
    with serving(enhanced(5)) as server, Session() as session:
        with pytest.raises(InvalidIdError, match="there is no frame"):
            session.load_image(frame_id(server, 0, number))
        assert len(server.requests) == 1
        assert session.load_image(frame_id(server, 0, 5)).pixels.shape == (4, 6)


def test_a_series() -> None:
    """A series is a volume: metadata with one request, pixels with one more, sorted by position."""
    with serving() as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")

        assert np.array_equal(volume.array, modality_values())
        assert volume.spacing == (0.75, 0.5, 2.5)
        assert volume.image_ids == tuple(frame_id(server, number) for number in range(5))
        assert asked(server) == ["/metadata", "."]


def test_an_instance() -> None:
    """A multi-frame instance is a volume: its metadata, then all frames with one request."""
    with serving(enhanced(5), ct_slice(9)) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{instance_path(0)}")

        assert np.array_equal(volume.array, modality_values())
        assert asked(server) == [f"/instances/{uid(0)}/metadata", f"/instances/{uid(0)}"]


def test_metadata_are_asked_for_once() -> None:
    """Nothing about a series is asked for twice in a session, whoever needs it."""
    with serving() as server, Session() as session:
        place = f"wadors:{server.url}{series_path()}"
        ids = session.image_ids(place)
        session.volume_ids(place)
        session.load_volume(place)
        session.load_image(ids[0], scaled=False)

        assert [path for path in asked(server) if "metadata" in path] == ["/metadata"]


def test_two_concurrent_loads_are_one() -> None:
    """Callers that want the same at the same time share its requests."""
    with serving(latency=0.05) as server, Session() as session, ThreadPoolExecutor(8) as threads:
        images = list(threads.map(session.load_image, [frame_id(server, 1)] * 4))
        place = f"wadors:{server.url}{series_path()}"
        volumes = list(threads.map(session.load_volume, [place] * 4))

        assert all(each is images[0] for each in images)
        assert all(each is volumes[0] for each in volumes)
        assert sorted(asked(server)) == [
            ".",
            f"/instances/{uid(1)}/frames/1",
            f"/instances/{uid(1)}/metadata",
            "/metadata",
        ]


def test_frames_of_one_instance_at_once_share_its_metadata() -> None:
    """Different frames asked for at the same time ask for their instance's metadata once."""
    with serving(enhanced(5), latency=0.05) as server, Session() as session, ThreadPoolExecutor(5) as threads:
        list(threads.map(session.load_image, [frame_id(server, 0, number) for number in range(1, 6)]))

        assert [path.rpartition("/")[2] for path in asked(server)].count("metadata") == 1


KINDS = [
    {AcceptKind.QUOTED_TYPE},
    {AcceptKind.UNQUOTED_TYPE},
    {AcceptKind.TRANSFER_SYNTAX},
    {AcceptKind.TRANSFER_SYNTAX, AcceptKind.QUOTED_TYPE},
    {AcceptKind.TRANSFER_SYNTAX, AcceptKind.QUOTED_TYPE, AcceptKind.UNQUOTED_TYPE},
    {AcceptKind.SEVERAL},
    {AcceptKind.ANYTHING},
    {AcceptKind.SINGLE_PART},
    {AcceptKind.NO_TRANSFER_SYNTAX},
]


@pytest.mark.parametrize("status", [400, 406, 415])
@pytest.mark.parametrize("refused", KINDS, ids="+".join)
def test_the_ladder_of_accepts(refused: set[AcceptKind], status: int) -> None:
    """Whatever a server refuses, another way is found, and remembered for its root."""
    with serving(refused_accepts=frozenset(refused), refusal_status=status) as server, Session() as session:
        found = session.load_image(frame_id(server, 3))
        rungs = len(accepts(server, "/frames/1"))
        session.load_image(frame_id(server, 1))
        tried = accepts(server, "/frames/1")
        with Session() as other:
            volume = other.load_volume(f"wadors:{server.url}{series_path()}")

        assert np.array_equal(found.pixels, modality_values()[3])
        assert np.array_equal(volume.array, modality_values())
        assert len(set(tried)) == rungs
        assert tried[rungs:] == [tried[rungs - 1]]
        assert not any("," in each for each in tried)


def test_frames_refused() -> None:
    """A server that gives no frames is asked for the instance, once for all its frames."""
    with serving(
        enhanced(5), refused_accepts=frozenset({AcceptKind.OCTET_STREAM, AcceptKind.ANYTHING})
    ) as server:
        with Session() as session:
            found = [session.load_image(frame_id(server, 0, number)) for number in range(1, 6)]

        assert np.array_equal(np.stack([each.pixels for each in found])[::-1], modality_values())
        paths = [path.rpartition("/")[2] for path in asked(server)]
        assert paths.count(uid(0)) == 1
        assert set(paths) == {"metadata", "1", uid(0)}
        assert found[0].header().SOPInstanceUID == uid(0)


def test_series_refused() -> None:
    """A server that gives no series is asked for frames; the next series is not tried again."""
    others = [ct_slice(10 + n, SeriesInstanceUID="1.2.3.2") for n in range(4)]
    refused = frozenset({AcceptKind.DICOM, AcceptKind.ANYTHING})
    with serving(*ct_series(5), *others, refused_accepts=refused) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")
        session.load_volume(f"wadors:{server.url}{series_path('1.2.3.2')}")

        assert np.array_equal(volume.array, modality_values())
        paths = [request.path for request in server.requests]
        assert sum("/frames/" in path for path in paths) == 9
        assert sum(path.endswith(f"/series/{SERIES}") for path in paths) == 5
        assert not any(path.endswith("/series/1.2.3.2") for path in paths)


def test_metadata_of_the_series_refused() -> None:
    """A server that describes one instance at a time is searched for the instances, and asked for each."""
    with serving(refuses_series_metadata=True) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")
        session.load_image(volume.image_ids[0], scaled=False)

        assert np.array_equal(volume.array, modality_values())
        paths = asked(server)
        assert sum(path.endswith("/metadata") for path in paths) == 6
        assert paths.count("/instances") == 2


def test_metadata_beyond_the_limit() -> None:
    """Metadata of a series that are too large are asked for instance by instance."""
    size = 0
    with serving() as server:
        size = len(ask(f"{server.url}{series_path()}/metadata").body)
        with Session(max_json_bytes=size - 1) as session:
            volume = session.load_volume(f"wadors:{server.url}{series_path()}")

    assert np.array_equal(volume.array, modality_values())


@pytest.mark.parametrize(
    "behaviour",
    [
        {"reverses_parts": True},
        {"content_location": False},
        {"names_transfer_syntax": False},
        {"final_boundary": False},
        {"advertised_root": "http://10.0.0.7:8042/dicom-web"},
        {"refuses_frame_lists": True},
        {
            "reverses_parts": True,
            "content_location": False,
            "names_transfer_syntax": False,
            "final_boundary": False,
        },
    ],
    ids="+".join,
)
@pytest.mark.parametrize("datasets", [ct_series(5), [enhanced(5)]], ids=["series", "multi-frame"])
def test_quirks(datasets: list[Dataset], behaviour: dict[str, Any]) -> None:
    """Order, names and ends that servers leave out or change cost nothing."""
    with serving(*datasets, **behaviour) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")
        images = [session.load_image(each, cache=False, scaled=False) for each in volume.image_ids]

        assert np.array_equal(volume.array, modality_values())
        assert [each.pixels.tolist() for each in images] == [stored_values(k).tolist() for k in range(5)]


def test_a_query_goes_along() -> None:
    """The query of an id is sent with every request that it causes, and is in the ids that come of it."""
    with serving() as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}?imageSetId=7&x=%20")
        session.load_image(volume.image_ids[0], scaled=False)

        assert volume.image_ids[0].endswith("/frames/1?imageSetId=7&x=%20")
        assert all(each.target.endswith("?imageSetId=7&x=%20") for each in server.requests)
        assert len(server.requests) == 3


def test_several_volumes_behind_a_query() -> None:
    """Ids of several volumes go on from the query, and work when pasted."""
    coronal = ct_slice(9, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with serving(*ct_series(3), coronal) as server, Session() as session:
        place = f"wadors:{server.url}{series_path()}?imageSetId=7"
        with pytest.raises(InvalidIdError, match="there are 2 volumes"):
            session.load_volume(place)
        ids = session.volume_ids(place)
        shapes = [session.load_volume(each).shape for each in ids]
        with pytest.raises(InvalidIdError, match="no such series or stack") as caught:
            session.load_volume(f"{place}&stack=3")

    assert ids == [f"{place}&stack=1", f"{place}&stack=2"]
    assert sorted(shapes) == [(1, 4, 6), (3, 4, 6)]
    assert all(each in str(caught.value) for each in ids)


def test_what_is_no_image_in_a_series() -> None:
    """A report among the images is left out and counted."""
    report = identity(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        SOPInstanceUID=uid(99),
        SeriesInstanceUID=SERIES,
        StudyInstanceUID=STUDY,
    )
    with serving(*ct_series(5), report) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")
        with pytest.raises(UnsupportedError, match="not an image"):
            session.load_image(frame_id(server, 99))

    assert volume.shape == (5, 4, 6)
    assert any("without an image" in finding.message for finding in volume.geometry.findings)


def test_a_damaged_instance_in_a_series() -> None:
    """One instance that cannot be described does not cost the others; it is named."""
    with serving(*ct_series(5), ct_slice(9, PixelSpacing=[0, 0])) as server, Session() as session:
        volume = session.load_volume(f"wadors:{server.url}{series_path()}")

    assert volume.shape == (5, 4, 6)
    assert any(uid(9) in finding.message for finding in volume.geometry.findings)


@pytest.mark.parametrize("path", [series_path("9.9"), f"{series_path()}/instances/9.9"])
def test_not_found(path: str) -> None:
    """What a server does not have is an error with its status."""
    with serving() as server, Session() as session:
        with pytest.raises(FetchError) as caught:
            session.load_volume(f"wadors:{server.url}{path}")
        assert caught.value.status == 404
        assert session.load_image(frame_id(server, 1)).pixels.shape == (4, 6)


def test_a_series_is_no_image() -> None:
    """A series asked for as an image says what to use; no request is made."""
    with serving() as server, Session() as session:
        with pytest.raises(InvalidIdError, match="load_volume"):
            session.load_image(f"wadors:{server.url}{series_path()}")
        with pytest.raises(InvalidIdError, match="load_image"):
            session.load_volume(frame_id(server, 1))
        assert server.requests == []


def test_bulk_data_behind_a_foreign_address() -> None:
    """A palette that the metadata name at a foreign address is asked for at the root that the user gave."""
    table = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    colors: dict[str, Any] = {
        f"{color}PaletteColorLookupTable{what}": value
        for color in ("Red", "Green", "Blue")
        for what, value in (("Descriptor", [256, 0, 16]), ("Data", table * 4))
    }
    palette = image(
        np.arange(24, dtype=np.uint8).reshape(4, 6),
        SOPInstanceUID=uid(1),
        SeriesInstanceUID=SERIES,
        StudyInstanceUID=STUDY,
        PhotometricInterpretation="PALETTE COLOR",
        **colors,
    )
    with (
        FaultServer() as foreign,
        serving(palette, advertised_root=foreign.url("/dicom-web")) as server,
        Session() as session,
    ):
        found = session.load_image(frame_id(server, 1))

        assert found.pixels.shape == (4, 6, 3)
        assert found.pixels[0, 1].tolist() == [257, 257, 257]
        assert foreign.requests == []
        assert sum("/bulkdata/" in path for path in asked(server)) >= 3
        with pytest.raises(SecurityError, match="another origin"):
            session.load_image(frame_id(server, 1), options={"bulkdata": "refuse"})
        with pytest.raises(LoadstoneError, match="'rebase' or 'refuse'"):
            session.load_image(frame_id(server, 1), options={"bulkdata": "follow"})
        assert session.load_image(frame_id(server, 1)) is found


def recorded(server: DicomWebServer, faulty: FaultServer) -> Callable[[str], Answer]:
    """Return what gives the answers of a good server, to be spoiled by another one."""

    def answer(path: str) -> Answer:
        found = ask(f"{server.url}{path}", MULTIPART_STORED if "/frames/" in path else None)
        return Answer(found.body, headers={"Content-Type": found.headers["content-type"]})

    return answer


FRAME = f"{instance_path(1)}/frames/1"


def spoiled(body: bytes, **changes: Any) -> Answer:
    return Answer(body, **{"headers": {"Content-Type": "application/octet-stream"}, **changes})


BAD_FRAMES = {
    "page": (spoiled(b"<html>" * 8, headers={"Content-Type": "text/html"}), DecodeError, "text/html"),
    "short": (spoiled(bytes(46)), IntegrityError, "does not say"),
    "empty": (spoiled(b""), IntegrityError, "does not say"),
    "no parts": (
        spoiled(b"--b--", headers={"Content-Type": "multipart/related; boundary=b"}),
        IntegrityError,
        "no parts",
    ),
    "another syntax": (
        spoiled(
            bytes(48),
            headers={"Content-Type": "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5"},
        ),
        LoadstoneError,
        "",
    ),
    "unknown syntax": (
        spoiled(bytes(48), headers={"Content-Type": "application/octet-stream; transfer-syntax=1.2.3.4"}),
        UnsupportedError,
        "1.2.3.4",
    ),
    "compressed": (
        spoiled(bytes(48), headers={"Content-Type": "application/octet-stream", "Content-Encoding": "br"}),
        UnsupportedError,
        "compressed",
    ),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_bad_frames(kind: str) -> None:
    """What is no frame is a typed error without secrets; nothing is kept of it."""
    bad, error, words = BAD_FRAMES[kind]
    with serving() as server, FaultServer() as faulty, Session(attempts=1) as session:
        good = recorded(server, faulty)
        faulty.plan(f"{instance_path(1)}/metadata", good(f"{instance_path(1)}/metadata"))
        faulty.plan(instance_path(1), Answer(status=404))
        faulty.plan(FRAME, bad)
        image_id = f"wadors:{faulty.url(FRAME)}?token=secret"
        with pytest.raises(error, match=words or None) as caught:
            session.load_image(image_id)
        faulty.plan(FRAME, good(FRAME))
        found = session.load_image(image_id)

    assert "secret" not in str(caught.value)
    assert np.array_equal(found.pixels, modality_values()[1])


def test_a_frame_cut_anywhere() -> None:
    """Wherever the answer is cut it is an error or, behind the pixels, the right image: never a short one."""
    outcomes = []
    with serving() as server, FaultServer() as faulty, Session(attempts=1) as session:
        good = recorded(server, faulty)
        faulty.plan(f"{instance_path(1)}/metadata", good(f"{instance_path(1)}/metadata"))
        faulty.plan(instance_path(1), Answer(status=404))
        whole = good(FRAME)
        for cut in range(0, len(whole.body) + 1, 6):
            faulty.plan(FRAME, Answer(whole.body[:cut], headers=whole.headers, framing="close", end="close"))
            try:
                found = session.load_image(f"wadors:{faulty.url(FRAME)}", cache=False)
            except LoadstoneError:
                outcomes.append("error")
            else:
                assert np.array_equal(found.pixels, modality_values()[1])
                outcomes.append("image")

    assert outcomes == sorted(outcomes)
    assert 0 < outcomes.count("image") < 10  # the last boundary


def test_a_frame_cut_by_the_connection_is_fetched_again() -> None:
    """A connection that ends in the middle of a frame costs a retry, not the load."""
    with serving() as server, FaultServer() as faulty, Session(backoff_seconds=0) as session:
        good = recorded(server, faulty)
        faulty.plan(f"{instance_path(1)}/metadata", good(f"{instance_path(1)}/metadata"))
        whole = good(FRAME)
        faulty.plan(FRAME, Answer(whole.body, headers=whole.headers, body_cut=100, end="reset"), whole)
        found = session.load_image(f"wadors:{faulty.url(FRAME)}")

    assert np.array_equal(found.pixels, modality_values()[1])


def test_a_frame_cut_by_a_polite_connection_is_fetched_again() -> None:
    """Where nothing but the boundaries tells that an answer is cut, it costs a retry as well."""
    with serving() as server, FaultServer() as faulty, Session() as session:
        good = recorded(server, faulty)
        faulty.plan(f"{instance_path(1)}/metadata", good(f"{instance_path(1)}/metadata"))
        faulty.plan(instance_path(1), Answer(status=404))
        whole = good(FRAME)
        cut = Answer(whole.body[:100], headers=whole.headers, framing="close", end="close")
        faulty.plan(FRAME, cut, cut, whole)
        found = session.load_image(f"wadors:{faulty.url(FRAME)}")

    assert np.array_equal(found.pixels, modality_values()[1])


def metadata_with(changes: dict[str, Any]) -> bytes:
    with serving(ct_slice(1)) as server:
        (attributes,) = ask(f"{server.url}{instance_path(1)}/metadata").json
    return json.dumps([attributes | changes]).encode()


QUIRKY: dict[str, dict[str, Any]] = {
    "null value": {"00081030": {"vr": "LO", "Value": None}, "0008103E": {"vr": "LO", "Value": [None]}},
    "no value": {"00180050": {"vr": "DS"}, "00280120": {}},
    "strings for numbers": {
        "00280010": {"vr": "US", "Value": ["4"]},
        "00281053": {"vr": "DS", "Value": ["1"]},
        "00280030": {"vr": "DS", "Value": ["0.5", "0.75"]},
    },
    "numbers for strings": {"00200011": {"vr": "IS", "Value": [7]}, "00100020": {"vr": "LO", "Value": [7]}},
    "missing vr": {"00280010": {"Value": [4]}, "00281052": {"Value": [-1024]}},
    "value not a list": {
        "00280010": {"vr": "US", "Value": 4},
        "00280004": {"vr": "CS", "Value": "MONOCHROME2"},
    },
    "unknown keys": {"PatientName": "x", "zz": {"vr": "??", "Value": [{}]}, "00091001": {"vr": "UN"}},
    "person": {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}},
}


@pytest.mark.parametrize("kind", QUIRKY)
def test_quirks_of_json(kind: str) -> None:
    """DICOM JSON is read tolerantly: what is said clearly counts, however it is written."""
    with serving() as server, FaultServer() as faulty, Session() as session:
        faulty.plan(f"{instance_path(1)}/metadata", Answer(metadata_with(QUIRKY[kind])))
        faulty.plan(FRAME, recorded(server, faulty)(FRAME))
        found = session.load_image(f"wadors:{faulty.url(FRAME)}")

    assert np.array_equal(found.pixels, modality_values()[1])
    assert found.plane.pixel_spacing == (0.5, 0.75)


DEEP = b'{"vr":"SQ","Value":[{"00081140":' * 400 + b'{"vr":"SQ"}' + b"}]}" * 400
BAD_METADATA = {
    "page": (b"<html>please log in</html>", DecodeError),
    "empty": (b"", FetchError),
    "no objects": (b"[]", FetchError),
    "number": (b"[1]", DecodeError),
    "another instance": (b'[{"00080018":{"vr":"UI","Value":["9.9"]}}]', IntegrityError),
    "no UID": (b'[{"00280010":{"vr":"US","Value":[4]}}]', MetadataError),
    "deep": (b'[{"00081140":' + DEEP + b"}]", LimitError),
    "very deep": (b"[" * 100_000, LimitError),
    "no rows": (b'[{"00080018":{"vr":"UI","Value":["1.2.3.1.1"]}}]', UnsupportedError),
    "rows are no number": (metadata_with({"00280010": {"vr": "US", "Value": ["many"]}}), MetadataError),
    "rows are an object": (metadata_with({"00280010": {"vr": "US", "Value": [{}]}}), MetadataError),
    "huge": (metadata_with({"00280010": {"vr": "US", "Value": [2**40]}}), LimitError),
    "huge number of frames": (metadata_with({"00280008": {"vr": "IS", "Value": [2**40]}}), LimitError),
    "infinite": (metadata_with({"00280010": {"vr": "US", "Value": [float("inf")]}}), LoadstoneError),
}


@pytest.mark.parametrize("kind", BAD_METADATA)
def test_bad_metadata(kind: str) -> None:
    """Metadata that describe no image are a typed error; nothing is kept of them."""
    body, error = BAD_METADATA[kind]
    with serving() as server, FaultServer() as faulty, Session() as session:
        faulty.plan(f"{instance_path(1)}/metadata", Answer(body))
        good = recorded(server, faulty)
        faulty.plan(FRAME, good(FRAME))
        with pytest.raises(error):
            session.load_image(f"wadors:{faulty.url(FRAME)}")
        with pytest.raises(LoadstoneError):
            session.load_volume(f"wadors:{faulty.url(instance_path(1))}")
    with serving() as server, Session() as again:
        assert again.load_image(frame_id(server, 1)).pixels.shape == (4, 6)


def failing(real: DicomWebServer, session: Session, *accepted: bool) -> Callable[[Received], Answer]:
    """Answer 500 to requests for a stored frame, and to plain ones unless `accepted`."""

    def reply(request: Received) -> Answer:
        stored = "transfer-syntax=*" in request.headers["Accept"]
        if "/frames/" in request.target and (stored or not accepted):
            return Answer(status=500)
        found = session.transport.fetch(f"{real.url}{request.target}", headers=dict(request.headers))
        return Answer(found.body, headers={"Content-Type": found.headers["Content-Type"]})

    return reply


@pytest.mark.parametrize("plain", [True, False], ids=["given plainly", "not at all"])
def test_an_internal_error_for_what_is_stored(plain: bool) -> None:
    """A frame that a server fails to give as stored is asked for plainly, then taken out of its instance."""
    with serving() as real, FaultServer() as server, Session(attempts=1) as session:
        reply = failing(real, session, *([True] if plain else []))
        for number in (1, 2):
            for path in ("", "/metadata", "/frames/1"):
                server.plan(f"{instance_path(number)}{path}", reply)
        images = [
            session.load_image(f"wadors:{server.url(instance_path(number))}/frames/1") for number in (1, 2)
        ]
        wholes = [each for each in server.requests if each.path in {instance_path(1), instance_path(2)}]
        tried = [each.headers["Accept"] for each in server.requests if each.path.endswith("/frames/1")]

        assert np.array_equal([each.pixels for each in images], modality_values()[[1, 2]])
        assert len(wholes) == (0 if plain else 2)
        assert ["transfer-syntax" in each for each in tried] == (
            [True, False, False] if plain else [True, False]
        )
