"""
Loading from archives filled with real files and series made here.

Each test runs against a real PACS, Orthanc with its DICOMweb plugin, and against the embedded server, which
must not be kinder than a real one.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from loadstone import FetchError, InvalidIdError, LoadstoneError, Quality, Session
from loadstone.transport import BasicAuth, BearerAuth
from loadstone_wado import DicomWeb
from tests.builders import ct_slice, part10, write_ct
from tests.orthanc.service import MISSING, Archive, embedded, orthanc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import numpy.typing as npt
    from pydicom.dataset import Dataset

pytestmark = pytest.mark.filterwarnings("ignore")  # of what pydicom says about the files of its wheel

KINDS: dict[str, Callable[..., AbstractContextManager[Archive]]] = {"orthanc": orthanc, "embedded": embedded}
USER = ("jane", "a secret: with a colon")
SHAPE = (12, 40, 50)
STUDY, SERIES = "1.2.3", "1.2.3.1"  # of `ct_slice`
COMPRESSED = {
    "1.2.3.2": ImplicitVRLittleEndian,
    "1.2.3.5": RLELossless,
    "1.2.3.70": JPEGLosslessSV1,
    "1.2.3.80": JPEGLSLossless,
    "1.2.3.90": JPEG2000Lossless,
    "1.2.3.201": HTJ2KLossless,
}
"""Transfer syntax by series; Orthanc answers HTJ2K with 500, or calls the codestream uncompressed."""

TWO = "1.2.3.8"
"""A series of two volumes."""
REFUSED: dict[str, set[str]] = {"orthanc": {"SC_rgb_jpeg.dcm"}, "embedded": {"badVR.dcm"}}
"""Files that are not stored."""
LOST: dict[str, set[str]] = {"orthanc": {"J2K_pixelrep_mismatch.dcm"}, "embedded": set()}
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


ENCODERS: dict[str, Callable[..., bytes | bytearray]] = {
    JPEGLosslessSV1: partial(imagecodecs.ljpeg_encode, bitspersample=12),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: partial(imagecodecs.jpeg2k_encode, codecformat="j2k", reversible=True, level=0),
    HTJ2KLossless: partial(imagecodecs.htj2k_encode, reversible=True),
}


def compressed_slices(series: str, syntax: str, folder: Path) -> Iterator[bytes]:
    """Yield the slices of the CT in `folder`, compressed, as another series."""
    encode = ENCODERS.get(syntax)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), series
        if syntax == RLELossless:
            dataset.compress(syntax, encoding_plugin="pydicom")
        elif encode is None:
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
        else:
            dataset.PixelData = encapsulate([bytes(encode(dataset.pixel_array))])
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
            dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        stream = BytesIO()
        implicit = syntax == ImplicitVRLittleEndian
        dataset.save_as(stream, enforce_file_format=True, implicit_vr=implicit, little_endian=True)
        yield stream.getvalue()


def two_orientations() -> Iterator[bytes]:
    """Yield a series that holds two volumes of one slice."""
    for number, orientation in enumerate([[1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]]):
        pixels = np.full((5, 6), number, np.uint16)
        yield part10(ct_slice(pixels, SeriesInstanceUID=TWO, ImageOrientationPatient=orientation))


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, npt.NDArray[Any]]:
    folder = tmp_path_factory.mktemp("ct")
    return folder, write_ct(folder, SHAPE).astype(np.int16) - np.int16(1024)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            "orthanc", marks=[pytest.mark.orthanc, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
        ),
        "embedded",
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def archive(
    kind: str, ct: tuple[Path, npt.NDArray[Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    folder, _ = ct
    contents = [path.read_bytes() for path in folder.iterdir()]
    for series, syntax in COMPRESSED.items():
        contents += compressed_slices(series, syntax, folder)
    contents += [*two_orientations(), *(path.read_bytes() for path in FILES.values())]
    with KINDS[kind](tmp_path_factory.mktemp(kind), contents) as filled:
        assert filled.stored == len(contents) - len(REFUSED[kind])
        yield filled


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(backoff_seconds=0.01) as running_session:
        yield running_session


def series_id(archive: Archive, series: str = SERIES) -> str:
    return f"wadors:{archive.root}/studies/{STUDY}/series/{series}"


def test_a_series(archive: Archive, ct: tuple[Path, npt.NDArray[Any]]) -> None:
    """A series is the volume that its folder is."""
    folder, values = ct
    with Session() as session:
        volume = session.load_volume(series_id(archive))
        reference = session.load_volume(folder)

    assert np.array_equal(volume.array, values)
    assert np.array_equal(volume.affine(), reference.affine())
    assert volume.units == "HU"
    assert volume.dtype == np.dtype(np.int16)


@pytest.mark.parametrize("series", COMPRESSED, ids=lambda series: UID(COMPRESSED[series]).keyword)
def test_a_compressed_series(
    archive: Archive, ct: tuple[Path, npt.NDArray[Any]], session: Session, series: str
) -> None:
    """A series in whatever syntax is the same volume, and so is each of its frames alone."""
    volume = session.load_volume(series_id(archive, series))
    frames = [session.load_image(each, scaled=False) for each in volume.image_ids[:3]]

    assert np.array_equal(volume.array, ct[1])
    assert all(np.array_equal(each.pixels, ct[1][k] + 1024) for k, each in enumerate(frames))


def test_several_clients_at_once(archive: Archive, ct: tuple[Path, npt.NDArray[Any]]) -> None:
    """Clients do not disturb each other."""

    def load(series: str) -> npt.NDArray[Any]:
        with Session() as own:
            return own.load_volume(series_id(archive, series)).array

    with ThreadPoolExecutor(4) as threads:
        volumes = list(threads.map(load, [SERIES, "1.2.3.5", SERIES, "1.2.3.5"]))

    assert all(np.array_equal(each, ct[1]) for each in volumes)


def test_searches(archive: Archive, session: Session) -> None:
    """An archive is searched for studies, series and instances, by filters, and page by page to the end."""
    web = DicomWeb(archive.root, session)
    (study,) = web.studies({"StudyInstanceUID": STUDY})
    series = web.series({"Modality": "CT"}, study=STUDY)
    instances = web.instances(study=STUDY, series=SERIES)

    assert study.study_instance_uid == STUDY
    assert {row.series_instance_uid for row in series} == {SERIES, TWO, *COMPRESSED}
    assert len(instances) == SHAPE[0]
    assert {(row.rows, row.columns) for row in instances} <= {SHAPE[1:], (None, None)}
    assert [web.instances(study=STUDY, series=SERIES, limit=5, offset=at) for at in (0, 5, 10)] == [
        instances[:5],
        instances[5:10],
        instances[10:],
    ]
    assert web.studies({"PatientID": "nobody"}) == []
    assert STUDY in {row.study_instance_uid for row in web.studies({"PatientName": "Doe*"})}
    assert len(web.studies()) == len({row.study_instance_uid for row in web.studies()})


def test_ids_of_a_series(archive: Archive, ct: tuple[Path, npt.NDArray[Any]], session: Session) -> None:
    """One call gives the ids of a series in their order, and each loads."""
    ids = DicomWeb(archive.root, session).image_ids(STUDY, SERIES)

    assert len(ids) == SHAPE[0]
    assert np.array_equal(session.load_image(ids[3]).pixels, ct[1][3])


def test_a_scan_of_a_study(archive: Archive, session: Session) -> None:
    """A scan lists the volumes of a study with their shapes, compressed or not."""
    rows = {row.id: row.shape for row in session.scan(f"wadors:{archive.root}/studies/{STUDY}")}

    assert rows[series_id(archive)] == SHAPE
    assert all(rows[series_id(archive, each)] == SHAPE for each in COMPRESSED)


@pytest.mark.parametrize("thumbnail", [False, True], ids=["rendered", "thumbnail"])
def test_pictures(archive: Archive, session: Session, thumbnail: bool) -> None:
    """Its pictures have 8 bits and the frame's shape, and leave its values alone."""
    web = DicomWeb(archive.root, session)
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


