"""Every file inside the pydicom wheel is the same image whichever way it comes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import LoadstoneError, Session, UnsupportedError
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import bundled, bundled_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadstone import Image

pytestmark = pytest.mark.filterwarnings("ignore")


def has_names(path: Path) -> bool:
    """Say whether a server can name the instance in a file: it has UIDs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DicomWebServer(path).counts.instances == 1


FILES = {str(path.relative_to(bundled(""))): path for path in bundled_files() if has_names(path)}
MOST_FRAMES = 3

Outcome = tuple[Any, ...]


def outcome(session: Session, image_id: str, *, scaled: bool) -> Outcome:
    """Return what matters of an image, or that it failed."""
    try:
        found = session.load_image(image_id, scaled=scaled)
    except LoadstoneError:
        return ("failed",)
    return (*described(found), found.pixels)


def described(found: Image) -> Outcome:
    return (
        found.pixels.dtype,
        found.slope,
        found.intercept,
        found.units,
        found.photometric_interpretation,
        found.plane.image_position_patient,
        found.plane.pixel_spacing,
        found.voi_lut.windows,
        found.pixel_padding,
    )


def same(one: Outcome, other: Outcome) -> bool:
    return one[:-1] == other[:-1] and np.array_equal(one[-1], other[-1], equal_nan=_is_float(one[-1]))


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(attempts=1) as running:
        yield running


def ways(server: DicomWebServer) -> tuple[str, str]:
    """Return the ids of the one instance of a server, over WADO-RS and from a plain URL."""
    (instance,) = [each for study in server._archive.studies.values() for each in study.instances()]
    path = f"studies/{instance.study_uid}/series/{instance.series_uid}/instances/{instance.uid}"
    return f"wadors:{server.url}/{path}", f"wadouri:{server.file_url(instance.uid)}"


def compared(session: Session, path: Path, server: DicomWebServer) -> Iterator[tuple[str, Outcome, Outcome]]:
    rs, uri = ways(server)
    for number in range(1, MOST_FRAMES + 1):
        for scaled in (True, False):
            here = outcome(session, f"dicomfile:{path}?frame={number}", scaled=scaled)
            for way in (f"{rs}/frames/{number}", f"{uri}?frame={number}"):
                yield way, here, outcome(session, way, scaled=scaled)


@pytest.mark.parametrize("name", FILES)
def test_each_way_gives_the_same(session: Session, name: str) -> None:
    """From disk, over WADO-RS and from a URL: equal values, meaning and place, or refused on each way."""
    with DicomWebServer(FILES[name]) as server:
        different = [
            way for way, one, other in compared(session, FILES[name], server) if not same(one, other)
        ]

    assert different == []


UNTOLD = frozenset(
    {
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "rtdose_expb.dcm",
        "rtdose_expb_1frame.dcm",
    }
)
"""Big endian, which DICOMweb does not allow in frames: without a name it cannot be told from native."""

QUIRKS = ServerBehaviour(names_transfer_syntax=False, content_location=False, final_boundary=False)


@pytest.mark.parametrize("name", sorted(FILES.keys() - UNTOLD))
def test_servers_that_say_little(session: Session, name: str) -> None:
    """Without the name of a transfer syntax an image is the same, or asked for as a whole object."""
    with DicomWebServer(FILES[name], behaviour=QUIRKS) as server:
        rs, _ = ways(server)
        here = outcome(session, f"dicomfile:{FILES[name]}", scaled=False)
        there = outcome(session, f"{rs}/frames/1", scaled=False)

    assert same(here, there)


def test_most_files_are_compared(session: Session) -> None:
    """The tests above compare images: all but three of the files that are images load."""
    loaded, refused = 0, []
    for path in FILES.values():
        try:
            session.load_image(f"dicomfile:{path}")
        except UnsupportedError:
            continue
        except LoadstoneError as error:
            refused.append(error)
        else:
            loaded += 1

    assert loaded > 80
    assert len(refused) == 3
