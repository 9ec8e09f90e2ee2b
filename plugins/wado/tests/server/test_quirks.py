"""Whatever a server does differently: Loadstone loads the right voxels, or gives the documented error."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from loadstone import FetchError, Session
from loadstone_wado import DicomWeb
from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour
from plugins.wado.tests.server.builders import ask, make_dataset, part10

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

STUDY = "1.2.3"
SLICES, FRAMES = 5, 3
VOXELS = np.random.default_rng(0).integers(0, 1024, (SLICES, 4, 6), np.uint16)
ANYTHING = frozenset(AcceptKind)

QUIRKS: dict[str, dict[str, Any]] = {
    **{f"refuses {kind}": {"refused_accepts": frozenset({kind})} for kind in AcceptKind},
    "refuses quoted types by 400": {
        "refused_accepts": frozenset({AcceptKind.QUOTED_TYPE}),
        "refusal_status": 400,
    },
    "takes anything only": {"refused_accepts": ANYTHING - {AcceptKind.ANYTHING}, "refusal_status": 415},
    "gives instances only": {"refused_accepts": frozenset({AcceptKind.OCTET_STREAM, AcceptKind.ANYTHING})},
    "refuses lists of frames": {"refuses_frame_lists": True},
    "refuses the metadata of a series": {"refuses_series_metadata": True},
    "names no transfer syntax": {"names_transfer_syntax": False},
    "forgets the final boundary": {"final_boundary": False},
    "gives no locations": {"content_location": False},
    "reverses parts": {"reverses_parts": True},
    "reverses instances without locations": {
        "reverses_parts": True,
        "content_location": False,
        "refuses_frame_lists": True,
    },
    "names a foreign root": {"advertised_root": "http://archive.example.org:8080/internal/dicom"},
    "fails first": {"fails_first": True},
    "does not compress": {"compresses": False},
    "ignores ranges": {"ignores_ranges": True},
    "ignores offset and limit": {"pages": False, "refuses_series_metadata": True},
    "does all of it": {
        "refused_accepts": frozenset({AcceptKind.QUOTED_TYPE, AcceptKind.TRANSFER_SYNTAX}),
        "refuses_frame_lists": True,
        "refuses_series_metadata": True,
        "names_transfer_syntax": False,
        "final_boundary": False,
        "content_location": False,
        "reverses_parts": True,
        "advertised_root": "http://archive.example.org:8080/internal/dicom",
        "fails_first": True,
        "compresses": False,
        "ignores_ranges": True,
        "pages": False,
    },
}


def image(pixels: npt.NDArray[np.uint16], **attributes: Any) -> Dataset:
    """Return an image, of several frames if `pixels` has three axes."""
    dataset = make_dataset(ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1, 1], **attributes)
    if pixels.ndim == 3:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def table() -> Dataset:
    """Return a modality LUT that is too large to stand in the metadata: value k becomes 3 k + 7."""
    item = Dataset()
    item.add_new(0x00283002, "US", [1024, 0, 16])
    item.add_new(0x00283006, "OW", (3 * np.arange(1024, dtype=np.uint16) + 7).tobytes())
    item.ModalityLUTType = "US"
    return item


def contents() -> Iterator[bytes]:
    """Yield a series of slices, a multi-frame object in RLE, and an image with a large LUT."""
    for k in range(SLICES):
        names = {"SeriesInstanceUID": "1.2.3.1", "SOPInstanceUID": f"1.2.3.1.{k + 1}"}
        yield part10(image(VOXELS[k], **names, InstanceNumber=k + 1, ImagePositionPatient=[0, 0, 2 * k]))
    frames = part10(image(VOXELS[:FRAMES], SeriesInstanceUID="1.2.3.2", SOPInstanceUID="1.2.3.2.1"))
    compressed = dcmread(BytesIO(frames))
    compressed.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    yield part10(compressed, RLELossless)
    names = {"SeriesInstanceUID": "1.2.3.3", "SOPInstanceUID": "1.2.3.3.1"}
    yield part10(image(VOXELS[0], **names, ModalityLUTSequence=Sequence([table()])))


CONTENTS = list(contents())


@pytest.mark.parametrize("quirk", QUIRKS)
def test_each_quirk(quirk: str) -> None:
    """A series, single frames, several frames, a LUT behind a BulkDataURI and a list of ids are right."""
    with (
        DicomWebServer(CONTENTS, behaviour=ServerBehaviour(**QUIRKS[quirk])) as server,
        Session(backoff_seconds=0.001) as session,
    ):
        root = f"wadors:{server.url}/studies/{STUDY}/series"
        last = session.load_image(f"{root}/1.2.3.1/instances/1.2.3.1.5/frames/1")
        volume = session.load_volume(f"{root}/1.2.3.1")
        frames = session.load_volume(f"{root}/1.2.3.2/instances/1.2.3.2.1")
        frame = session.load_image(f"{root}/1.2.3.2/instances/1.2.3.2.1/frames/3", reload=True)
        looked_up = session.load_image(f"{root}/1.2.3.3/instances/1.2.3.3.1/frames/1")
        ids = DicomWeb(server.url, session).image_ids(STUDY, "1.2.3.1")

    assert np.array_equal(last.pixels, VOXELS[4])
    assert np.array_equal(volume.array, VOXELS)
    assert np.array_equal(frames.array, VOXELS[:FRAMES])
    assert np.array_equal(frame.pixels, VOXELS[2])
    assert np.array_equal(looked_up.pixels, 3 * VOXELS[0] + 7)
    assert sorted(each.rpartition("/instances/")[2] for each in ids) == [
        f"1.2.3.1.{k + 1}/frames/1" for k in range(SLICES)
    ]


@pytest.mark.parametrize("status", [400, 406, 415])
def test_a_server_that_accepts_nothing(status: int) -> None:
    """When every way to ask is refused the error has the server's last status."""
    behaviour = ServerBehaviour(refused_accepts=ANYTHING, refusal_status=status)
    with DicomWebServer(CONTENTS, behaviour=behaviour) as server, Session() as session:
        root = f"wadors:{server.url}/studies/{STUDY}/series"

        with pytest.raises(FetchError) as caught:
            session.load_image(f"{root}/1.2.3.1/instances/1.2.3.1.5/frames/1")
        assert caught.value.status == status
        with pytest.raises(FetchError) as caught:
            session.load_volume(f"{root}/1.2.3.1")
        assert caught.value.status == status


