"""Code as a user writes it; mypy says what each thing is."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import SimpleITK
import xarray
from nibabel.nifti1 import Nifti1Image

import loadstone
from loadstone import (
    GeometryError,
    GeometryPolicy,
    Image,
    LoadObject,
    LoadstoneError,
    PluginPolicy,
    Progress,
    Quality,
    RequestType,
    SeriesInfo,
    Session,
    Settings,
    Volume,
    Window,
)
from loadstone.events import ImageLoaded, RetrieveStage, VolumeModified
from loadstone.geometry import GeometryReport
from loadstone.interop import Canonical
from loadstone.metadata import ImagePlane, Scaling
from loadstone.retrieve import INTERLEAVED, RetrieveConfiguration, RetrieveOptions, Stage
from loadstone.transport import BasicAuth, BearerAuth
from loadstone_wado import DicomWeb, StudyRow, register_object


def images() -> None:
    """Images come from ids and paths."""
    image = loadstone.load_image("dicomfile:slice.dcm", dtype=np.float32, cache=False)
    assert_type(image, Image)
    assert_type(image.pixels, npt.NDArray[Any])
    assert_type(image.pixel_spacing, tuple[float, float] | None)
    assert_type(image.plane, ImagePlane)
    assert_type(image.windows, tuple[Window, ...])
    assert_type(image.quality, Quality)
    assert_type(image.display(window=(40, 400)), npt.NDArray[np.uint8])
    assert_type(np.asarray(image), npt.NDArray[Any])
    assert_type(loadstone.load_image(Path("slice.dcm"), progress=True).min_value, float)


def volumes() -> None:
    """Volumes know their place in space, or that they do not."""
    volume = loadstone.load_volume("dicomfile:ct", geometry=GeometryPolicy(gap="ignore"), errors="collect")
    assert_type(volume, Volume)
    assert_type(volume.affine(space="RAS", index="kji"), npt.NDArray[np.float64])
    assert_type(volume.spacing, tuple[float | None, float | None, float | None])
    assert_type(volume.origin, tuple[float, float, float] | None)
    assert_type(volume.geometry, GeometryReport)
    assert_type(volume.image(0), Image)
    assert_type(volume.metadata.get(Scaling), Scaling | None)
    assert_type(volume.load(progress=print), Volume)
    assert_type(loadstone.load_volumes("dicomfile:study"), list[Volume])
    assert_type(loadstone.volume_ids("dicomfile:study"), list[str])


def by_stages() -> None:
    """Stages are values; a volume is waited for slice by slice."""
    coarse = RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, 65536))
    stages = RetrieveConfiguration.of([Stage("all", retrieve_type="fast")], fast=coarse)
    assert_type(stages.options_of(stages.stages[0]), RetrieveOptions)
    assert_type(loadstone.load_volume("wadors:https://pacs/1", retrieve=stages).wait(index=3), Volume)
    assert_type(loadstone.load_image("dicomfile:a.dcm", retrieve="byte-ranges"), Image)
    ended: list[RetrieveStage] = []
    with Session() as session, session.subscribe(RetrieveStage, ended.append):
        session.retrieve.set("1.2.840.10008.1.2.4.202", INTERLEAVED)


def other_libraries() -> None:
    """Volumes go to other libraries as these know them."""
    volume = loadstone.load_volume("nifti:t1.nii", writable=True)
    assert_type(volume.to_canonical("RAS"), Canonical)
    assert_type(volume.to_canonical().affine, npt.NDArray[np.float64])
    assert_type(volume.to_nibabel(), Nifti1Image)
    assert_type(volume.to_simpleitk(), SimpleITK.Image)
    assert_type(volume.to_xarray(), xarray.DataArray)


def what_is_there() -> None:
    """Rows of a scan and of a search have values with types."""
    table = loadstone.scan("dicomfile:study")
    assert_type(table[0], SeriesInfo)
    assert_type([row.shape for row in table], list[tuple[int, ...]])
    web = DicomWeb("https://pacs.example.org/dicom-web")
    assert_type(web.studies({"PatientID": "4711", "StudyDate": dt.date(2024, 2, 1)}), list[StudyRow])
    assert_type(web.series({"Modality": "CT"}, study="1.2.3", limit=10)[0].series_number, int | None)
    assert_type(web.rendered(web.image_ids("1.2", "1.2.3")[0], window=(40, 400), size=(64, 64)), Image)
    with register_object(io.BytesIO(b"DICM")) as stored:
        assert_type(stored.id, str)


def load_objects() -> None:
    """A handle has the type of what it is a handle on."""
    load: LoadObject[Volume] = loadstone.request_volume("dicomfile:ct", type=RequestType.PREFETCH, priority=3)
    assert_type(load.partials(), Iterator[Volume])
    assert_type(load.progress, Progress)
    assert_type(load.exception(timeout=1), LoadstoneError | None)
    load.add_done_callback(lambda done: print(done.result().shape))  # noqa: T201 - a user's callback
    load.cancel()


async def coroutines() -> None:
    """A handle can be awaited."""
    assert_type(await loadstone.request_image("dicomfile:slice.dcm"), Image)
    assert_type(await loadstone.request_volume("dicomfile:ct"), Volume)


def sessions() -> None:
    """A session has its own settings, credentials and plugins; events come with their type."""
    with Session(
        Settings(cache_bytes=2**30),
        auth={"https://pacs.example.org": BearerAuth(lambda: "token"), "http://old": BasicAuth("me", "…")},
        plugins=PluginPolicy(disabled=frozenset({"loadstone-web"})),
        attempts=2,
    ) as session:
        assert_type(session, Session)
        assert_type(session.metadata.get("dicomfile:slice.dcm", ImagePlane), ImagePlane | None)
        assert_type(session.cache.stats().kept, int)

        def report(event: VolumeModified) -> None:
            assert_type(event.indices, tuple[int, ...])

        with session.subscribe(VolumeModified, report):
            session.release(session.create_volume("dicomfile:ct"))
        end = session.subscribe(ImageLoaded, lambda event: assert_type(event.image, Image))
        end()


def errors() -> None:
    """An error has what is needed to go on."""
    try:
        loadstone.load_volume("dicomfile:ct")
    except GeometryError as error:
        assert_type(error.report, GeometryReport | None)
    except LoadstoneError as error:
        assert_type(error.volume, Volume | None)
        assert_type(error.missing, tuple[int, ...])
