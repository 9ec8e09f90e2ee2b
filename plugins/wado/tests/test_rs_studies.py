from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, Session, UnsupportedError
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.builders import identity
from plugins.wado.tests.studies import (
    SERIES,
    STUDY,
    contents,
    ct_series,
    ct_slice,
    modality_values,
    series_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

OTHER = "1.2.3.2"


def report() -> Dataset:
    """Return an object of the study that is no image."""
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": "1.2.3.3", "SOPInstanceUID": "1.2.3.3.1"}
    return identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", **uids)


def two_series() -> list[Dataset]:
    other = [
        ct_slice(number, SeriesInstanceUID=OTHER, SOPInstanceUID=f"{OTHER}.{number}", Modality="PT")
        for number in range(3)
    ]
    return [*ct_series(5), *other]


@pytest.fixture
def server() -> Iterator[DicomWebServer]:
    with DicomWebServer(contents([*two_series(), report()])) as running:
        yield running


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as running:
        yield running


def study_id(server: DicomWebServer, study: str = STUDY) -> str:
    return f"wadors:{server.url}/studies/{study}"


def test_the_volumes_of_a_study(server: DicomWebServer, session: Session) -> None:
    """A study names the volumes of all its series, under the ids that they have themselves."""
    volumes = session.load_volumes(study_id(server))

    assert [volume.volume_id for volume in volumes] == [
        f"wadors:{server.url}{series_path()}",
        f"wadors:{server.url}{series_path(OTHER)}",
    ]
    assert np.array_equal(volumes[0].array, modality_values())
    assert [volume.shape for volume in volumes] == [(5, 4, 6), (3, 4, 6)]


def test_one_of_several(server: DicomWebServer, session: Session) -> None:
    """`load_volume` never guesses among the series of a study; one may be selected."""
    with pytest.raises(InvalidIdError, match="there are 2 volumes") as caught:
        session.load_volume(study_id(server))

    assert series_path(OTHER) in str(caught.value)
    assert session.load_volume(f"{study_id(server)}?series={OTHER}").shape == (3, 4, 6)
    assert session.load_volume(f"{study_id(server)}?series={SERIES}&stack=1").shape == (5, 4, 6)


def test_a_scan(server: DicomWebServer, session: Session) -> None:
    """A scan of a study asks for the metadata of each series once, and for no pixels."""
    rows = session.scan(study_id(server))
    asked = [request.path for request in server.requests if not request.path.endswith("/series")]

    assert [(row.modality, row.shape) for row in rows] == [("CT", (5, 4, 6)), ("PT", (3, 4, 6))]
    assert len(asked) == len(set(asked)) == 3
    assert all(path.endswith("/metadata") for path in asked)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_server_without_metadata_of_series(refuses: bool) -> None:
    """Where the metadata of a series are refused, those of its instances are asked for."""
    behaviour = ServerBehaviour(refuses_series_metadata=refuses)
    with DicomWebServer(contents(two_series()), behaviour=behaviour) as server, Session() as session:
        assert [row.count for row in session.scan(study_id(server))] == [5, 3]


def test_what_is_not_there(server: DicomWebServer, session: Session) -> None:
    """Studies that the server does not know, and studies without images, are typed errors."""
    with pytest.raises(FetchError) as caught:
        session.scan(study_id(server, "9.9"))
    assert caught.value.status == 404
    with DicomWebServer(contents([report()])) as other, pytest.raises(UnsupportedError, match="not an image"):
        session.scan(study_id(other))
    with pytest.raises(InvalidIdError, match="names a study"):
        session.load_image(study_id(server))


def test_all_limits_at_one() -> None:
    """The series of a study are described also where only one request may run at a time."""
    behaviour = ServerBehaviour(refuses_series_metadata=True)
    with (
        DicomWebServer(contents(two_series()), behaviour=behaviour) as server,
        Session(host_permits=1, file_permits=1, compute_permits=1) as session,
    ):
        assert [row.count for row in session.scan(study_id(server))] == [5, 3]