def ways(archive: Archive, path: Path) -> tuple[str, str]:
    """Return the ids of a file over WADO-RS and WADO-URI."""
    names = _names(path)
    assert names is not None
    study, series, uid = names.StudyInstanceUID, names.SeriesInstanceUID, names.SOPInstanceUID
    query = f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={uid}"
    return (
        f"wadors:{archive.root}/studies/{study}/series/{series}/instances/{uid}/frames/1",
        f"wadouri:{archive.wado}?{query}",
    )


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_of_the_wheel(archive: Archive, session: Session, kind: str, name: str) -> None:
    """What is stored is, over WADO-RS and WADO-URI, what it is from disk; or is refused on each way."""
    if name in REFUSED[kind]:
        pytest.skip("the archive does not store this file")
    for scaled in (True, False):
        here = outcome(session, f"dicomfile:{FILES[name]}", scaled=scaled)
        rs, uri = (outcome(session, way, scaled=scaled) for way in ways(archive, FILES[name]))

        assert uri == here
        assert rs[-2:] == here[-2:]
        assert rs == here or name in LOST[kind]


def test_basic_auth(kind: str, ct: tuple[Path, npt.NDArray[Any]], tmp_path: Path) -> None:
    """Credentials open every way; without them, or with others, the error says so and tells no secret."""
    folder, values = ct
    with KINDS[kind](tmp_path, [path.read_bytes() for path in folder.iterdir()], USER) as guarded:
        origin = guarded.root.rpartition("/")[0]
        ids = [series_id(guarded), ways(guarded, next(folder.iterdir()))[1]]
        with Session(auth={origin: BasicAuth(*USER)}) as session:
            assert np.array_equal(session.load_volume(ids[0]).array, values)
            assert session.load_image(ids[1]).pixels.shape == SHAPE[1:]
            assert len(DicomWeb(guarded.root, session).studies()) == 1
        for auth in ({}, {origin: BasicAuth("jane", "wrong")}, {origin: BearerAuth("x")}):
            with Session(auth=auth) as session:
                for place in ids:
                    with pytest.raises(FetchError) as caught:
                        session.load_volume(place)
                    assert caught.value.status == 401
                    assert "wrong" not in str(caught.value)
                with pytest.raises(FetchError, match="401"):
                    DicomWeb(guarded.root, session).studies()


def test_what_is_not_there(archive: Archive, session: Session) -> None:
    """Studies, series and frames that Orthanc does not have are typed errors."""
    with pytest.raises(FetchError) as caught:
        session.load_volume(series_id(archive, "9.9"))
    assert caught.value.status == 404
    with pytest.raises(LoadstoneError, match="no frame 2"):
        session.load_image(f"{session.image_ids(series_id(archive))[0].removesuffix('1')}2")
    with pytest.raises(FetchError):
        session.load_image(f"wadouri:{archive.wado}?requestType=WADO&objectUID=9.9")


def test_several_volumes_in_a_series(archive: Archive, session: Session) -> None:
    """A series of two orientations lists two ids, and each, pasted, loads."""
    with pytest.raises(InvalidIdError, match="there are 2 volumes"):
        session.load_volume(series_id(archive, TWO))
    ids = session.volume_ids(series_id(archive, TWO))

    assert sorted(int(session.load_volume(each).array[0, 0, 0]) for each in ids) == [-1024, -1023]