def test_a_server_that_always_fails_once_too_often() -> None:
    """A server's failure that no attempt outlives is an error that says how often it was tried."""
    behaviour = ServerBehaviour(fails_first=True)
    with (
        DicomWebServer(CONTENTS, behaviour=behaviour) as server,
        Session(attempts=1) as session,
        pytest.raises(FetchError) as caught,
    ):
        session.load_volume(f"wadors:{server.url}/studies/{STUDY}/series/1.2.3.2/instances/1.2.3.2.1")

    assert (caught.value.status, caught.value.attempts) == (500, 1)


def test_what_the_quirks_are() -> None:
    """The server really does what the tests above are about."""
    quirks = ServerBehaviour(fails_first=True, compresses=False, ignores_ranges=True, pages=False)
    with DicomWebServer(CONTENTS, behaviour=quirks) as server:
        series = f"{server.url}/studies/{STUDY}/series/1.2.3.1"
        failed, found = (ask(f"{series}/instances?limit=2&offset=1") for _ in range(2))
        _, document = (ask(f"{series}/metadata", Accept_Encoding="gzip") for _ in range(2))
        _, whole = (ask(server.file_url("1.2.3.1.1"), Range="bytes=0-9") for _ in range(2))

    assert failed.status == 500
    assert len(found.json) == SLICES
    assert "content-encoding" not in document.headers
    assert (whole.status, len(whole.body)) == (200, len(CONTENTS[0]))
