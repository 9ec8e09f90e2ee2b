from __future__ import annotations

import base64
import os
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import (
    FetchError,
    GeometryError,
    IntegrityError,
    InvalidIdError,
    LimitError,
    LoadstoneError,
    Session,
    UnsupportedError,
)
from loadstone.metadata import ImagePixel
from loadstone.testing.faults import Answer, FaultServer, redirect
from loadstone.transport import BearerAuth
from plugins.web.tests.builders import (
    SIGNATURE,
    by_pillow,
    chunk,
    exif,
    ihdr,
    memory_growth_below,
    photo,
    png,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GREY = (np.arange(12).reshape(3, 4) * 5000).astype(np.uint16)
SCAN = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
"""The header of the scan of a grey JPEG."""


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(backoff_seconds=0.01, attempts=2) as session:
        yield session


def written(folder: Path, data: bytes, name: str = "image.png") -> str:
    path = folder / name
    path.write_bytes(data)
    return f"web:{path}"


def test_a_file_is_loaded(session: Session, tmp_path: Path) -> None:
    """16-bit grey comes as it is, without spacing, and says what it was."""
    image = session.load_image(written(tmp_path, png(GREY)))

    np.testing.assert_array_equal(image.pixels, GREY)
    assert image.photometric_interpretation == "MONOCHROME2"
    assert image.pixel_spacing is None
    assert image.header().kind == "grey"
    assert not image.pixels.flags.writeable


@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.dcm", "image"])
def test_the_bytes_tell_and_not_the_name(session: Session, tmp_path: Path, name: str) -> None:
    """Whatever the name ends in, PNG is PNG and JPEG is JPEG."""
    np.testing.assert_array_equal(session.load_image(written(tmp_path, png(GREY), name)).pixels, GREY)
    image = session.load_image(written(tmp_path, by_pillow(photo(), "JPEG"), f"second-{name}"))

    assert image.photometric_interpretation == "RGB"
    assert image.is_color


def test_a_bare_path_is_enough(session: Session, tmp_path: Path) -> None:
    """The suffix leads to the plugin, whatever is in the name."""
    path = tmp_path / "what? 50%#.PNG"
    path.write_bytes(png(GREY))

    np.testing.assert_array_equal(session.load_image(path).pixels, GREY)


@pytest.mark.parametrize(
    "encode",
    [
        base64.b64encode,
        base64.encodebytes,
        lambda data: base64.b64encode(data).replace(b"+", b"%2B"),
        lambda data: base64.b64encode(data).rstrip(b"="),
    ],
)
@pytest.mark.parametrize("head", ["image/jpeg;base64", "text/html;charset=utf-8;BASE64", "; base64"])
def test_a_data_url_carries_its_image(session: Session, head: str, encode: object) -> None:
    """Base64, percent-encoded or not, as lax as browsers take it; the media type is not believed."""
    assert callable(encode)
    text = encode(png(GREY)).decode()

    np.testing.assert_array_equal(session.load_image(f"web:data:{head},{text}").pixels, GREY)


def test_the_data_of_a_data_url_are_never_shown(session: Session) -> None:
    """Megabytes of them would stand in every message about the image."""
    text = base64.b64encode(png(GREY)).decode()
    image = session.load_image(f"web:data:image/png;base64,{text}")

    assert repr(image) == "<Image web:data:image/png;base64,… 3x4 uint16>"


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,!!!!", "data:;base64,A"])
def test_a_malformed_data_url_is_refused(session: Session, url: str) -> None:
    """No comma, or no base64: the id is at fault."""
    with pytest.raises(InvalidIdError):
        session.load_image(f"web:{url}")


def test_a_url_is_loaded(session: Session) -> None:
    """An image behind http is the same image, also as a plain URL."""
    with FaultServer() as server:
        url = server.plan("/a.png", Answer(body=png(GREY)))

        np.testing.assert_array_equal(session.load_image(f"web:{url}").pixels, GREY)
        np.testing.assert_array_equal(session.load_image(url).pixels, GREY)


@pytest.mark.parametrize(
    ("answer", "error", "named"),
    [
        (Answer(status=404), FetchError, "404"),
        (Answer(body=b"<html>Sign in</html>"), UnsupportedError, "HTML"),
        (Answer(body=png(GREY), framing="close", body_cut=60, end="close"), IntegrityError, "truncated"),
        (Answer(body=by_pillow(photo(), "GIF")), UnsupportedError, "GIF"),
    ],
)
def test_a_bad_answer_is_a_typed_error_and_not_kept(
    session: Session, answer: Answer, error: type[LoadstoneError], named: str
) -> None:
    """What went wrong is named, and the next correct answer loads."""
    with FaultServer() as server:
        url = server.plan("/a.png", answer, Answer(body=png(GREY)))
        with pytest.raises(error, match=named):
            session.load_image(f"web:{url}")

        np.testing.assert_array_equal(session.load_image(f"web:{url}").pixels, GREY)


def test_no_secret_of_a_url_is_in_a_message(session: Session) -> None:
    """User, password and query stay out of errors."""
    with FaultServer() as server:
        url = server.plan("/a.png", Answer(body=b"nothing"))
        secret = url.replace("http://", "http://user:geheim@") + "?token=geheim"
        with pytest.raises(LoadstoneError) as caught:
            session.load_image(f"web:{secret}")

    assert "geheim" not in str(caught.value)


def test_a_missing_file_is_named(session: Session) -> None:
    """The path and what to do are in the message."""
    with pytest.raises(FetchError, match=r"/nowhere/a\.png.*Check the path"):
        session.load_image("web:/nowhere/a.png")


def test_a_pixel_bomb_is_refused_on_its_header(session: Session, tmp_path: Path) -> None:
    """100,000 x 100,000 pixels in a hundred bytes get no memory, and leave nothing."""
    bomb = SIGNATURE + ihdr(100_000, 100_000, 8, 0) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    image_id = written(tmp_path, bomb)
    session.load_image(written(tmp_path, png(GREY), "first.png"), cache=False)  # so that all is imported

    with memory_growth_below(2**20), pytest.raises(LimitError, match="max_pixels"):
        session.load_image(image_id)

    assert session.cache.stats().kept == 0


def test_metadata_comes_without_decoding(session: Session, tmp_path: Path) -> None:
    """Size, dtype and meaning of the upright image are known even where the pixels are damaged."""
    damaged = bytearray(png(GREY, before=chunk(b"eXIf", exif(6))))
    damaged[-14] ^= 1
    image_id = written(tmp_path, bytes(damaged))

    assert session.metadata.get(image_id, ImagePixel) == ImagePixel(
        rows=4, columns=3, dtype=np.dtype(np.uint16), bits_stored=16
    )
    with pytest.raises(IntegrityError):
        session.load_image(image_id)


def test_a_file_that_is_written_anew_is_read_anew(session: Session, tmp_path: Path) -> None:
    """The cache does not hide a new file."""
    image_id = written(tmp_path, png(GREY))
    session.load_image(image_id)

    written(tmp_path, png(GREY[:2]))

    assert session.load_image(image_id).rows == 2


def test_the_orientation_is_kept_when_asked(session: Session, tmp_path: Path) -> None:
    """Upright by default, as stored with ``orientation="keep"``; each is cached for itself."""
    image_id = written(tmp_path, png(GREY, before=chunk(b"eXIf", exif(6))))
    upright = session.load_image(image_id)
    kept = session.load_image(image_id, options={"orientation": "keep"})

    np.testing.assert_array_equal(upright.pixels, GREY[::-1].T)
    np.testing.assert_array_equal(kept.pixels, GREY)
    assert kept.header().orientation == 6
    assert session.load_image(image_id).pixels.shape == upright.pixels.shape


def test_another_format_is_opened_only_when_named(session: Session, tmp_path: Path) -> None:
    """A TIFF behind any name is refused until the caller names its format; no other comes with it."""
    image_id = written(tmp_path, by_pillow(GREY, "TIFF"))
    with pytest.raises(UnsupportedError, match="TIFF"):
        session.load_image(image_id)
    with pytest.raises(UnsupportedError, match="TIFF"):
        session.load_image(image_id, options={"formats": "GIF"})

    image = session.load_image(image_id, options={"formats": "TIFF"})

    np.testing.assert_array_equal(image.pixels, GREY)


@pytest.mark.parametrize("option", ["format", "spacings"])
def test_a_misspelt_option_is_refused(session: Session, tmp_path: Path, option: str) -> None:
    """An option that nobody knows is an error that lists those that are known."""
    with pytest.raises(UnsupportedError, match="formats, orientation, spacing"):
        session.load_image(written(tmp_path, png(GREY)), options={option: 1})


def test_spacing_comes_from_the_density_only_when_asked(session: Session, tmp_path: Path) -> None:
    """A print size is no size of the thing in the picture."""
    image_id = written(tmp_path, png(GREY, before=chunk(b"pHYs", struct.pack(">IIB", 4000, 2000, 1))))

    assert session.load_image(image_id).pixel_spacing is None
    assert session.load_image(image_id, options={"spacing": "print"}).pixel_spacing == (0.5, 0.25)
    assert session.load_image(image_id, options={"spacing": (3, 2)}).pixel_spacing == (3.0, 2.0)


@pytest.fixture(params=["files", "urls"])
def slices(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Three slices, which are 2, 0, 1 all over, in this order."""
    pictures = [png(np.full((3, 4), value, np.uint16)) for value in (2, 0, 1)]
    if request.param == "files":
        yield [written(tmp_path, data, f"{at}.png") for at, data in enumerate(pictures)]
        return
    with FaultServer() as server:
        yield [f"web:{server.plan(f'/{at}.png', Answer(body=data))}" for at, data in enumerate(pictures)]


def test_a_list_of_pictures_is_a_volume_in_its_order(session: Session, slices: list[str]) -> None:
    """Without spacing the geometry is unknown, which is no error; the order is that of the list."""
    volume = session.load_volume("web:pictures", image_ids=slices)

    assert volume.array[:, 0, 0].tolist() == [2, 0, 1]
    assert (volume.axes, volume.spacing) == (("frame", "j", "i"), (None, None, None))
    with pytest.raises(GeometryError):
        volume.affine()


def test_the_spacing_of_a_volume_is_the_callers(session: Session, slices: list[str]) -> None:
    """With the caller's spacing the size of a voxel is known; where it lies is still nobody's guess."""
    volume = session.load_volume("web:pictures", image_ids=slices, options={"spacing": (3, 2, 1)})

    assert volume.array[:, 0, 0].tolist() == [2, 0, 1]
    assert (volume.axes, volume.spacing) == (("k", "j", "i"), (1.0, 2.0, 3.0))
    assert volume.image(1).pixel_spacing == (2.0, 1.0)
    with pytest.raises(GeometryError):
        volume.affine()


def test_redirects_and_credentials_are_those_of_the_transport() -> None:
    """A moved picture is followed, with the credentials of its origin."""
    with FaultServer() as server, Session(auth={server.url(): BearerAuth("open")}) as session:
        old = server.plan("/old.png", redirect(server.plan("/new.png", Answer(body=png(GREY)))))

        np.testing.assert_array_equal(session.load_image(f"web:{old}").pixels, GREY)
        assert [each.headers["authorization"] for each in server.requests] == ["Bearer open"] * 2


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        (EPS, UnsupportedError),
        (SIGNATURE + EPS, LoadstoneError),
        (
            SIGNATURE + ihdr(16_384, 16_384, 8, 0) + chunk(b"IDAT", bytes(9)) + chunk(b"IEND", b""),
            IntegrityError,
        ),
        (png(GREY, before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24)))), LimitError),
        (png(GREY, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**24)))), LimitError),
        (
            b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9",
            LimitError,
        ),
    ],
)
def test_an_attack_gets_no_memory_and_leaves_nothing(
    session: Session, tmp_path: Path, attack: bytes, error: type[LoadstoneError]
) -> None:
    """A typed error at once, nothing cached."""
    session.load_image(written(tmp_path, png(GREY), "first.png"), cache=False)  # so that all is imported
    image_id = written(tmp_path, attack)

    with memory_growth_below(13 * 2**20), pytest.raises(error):
        session.load_image(image_id)

    assert session.cache.stats().kept == 0


def test_the_plugin_imports_nothing_heavy() -> None:
    """The decoders wait for the first load."""
    code = "import sys, loadstone_web.plugin; print({'PIL', 'imagecodecs'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"


def test_a_folder_or_a_pipe_is_no_file(session: Session, tmp_path: Path) -> None:
    """Neither is opened: a pipe would wait for ever."""
    pipe = tmp_path / "x.png"
    os.mkfifo(pipe)

    for path in (tmp_path, pipe):
        with pytest.raises(FetchError, match="not a file"):
            session.load_image(f"web:{path}")
