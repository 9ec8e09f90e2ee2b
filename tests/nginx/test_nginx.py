"""Loading from a static web server: every answer is a file, and nothing negotiates."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless

from loadstone import FetchError, Session
from tests.builders import part10, write_ct
from tests.nginx.service import MISSING, publish, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

pytestmark = [pytest.mark.nginx, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

SHAPE = (12, 40, 50)
SERIES = "studies/1.2.3/series/1.2.3.1"


def compressed(content: bytes) -> bytes:
    """Return a slice in HTJ2K."""
    dataset = dcmread(BytesIO(content))
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(SHAPE[1:])
    dataset.PixelData = encapsulate([bytes(imagecodecs.htj2k_encode(pixels, reversible=True))])
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset, HTJ2KLossless)


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], npt.NDArray[Any]]:
    folder = tmp_path_factory.mktemp("ct")
    values = write_ct(folder, SHAPE).astype(np.int16) - np.int16(1024)
    return [path.read_bytes() for path in folder.iterdir()], values


@pytest.fixture(scope="module", params=[True, False], ids=["series", "frames"])
def whole_series(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module", params=[ExplicitVRLittleEndian, HTJ2KLossless], ids=["uncompressed", "HTJ2K"])
def root(
    request: pytest.FixtureRequest,
    whole_series: bool,
    ct: tuple[list[bytes], npt.NDArray[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("static")
    contents = ct[0] if request.param == ExplicitVRLittleEndian else list(map(compressed, ct[0]))
    publish(contents, folder, whole_series=whole_series)
    with serving(folder) as url:
        yield url


def test_a_series(root: str, ct: tuple[list[bytes], npt.NDArray[Any]]) -> None:
    """A series is the volume that its files are, and so is each frame alone."""
    with Session() as session:
        volume = session.load_volume(f"wadors:{root}/{SERIES}")
    with Session() as session:
        frames = [session.load_image(each, scaled=False).pixels for each in volume.image_ids[:3]]

    assert np.array_equal(volume.array, ct[1])
    assert all(np.array_equal(each, ct[1][k] + 1024) for k, each in enumerate(frames))


def test_an_instance(root: str, ct: tuple[list[bytes], npt.NDArray[Any]]) -> None:
    """A file is loaded by its plain URL."""
    with Session() as session:
        last = session.volume_ids(f"wadors:{root}/{SERIES}")
        image_id = session.image_ids(last[0])[-1]
        url = image_id.removeprefix("wadors:").removesuffix("/frames/1")

        assert np.array_equal(session.load_image(f"wadouri:{url}").pixels, ct[1][-1])


def test_what_is_not_there(root: str) -> None:
    """What no file answers is a 404."""
    with Session() as session, pytest.raises(FetchError) as caught:
        session.load_volume(f"wadors:{root}/studies/9.9/series/9.9")

    assert caught.value.status == 404
