"""Damage at random, the same in every run: 200 files with some of their bytes changed, and many cut short."""

from __future__ import annotations

import random
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from loadstone import LoadstoneError, Session
from loadstone.testing.faults import Answer, FaultServer
from plugins.wado.tests.builders import bundled_files, image
from plugins.wado.tests.builders import part10 as written
from tests.builders import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt
    from pydicom.dataset import Dataset

SEEDS = 200
LARGEST = 300_000
SECONDS = 10.0
FRAMINGS: tuple[Literal["length", "close"], ...] = ("length", "close")
FRAMES = np.random.default_rng(1).integers(0, 4096, (3, 7, 9), np.uint16)

pytestmark = pytest.mark.filterwarnings("ignore")  # of what pydicom says about damaged files


def seeds() -> list[bytes]:
    """Return real files, those of the test data too where they are, and files of every syntax made here."""
    paths = [path for path in bundled_files() if path.stat().st_size < LARGEST]
    real = sorted((data_folder() / "dicom").rglob("*"))
    paths += [path for path in real if path.is_file() and path.stat().st_size < LARGEST]
    contents = [content for path in paths if (content := path.read_bytes())[128:132] == b"DICM"]
    made = [object_in(syntax, frames) for syntax in SYNTAXES for frames in (1, 3)]
    random.Random(0).shuffle(contents)
    return (made + contents)[:SEEDS]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut a file, or change some bytes: anywhere, in its header, or where its pixels begin."""
    changed = bytearray(data)
    if chance.random() < 0.15:
        return bytes(changed[: chance.randrange(len(changed))])
    pixels = max(data.rfind(b"\xe0\x7f\x10\x00"), 0)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        first, last = chance.choice(((0, len(data)), (128, min(len(data), 4000)), (pixels, pixels + 400)))
        place = min(chance.randrange(first, max(last, first + 1)), len(changed) - 1)
        kind = chance.random()
        if kind < 0.5:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind < 0.9:
            changed[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")
            )
        else:
            del changed[place : place + chance.randrange(1, 9)]
    return bytes(changed)


def endings(session: Session, place: str) -> Iterator[str]:
    """Load in several ways; yield how each ended, which is well or with an error that names the file."""
    loads: tuple[Callable[[], object], ...] = (
        lambda: session.load_image(place).display(),
        lambda: session.load_image(place, scaled=False),
        lambda: session.load_volume(place),
        lambda: session.load_image(place).header(),
    )
    for load in loads:
        started = time.monotonic()
        error = error_of(load)

        assert time.monotonic() - started < SECONDS
        if error is None:
            yield "loaded"
            continue
        assert error.source, repr(error)
        assert len(str(error)) < 600, str(error)
        assert "the loader failed with" not in str(error), repr(error.__cause__)
        yield type(error).__name__


def error_of(load: Callable[[], object]) -> LoadstoneError | None:
    """Return the typed error of a load; any other passes."""
    try:
        load()
    except LoadstoneError as error:
        return error
    return None


def test_damage_at_random(tmp_path: Path) -> None:
    """Whatever is changed: an image or a typed error that names the file, soon, and nothing is kept of it."""
    ended = set()
    with Session() as session:
        for number, seed in enumerate(seeds()):
            chance = random.Random(number)
            path = tmp_path / f"{number}.dcm"
            for _ in range(2):
                path.write_bytes(damaged(seed, chance))
                ended |= set(endings(session, f"dicomfile:{path}"))
                stats = session.cache.stats()

                assert stats.reserved == stats.pinned == 0

    assert {"loaded", "IntegrityError", "DecodeError", "MetadataError", "UnsupportedError"} <= ended


def single(encode: Callable[[npt.NDArray[np.uint16]], bytes]) -> Callable[[Dataset], bytes]:
    """Return what compresses the frames of a data set."""

    def compressed(dataset: Dataset) -> bytes:
        frames = FRAMES[: dataset.get("NumberOfFrames", 1)]
        return encapsulate([encode(frame) for frame in frames], has_bot=len(frames) > 1)

    return compressed


CODECS: dict[str, Callable[[Dataset], bytes]] = {
    JPEGLosslessSV1: single(lambda frame: bytes(imagecodecs.ljpeg_encode(frame, bitspersample=12))),
    JPEGLSLossless: single(lambda frame: bytes(imagecodecs.jpegls_encode(frame))),
    JPEG2000Lossless: single(
        lambda frame: bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0))
    ),
    HTJ2KLossless: single(lambda frame: bytes(imagecodecs.htj2k_encode(frame, reversible=True))),
}
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    *CODECS,
]


def object_in(syntax: str, frames: int) -> bytes:
    """Return an object of one or several frames in a transfer syntax, without loss."""
    several = frames > 1
    dataset = image(FRAMES if several else FRAMES[0], frames=frames if several else None)
    if syntax == RLELossless:
        plain = dcmread(BytesIO(written(dataset)))
        plain.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        return written(plain)
    if syntax in CODECS:
        dataset.PixelData = CODECS[syntax](dataset)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = FRAMES[:frames].astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    return written(dataset, UID(syntax))


def outcome(load: Callable[[], Any]) -> str:
    """Say whether what was loaded is right; wrong pixels are what must never come."""
    try:
        image = load()
    except LoadstoneError as error:
        return type(error).__name__
    np.testing.assert_array_equal(image.pixels, FRAMES[-1 if image.image_id.endswith("3") else 0])
    return "right"


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: UID(uid).keyword)
def test_a_file_that_ends_anywhere(tmp_path: Path, syntax: str, frames: int) -> None:
    """A file cut at any byte loads as what it is, or not at all."""
    data = object_in(syntax, frames)
    header = max(data.rfind(b"\xe0\x7f\x10\x00"), len(data) // 2)
    path = tmp_path / "a.dcm"
    ended = {}
    with Session() as session:
        for length in {*range(0, header, 29), *range(header, len(data), 3), len(data)}:
            path.write_bytes(data[:length])
            ended[length] = outcome(
                lambda: session.load_image(f"dicomfile:{path}?frame={frames}", scaled=False)
            )

    assert ended[len(data)] == "right"
    assert ended[0] == "DecodeError"
    assert sum(each == "right" for each in ended.values()) <= 12


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless])
def test_an_answer_that_ends_anywhere(syntax: str) -> None:
    """The same over HTTP, where the server says that this is all, by Content-Length or by closing."""
    data = object_in(syntax, 3)
    with FaultServer() as server, Session(attempts=1) as session:
        server.plan("/a.dcm", Answer(data))
        place = f"wadouri:{server.url('/a.dcm')}?frame=3"

        assert outcome(lambda: session.load_image(place, scaled=False)) == "right"
        for length in range(0, len(data) - 16, 61):
            for framing in FRAMINGS:
                server.plan("/a.dcm", Answer(data[:length], framing=framing))

                assert outcome(lambda: session.load_image(place, scaled=False, reload=True)) != "right"
