"""Loading from a real PACS: Orthanc with its DICOMweb plugin, filled with real files and series made here."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID, HTJ2KLossless, RLELossless, generate_uid

from loadstone import FetchError, InvalidIdError, LoadstoneError, Quality, Session
from loadstone.transport import BasicAuth, BearerAuth
from loadstone_wado import DicomWeb
from tests.builders import ct_slice, part10, write_ct
from tests.orthanc.service import MISSING, Orthanc, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from pydicom.dataset import Dataset

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
    pytest.mark.filterwarnings("ignore"),
]

USER = ("jane", "a secret: with a colon")
SHAPE = (12, 40, 50)
STUDY, SERIES = "1.2.3", "1.2.3.1"  # of `ct_slice`
COMPRESSED = {"1.2.3.57": RLELossless, "1.2.3.201": HTJ2KLossless}
"""Transfer syntax by series; Orthanc answers HTJ2K with 500, or calls the codestream uncompressed."""

REFUSED_BY_ORTHANC = {"SC_rgb_jpeg.dcm"}
"""Files that it does not store."""
LOST_BY_ORTHANC = {"J2K_pixelrep_mismatch.dcm"}
"""Its Japanese character set makes Orthanc lose every decimal string with several values."""


def wheel_files() -> dict[str, Path]:
    """Return a file inside the pydicom wheel for each SOP Instance UID there, by name."""
    found: dict[str, Path] = {}
    for path in sorted((Path(pydicom.__path__[0]) / "data" / "test_files").rglob("*")):
        if path.is_file() and (names := _names(path)) is not None:
            found.setdefault(names.SOPInstanceUID, path)
    return {path.name: path for path in found.values()}


def _names(path: Path) -> Dataset | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:  # noqa: BLE001 - files that are no DICOM raise anything
            return None
    levels = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    return dataset if all(dataset.get(level) for level in levels) else None


FILES = wheel_files()


def compressed_slices(series: str, syntax: str, folder: Path) -> Iterator[bytes]:
    """Yield the slices of the CT in `folder`, compressed, as another series."""
    encode = imagecodecs.htj2k_encode if syntax == HTJ2KLossless else None
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), series
        if encode is None:
            dataset.compress(syntax, encoding_plugin="pydicom")
        else:
            dataset.PixelData = encapsulate([bytes(encode(dataset.pixel_array, reversible=True))])
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
            dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        stream = BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        yield stream.getvalue()


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, npt.NDArray[Any]]:
    folder = tmp_path_factory.mktemp("ct")
    return folder, write_ct(folder, SHAPE).astype(np.int16) - np.int16(1024)


@pytest.fixture(scope="module")
def orthanc(ct: tuple[Path, npt.NDArray[Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder, _ = ct
    with running(tmp_path_factory.mktemp("orthanc")) as service:
        assert service.store(path.read_bytes() for path in folder.iterdir()) == SHAPE[0]
        for series, syntax in COMPRESSED.items():
            assert service.store(compressed_slices(series, syntax, folder)) == SHAPE[0]
        stored = service.store(path.read_bytes() for path in FILES.values())
        assert stored == len(FILES) - len(REFUSED_BY_ORTHANC)
        yield service


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(backoff_seconds=0.01) as running_session:
        yield running_session


def series_id(orthanc: Orthanc, series: str = SERIES) -> str:
    return f"wadors:{orthanc.root}/studies/{STUDY}/series/{series}"


def test_a_series(orthanc: Orthanc, ct: tuple[Path, npt.NDArray[Any]]) -> None:
    """A series is the volume that its folder is."""
    folder, values = ct
    with Session() as session:
        volume = session.load_volume(series_id(orthanc))
        reference = session.load_volume(folder)

    assert np.array_equal(volume.array, values)
    assert np.array_equal(volume.affine(), reference.affine())
    assert volume.units == "HU"
    assert volume.dtype == np.dtype(np.int16)


@pytest.mark.parametrize("series", COMPRESSED, ids=["RLE", "HTJ2K"])
def test_a_compressed_series(
    orthanc: Orthanc, ct: tuple[Path, npt.NDArray[Any]], session: Session, series: str
) -> None:
    """A series in whatever syntax is the same volume, and so is each of its frames alone."""
    volume = session.load_volume(series_id(orthanc, series))
    frames = [session.load_image(each, scaled=False) for each in volume.image_ids[:3]]

    assert np.array_equal(volume.array, ct[1])
    assert all(np.array_equal(each.pixels, ct[1][k] + 1024) for k, each in enumerate(frames))


def test_several_clients_at_once(orthanc: Orthanc, ct: tuple[Path, npt.NDArray[Any]]) -> None:
    """Clients do not disturb each other."""

    def load(series: str) -> npt.NDArray[Any]:
        with Session() as own:
            return own.load_volume(series_id(orthanc, series)).array

    with ThreadPoolExecutor(4) as threads:
        volumes = list(threads.map(load, [SERIES, "1.2.3.57", SERIES, "1.2.3.57"]))

    assert all(np.array_equal(each, ct[1]) for each in volumes)


def test_searches(orthanc: Orthanc, session: Session) -> None:
    """Orthanc is searched for studies, series and instances, by filters, and page by page to the end."""
    web = DicomWeb(orthanc.root, session)
    (study,) = web.studies({"StudyInstanceUID": STUDY})
    series = web.series({"Modality": "CT"}, study=STUDY)
    instances = web.instances(study=STUDY, series=SERIES)

    assert study.study_instance_uid == STUDY
    assert {SERIES, *COMPRESSED} <= {row.series_instance_uid for row in series}
    assert len(instances) == SHAPE[0]
    assert {(row.rows, row.columns) for row in instances} <= {SHAPE[1:], (None, None)}
    assert [web.instances(study=STUDY, series=SERIES, limit=5, offset=at) for at in (0, 5, 10)] == [
        instances[:5],
        instances[5:10],
        instances[10:],
    ]
    assert web.studies({"PatientID": "nobody"}) == []
    assert len(web.studies()) == len({row.study_instance_uid for row in web.studies()})


def test_ids_of_a_series(orthanc: Orthanc, ct: tuple[Path, npt.NDArray[Any]], session: Session) -> None:
    """One call gives the ids of a series in their order, and each loads."""
    ids = DicomWeb(orthanc.root, session).image_ids(STUDY, SERIES)

    assert len(ids) == SHAPE[0]
    assert np.array_equal(session.load_image(ids[3]).pixels, ct[1][3])


def test_a_scan_of_a_study(orthanc: Orthanc, session: Session) -> None:
    """A scan lists the volumes of a study with their shapes, compressed or not."""
    rows = {row.id: row.shape for row in session.scan(f"wadors:{orthanc.root}/studies/{STUDY}")}

    assert rows[series_id(orthanc)] == SHAPE
    assert all(rows[series_id(orthanc, each)] == SHAPE for each in COMPRESSED)


@pytest.mark.parametrize("thumbnail", [False, True], ids=["rendered", "thumbnail"])
def test_pictures(orthanc: Orthanc, session: Session, thumbnail: bool) -> None:
    """Orthanc's pictures have 8 bits and the frame's shape, and leave its values alone."""
    web = DicomWeb(orthanc.root, session)
    frame = web.image_ids(STUDY, SERIES)[3]
    values = session.load_image(frame).pixels
    picture = web.rendered(frame, thumbnail=thumbnail)

    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim in {2, 3}
    assert picture.quality is Quality.LOSSY
    assert session.load_image(frame).pixels is values


def outcome(session: Session, image_id: str, *, scaled: bool) -> tuple[Any, ...]:
    """Return what matters of an image, or that it failed."""
    try:
        found = session.load_image(image_id, scaled=scaled)
    except LoadstoneError:
        return ("failed",)
    plane = found.plane
    shown = (found.units, found.photometric_interpretation, plane.image_position_patient, plane.pixel_spacing)
    return (*shown, found.windows, found.pixels.dtype, found.pixels.tobytes())


def ways(orthanc: Orthanc, path: Path) -> tuple[str, str]:
    """Return the ids of a file over WADO-RS and WADO-URI."""
    names = _names(path)
    assert names is not None
    study, series, uid = names.StudyInstanceUID, names.SeriesInstanceUID, names.SOPInstanceUID
    query = f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={uid}"
    return (
        f"wadors:{orthanc.root}/studies/{study}/series/{series}/instances/{uid}/frames/1",
        f"wadouri:{orthanc.origin}/wado?{query}",
    )


@pytest.mark.parametrize("name", sorted(FILES.keys() - REFUSED_BY_ORTHANC))
def test_each_file_of_the_wheel(orthanc: Orthanc, session: Session, name: str) -> None:
    """What Orthanc stores is, over WADO-RS and WADO-URI, what it is from disk; or is refused on each way."""
    for scaled in (True, False):
        here = outcome(session, f"dicomfile:{FILES[name]}", scaled=scaled)
        rs, uri = (outcome(session, way, scaled=scaled) for way in ways(orthanc, FILES[name]))

        assert uri == here
        assert rs[-2:] == here[-2:]
        assert rs == here or name in LOST_BY_ORTHANC


def test_basic_auth(ct: tuple[Path, npt.NDArray[Any]], tmp_path: Path) -> None:
    """Credentials open every way; without them, or with others, the error says so and tells no secret."""
    folder, values = ct
    with running(tmp_path, USER) as guarded:
        guarded.store(path.read_bytes() for path in folder.iterdir())
        ids = [series_id(guarded), ways(guarded, next(folder.iterdir()))[1]]
        with Session(auth={guarded.origin: BasicAuth(*USER)}) as session:
            assert np.array_equal(session.load_volume(ids[0]).array, values)
            assert session.load_image(ids[1]).pixels.shape == SHAPE[1:]
        for auth in ({}, {guarded.origin: BasicAuth("jane", "wrong")}, {guarded.origin: BearerAuth("x")}):
            with Session(auth=auth) as session:
                for place in ids:
                    with pytest.raises(FetchError) as caught:
                        session.load_volume(place)
                    assert caught.value.status == 401
                    assert "wrong" not in str(caught.value)


def test_what_is_not_there(orthanc: Orthanc, session: Session) -> None:
    """Studies, series and frames that Orthanc does not have are typed errors."""
    with pytest.raises(FetchError) as caught:
        session.load_volume(series_id(orthanc, "9.9"))
    assert caught.value.status == 404
    with pytest.raises(LoadstoneError, match="no frame 2"):
        session.load_image(f"{session.image_ids(series_id(orthanc))[0].removesuffix('1')}2")
    with pytest.raises(FetchError):
        session.load_image(f"wadouri:{orthanc.origin}/wado?requestType=WADO&objectUID=9.9")


def test_several_volumes_in_a_series(orthanc: Orthanc, session: Session) -> None:
    """A series of two orientations lists two ids, and each, pasted, loads."""
    for number, orientation in enumerate([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]]):
        dataset = ct_slice(
            np.full((5, 6), number, np.uint16),
            SeriesInstanceUID="1.2.3.8",
            ImageOrientationPatient=orientation,
        )
        orthanc.store([part10(dataset)])
    with pytest.raises(InvalidIdError, match="there are 2 volumes"):
        session.load_volume(series_id(orthanc, "1.2.3.8"))
    ids = session.volume_ids(series_id(orthanc, "1.2.3.8"))

    assert sorted(int(session.load_volume(each).array[0, 0, 0]) for each in ids) == [-1024, -1023]
