from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

import loadstone
from loadstone import FetchError, InvalidIdError, Session
from loadstone_wado import DicomWeb, InstanceRow, SeriesRow, StudyRow
from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.studies import SERIES, STUDY, asked, contents, ct_series, modality_values

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMED = {
    "PatientName": "Doe^Jane",
    "PatientID": "4711",
    "StudyDate": "20240215",
    "StudyTime": "101112",
    "StudyDescription": "Thorax",
    "SeriesDescription": "lung",
    "SeriesNumber": 3,
    "AccessionNumber": "A1",
}


@pytest.fixture
def server() -> Iterator[DicomWebServer]:
    other = {"SeriesInstanceUID": "1.2.3.2", "Modality": "PT"}
    datasets = [*ct_series(5, **NAMED), *ct_series(1, SOPInstanceUID="1.2.3.2.1", **(NAMED | other))]
    with DicomWebServer(contents(datasets)) as running:
        yield running


@pytest.fixture
def web(server: DicomWebServer) -> Iterator[DicomWeb]:
    with Session() as session:
        yield DicomWeb(server.url, session)


def test_studies(web: DicomWeb) -> None:
    """A study is a row with values of Python's types, and everything that the server said."""
    (row,) = web.studies({"PatientID": "4711"})

    assert isinstance(row, StudyRow)
    assert (row.study_instance_uid, row.description, row.modalities) == (STUDY, "Thorax", ("CT", "PT"))
    assert (row.study_date, row.study_time) == (dt.date(2024, 2, 15), dt.time(10, 11, 12))
    assert (row.number_of_series, row.number_of_instances) == (2, 6)
    assert (row.patient_name, row.patient_id, row.accession_number) == ("Doe^Jane", "4711", "A1")
    assert row.json["00100020"]["Value"] == ["4711"]


def test_filters_narrow_the_search(web: DicomWeb) -> None:
    """What does not match is not found, whatever level is searched."""
    assert web.studies({"PatientID": "4712"}) == []
    assert len(web.studies({"PatientName": "Doe*", "StudyDate": "20240101-20241231"})) == 1
    assert [row.series_instance_uid for row in web.series({"Modality": "PT"})] == ["1.2.3.2"]
    assert [
        row.instance_number for row in web.instances({"InstanceNumber": 3}, study=STUDY, series=SERIES)
    ] == [3]
    assert len(web.series({"0008103E": "lung"}, study=STUDY)) == 2


def test_series(web: DicomWeb) -> None:
    """A series in or outside of its study is the same row, and its id loads it."""
    rows = web.series(study=STUDY)

    assert [(row.modality, row.series_number, row.description) for row in rows] == [
        ("CT", 3, "lung"),
        ("PT", 3, "lung"),
    ]
    assert [row.number_of_instances for row in rows] == [5, 1]
    assert all(isinstance(row, SeriesRow) for row in rows)
    assert [row.id for row in rows] == [row.id for row in web.series()]
    assert np.array_equal(web.session.load_volume(rows[0].id).array, modality_values())


def test_instances(web: DicomWeb) -> None:
    """An instance is a row, and its id loads its first frame."""
    row = next(each for each in web.instances(study=STUDY, series=SERIES) if each.instance_number == 2)

    assert isinstance(row, InstanceRow)
    assert (row.rows, row.columns) == (4, 6)
    assert np.array_equal(web.session.load_image(row.id).pixels, modality_values()[2])
    assert len(web.instances(study=STUDY)) == len(web.instances()) == 6


def test_limit_and_offset(web: DicomWeb) -> None:
    """Rows are counted through all pages."""
    everything = web.instances(study=STUDY, series=SERIES)

    assert web.instances(study=STUDY, series=SERIES, limit=2) == everything[:2]
    assert web.instances(study=STUDY, series=SERIES, limit=2, offset=2) == everything[2:4]
    assert web.instances(study=STUDY, series=SERIES, offset=4) == everything[4:]


def test_more_attributes(web: DicomWeb) -> None:
    """`include` asks for attributes that are not usual."""
    (usual,) = web.instances({"InstanceNumber": 1}, study=STUDY, series=SERIES)
    (more,) = web.instances(
        {"InstanceNumber": 1}, study=STUDY, series=SERIES, include=["SliceThickness", "PixelSpacing"]
    )

    assert "00280030" not in usual.json
    assert more.json["00280030"]["Value"] == [0.5, 0.75]


def test_fuzzy_matching_that_is_not_done(web: DicomWeb) -> None:
    """A server that cannot do it says so, and the caller is warned."""
    with pytest.warns(UserWarning, match="by their sound"):
        assert web.studies({"PatientName": "Dough*"}, fuzzy=True) == []


def test_image_ids_of_a_series(web: DicomWeb, server: DicomWebServer) -> None:
    """One request gives all ids, and what is known of them: a frame then costs one request for its pixels."""
    ids = web.image_ids(STUDY, SERIES)
    before = asked(server)
    image = web.session.load_image(ids[3])

    assert before == ["/metadata"]
    assert len(asked(server)) == 2
    assert np.array_equal(image.pixels, modality_values()[3])


def test_credentials() -> None:
    """A search goes out with the credentials of its session, and an error tells no filter."""
    guarded = DicomWebServer(contents(ct_series(1)), behaviour=ServerBehaviour(bearer_token="secret"))
    with guarded as server, Session() as session, pytest.raises(FetchError) as caught:
        DicomWeb(server.url, session).studies({"PatientName": "Doe^Jane"})

    assert caught.value.status == 401
    assert "Doe" not in str(caught.value)


def test_names_of_people_are_not_shown(web: DicomWeb) -> None:
    """What is printed of rows and of the service holds nothing of the patient, and no credentials."""
    printed = repr([web.studies(), web.series(), web.instances()])

    assert "Doe" not in printed
    assert "4711" not in printed
    assert "secret" not in repr(DicomWeb("https://jane:secret@pacs.example.org/dicom-web"))


def test_the_default_session(server: DicomWebServer) -> None:
    """Without a session it is the one that the functions of the package use."""
    assert DicomWeb(server.url).session is loadstone.default_session()


@pytest.mark.parametrize("url", ["pacs", "ftp://pacs", "http://pacs/dw?x=1"])
def test_what_is_no_service(url: str) -> None:
    """A root that is no http(s) URL is refused at once."""
    with pytest.raises(loadstone.LoadstoneError):
        DicomWeb(url)


def test_what_is_no_uid(web: DicomWeb) -> None:
    """A UID never leads out of its place in the URL."""
    for study, series in (("1/../2", None), ("1?x", None), ("", None), (STUDY, "#")):
        with pytest.raises(InvalidIdError, match="is no UID"):
            web.instances(study=study, series=series)
    with pytest.raises(InvalidIdError, match="by its study"):
        web.instances(series=SERIES)
