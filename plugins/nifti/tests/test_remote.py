from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import FetchError, IntegrityError, LoadCancelled, LoadstoneError, Session
from loadstone.testing.faults import Answer, FaultServer
from plugins.nifti.tests.builders import VOXELS, nifti

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(backoff_seconds=0.01, attempts=2) as session:
        yield session


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_remote_volume_equals_the_file(
    session: Session, server: FaultServer, compress: bool, framing: str
) -> None:
    """A URL gives the same voxels, whether the server says how long the answer is or not."""
    body = gzip.compress(nifti()) if compress else nifti()
    server.plan("/t1", Answer(body=body, framing=framing))  # type: ignore[arg-type]

    np.testing.assert_array_equal(session.load_volume(f"nifti:{server.url('/t1')}").array, VOXELS.T)


@pytest.mark.parametrize("compress", [False, True])
def test_slices_of_a_remote_file_download_it_once(
    session: Session, server: FaultServer, compress: bool
) -> None:
    """One request for the header, one for the voxels, none for further slices."""
    server.plan("/t1", Answer(body=gzip.compress(nifti()) if compress else nifti()))
    image_id = f"nifti:{server.url('/t1')}"

    for k in (0, 1, 0):
        image = session.load_image(f"{image_id}?frame={k}", cache=False)
        np.testing.assert_array_equal(image.pixels, VOXELS[:, :, k].T)

    assert len(server.requests) == 2


def test_a_missing_file_is_a_fetch_error(session: Session, server: FaultServer) -> None:
    """A 404 says so, and is not kept."""
    url = server.plan("/t1", Answer(status=404), Answer(body=nifti()))

    with pytest.raises(FetchError) as caught:
        session.load_volume(f"nifti:{url}")

    assert caught.value.status == 404
    assert session.load_volume(f"nifti:{url}").shape == (2, 3, 4)


def test_a_sign_in_page_is_no_volume(session: Session, server: FaultServer) -> None:
    """An HTML page with status 200 is named."""
    url = server.plan("/t1", Answer(body=b"<!doctype html><html>Sign in</html>" + b" " * 400))

    with pytest.raises(LoadstoneError, match="HTML"):
        session.load_volume(f"nifti:{url}")


@pytest.mark.parametrize("compress", [False, True])
def test_a_body_that_ends_early_is_an_error(session: Session, server: FaultServer, compress: bool) -> None:
    """However politely the server closes, missing bytes are no voxels."""
    body = nifti(np.arange(60000, dtype=np.int32).reshape(30, 40, 50))
    body = gzip.compress(body) if compress else body
    url = server.plan("/t1", Answer(body=body, framing="close", body_cut=len(body) - 100, end="close"))

    with pytest.raises(IntegrityError):
        session.load_volume(f"nifti:{url}")


def test_a_file_that_changes_between_header_and_voxels_is_an_error(
    session: Session, server: FaultServer
) -> None:
    """Voxels are only read behind the header that described them."""
    url = server.plan("/t1", Answer(body=nifti()), Answer(body=nifti(descrip=b"another")))

    with pytest.raises(IntegrityError, match="written anew"):
        session.load_volume(f"nifti:{url}")


def test_no_secret_of_a_url_is_in_a_message(session: Session, server: FaultServer) -> None:
    """User, password and query stay out of errors."""
    url = server.plan("/t1", Answer(body=b"nothing" * 100))
    secret = url.replace("http://", "http://user:geheim@") + "?token=geheim"

    with pytest.raises(LoadstoneError) as caught:
        session.load_volume(f"nifti:{secret}")

    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("compress", [False, True])
def test_a_cancelled_load_closes_its_connection(
    session: Session, server: FaultServer, compress: bool
) -> None:
    """While voxels drip in, cancelling settles at once and the connection is closed within a second."""
    voxels = np.random.default_rng(0).integers(0, 9999, (64, 64, 40), dtype=np.int16)
    body = gzip.compress(nifti(voxels)) if compress else nifti(voxels)
    url = server.plan("/t1", Answer(body=body), Answer(body=body, drip=0.01))
    handle = session.request_volume(f"nifti:{url}")

    assert server.wait_for(lambda server: len(server.requests) == 2)
    assert handle.cancel()

    with pytest.raises(LoadCancelled):
        handle.result(timeout=1)
    assert server.wait_for(lambda server: server.connections[-1].closed_at is not None, seconds=1)
