"""The stage of the demo: a temporary folder, two servers on loopback, and what there is to load from them."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import loadstone
from loadstone_wado.demo.exhibits import (
    SERVED,
    Exhibit,
    from_disk,
    from_niftis,
    from_pictures,
    over_wado_rs,
    over_wado_uri,
)
from loadstone_wado.demo.file_server import serving_files
from loadstone_wado.demo.samples import dicom_sample, nifti_sample, write_pictures
from loadstone_wado.demo.series import write_series
from loadstone_wado.server import DicomWebServer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exhibition", "loopback_without_proxy"]


@contextmanager
def exhibition() -> Iterator[list[Exhibit]]:
    """Give what can be loaded with the installed plugins; ends servers and removes files at the end."""
    schemes = _usable_schemes()
    with TemporaryDirectory(prefix="loadstone-demo-") as name:
        dicoms, others = Path(name, "dicom"), Path(name, "files")
        dicoms.mkdir()
        others.mkdir()
        series = write_series(dicoms)
        for sample in SERVED:
            shutil.copy(dicom_sample(sample), dicoms)
        shutil.copy(nifti_sample("functional.nii"), others)
        write_pictures(others)
        with DicomWebServer(dicoms) as server, serving_files(others) as files_url:
            yield [
                *over_wado_rs(server, series),
                *over_wado_uri(server),
                *from_disk(),
                *(from_niftis(files_url) if "nifti" in schemes else ()),
                *(from_pictures(files_url) if "web" in schemes else ()),
            ]


def _usable_schemes() -> frozenset[str]:
    loaders = (each for each in loadstone.plugins() if each.group == "loadstone.image_loaders")
    return frozenset(each.name for each in loaders if each.state in {"available", "active"})


@contextmanager
def loopback_without_proxy() -> Iterator[None]:
    """Talk to 127.0.0.1 directly, whatever proxy the environment names."""
    before = os.environ.get("no_proxy")
    os.environ["no_proxy"] = "127.0.0.1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["no_proxy"]
        else:
            os.environ["no_proxy"] = before
