from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, LimitError, LoadstoneError, Quality, Session, Window
from loadstone.testing.faults import Answer, FaultServer
from loadstone_wado import DicomWeb
from loadstone_wado.server import DicomWebServer
from plugins.wado.tests.studies import SERIES, STUDY, contents, ct_series, instance_path, modality_values

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone.testing.faults import Received

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOR = np.stack([GREY, GREY + 5, GREY + 15], axis=2)
FRAME = f"{instance_path(1)}/frames/1"


def picture(content: bytes | bytearray, name: str) -> Answer:
    return Answer(bytes(content), headers={"Content-Type": name})


PNG = picture(imagecodecs.png_encode(GREY), "image/png")


def shown(server: FaultServer, **wish: Any) -> npt.NDArray[np.uint8]:
    with Session() as session:
        web = DicomWeb(server.url(""), session)
        pixels: npt.NDArray[np.uint8] = web.rendered(f"wadors:{server.url(FRAME)}", **wish).pixels
        return pixels


def test_a_picture_of_the_server() -> None:
    """A picture is 8 bits, said to be lossy, and shown as it is."""
    with DicomWebServer(contents(ct_series(3))) as server, Session() as session:
        web = DicomWeb(server.url, session)
        image = web.rendered(web.image_ids(STUDY, SERIES)[1])

        assert image.pixels.dtype == np.uint8
        assert image.quality is Quality.LOSSY
        assert image.pixels.shape == (4, 6)
        assert np.array_equal(image.display(), image.pixels)
        assert not image.pixels.flags.writeable


def test_pictures_are_no_values() -> None:
    """A picture is never taken for the image, nor the image for a picture, in whatever order they come."""
    with DicomWebServer(contents(ct_series(3))) as server, Session() as session:
        web = DicomWeb(server.url, session)
        frame = web.image_ids(STUDY, SERIES)[1]
        before, values, after = web.rendered(frame), session.load_image(frame), web.rendered(frame)

        assert np.array_equal(values.pixels, modality_values(3)[1])
        assert np.array_equal(before.pixels, after.pixels)
        assert after.pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("answer", "pixels"),
    [
        (PNG, GREY),
        (picture(imagecodecs.png_encode(COLOR), "image/png"), COLOR),
        (picture(imagecodecs.png_encode(np.dstack([COLOR, GREY])), "image/png"), COLOR),
        (picture(imagecodecs.png_encode(GREY.astype(np.uint16) * 257), "image/png"), GREY),
        (picture(imagecodecs.png_encode(GREY), "application/octet-stream"), GREY),
    ],
    ids=["grey", "color", "transparent", "16 bits", "unnamed"],
)
def test_kinds_of_pictures(answer: Answer, pixels: npt.NDArray[np.uint8]) -> None:
    """Pictures are known by their bytes; transparency and low bytes are left out."""
    with FaultServer() as server:
        server.plan(f"{FRAME}/rendered", answer)

        assert np.array_equal(shown(server), pixels)


def test_a_jpeg() -> None:
    """A JPEG is asked for first, and decoded."""
    with FaultServer() as server:
        server.plan(f"{FRAME}/rendered", picture(imagecodecs.jpeg8_encode(GREY, level=100), "image/jpeg"))

        assert np.abs(shown(server).astype(int) - GREY).max() <= 3
        assert server.requests[0].headers["Accept"] == "image/jpeg"


def test_what_is_asked() -> None:
    """Window and size go along as parameters; thumbnails have a resource of their own."""
    with FaultServer() as server:
        server.plan(f"{FRAME}/rendered", PNG)
        server.plan(f"{FRAME}/thumbnail", PNG)
        shown(server, window=(40, 400), size=(64, 32))
        shown(server, window=Window(40.5, 400, function="LINEAR_EXACT"))
        shown(server, thumbnail=True)

        assert [each.target.removeprefix(f"{FRAME}/") for each in server.requests] == [
            "rendered?window=40,400,linear&viewport=64,32",
            "rendered?window=40.5,400,linear-exact",
            "thumbnail",
        ]


def test_a_server_without_thumbnails() -> None:
    """Where there is no thumbnail, the rendered frame will do."""
    with FaultServer() as server:
        server.plan(f"{FRAME}/thumbnail", Answer(status=404))
        server.plan(f"{FRAME}/rendered", PNG)

        assert np.array_equal(shown(server, thumbnail=True), GREY)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(status=404),
        Answer(status=501),
        picture(b"<html>", "text/html"),
        picture(b"GIF89a", "image/gif"),
    ],
    ids=["404", "501", "a page", "a GIF"],
)
def test_a_server_without_pictures(refusal: Answer) -> None:
    """Where there is no picture that can be read, the frame itself is shown through the same window."""
    with DicomWebServer(contents(ct_series(3))) as real, FaultServer() as server, Session() as session:

        def reply(request: Received) -> Answer:
            found = session.transport.fetch(f"{real.url}{request.target}", headers=request.headers)
            return Answer(found.body, headers={"Content-Type": found.headers["Content-Type"]})

        server.plan(f"{FRAME}/rendered", refusal)
        server.plan(FRAME, reply)
        server.plan(f"{instance_path(1)}/metadata", reply)
        image = DicomWeb(server.url(""), session).rendered(f"wadors:{server.url(FRAME)}", window=(100, 200))
        frame = session.load_image(f"wadors:{real.url}{FRAME}")

        assert np.array_equal(image.pixels, frame.display((100, 200)))


def test_no_credentials() -> None:
    """401 is no missing picture: nothing else is tried."""
    with FaultServer() as server:
        server.plan(f"{FRAME}/rendered", Answer(status=401))
        with pytest.raises(FetchError, match="401"):
            shown(server)

        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "asked",
    [{"window": (40, 0)}, {"window": (math.nan, 1)}, {"window": Window(1, 0.5)}, {"size": (0, 5)}],
)
def test_an_impossible_picture(asked: dict[str, Any]) -> None:
    """A window or a size that nothing can have is refused before anything is sent."""
    with FaultServer() as server, Session() as session:
        web = DicomWeb(server.url("/dw"), session)
        with pytest.raises(LoadstoneError, match="impossible"):
            web.rendered(f"wadors:{web.url}{instance_path(1)}/frames/1", **asked)

        assert server.requests == []


def test_a_huge_picture() -> None:
    """A size beyond the limits is refused before anything is decoded."""
    huge = bytearray(imagecodecs.png_encode(GREY))
    huge[16:24] = (2**20).to_bytes(4, "big") * 2
    with FaultServer() as server:
        server.plan(f"{FRAME}/rendered", picture(bytes(huge), "image/png"))
        with pytest.raises(LimitError, match="max_pixels"):
            shown(server)


def test_what_is_no_frame() -> None:
    """Only frames and instances of a DICOMweb service have pictures."""
    with pytest.raises(InvalidIdError):
        DicomWeb("http://127.0.0.1:9").rendered("wadors:http://127.0.0.1:9/studies/1/series/2")
