"""Run the benchmarks and print one table: ``python -m tests.bench [part …]``."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.cold import cold_contests
from tests.bench.contest import run
from tests.bench.dicomweb import latency_contests, nginx_contests, orthanc_contests, series_contests
from tests.bench.folders import codec_contests, folder_contests
from tests.bench.images import image_contests
from tests.bench.monai import monai_contests
from tests.bench.multiframe import multiframe_contests
from tests.bench.nifti import nifti_contests
from tests.bench.progressive import progressive_contests
from tests.bench.scanning import scan_contests
from tests.bench.table import HEAD, markdown, row

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = {
    "folder": folder_contests,
    "cold": cold_contests,
    "codecs": codec_contests,
    "multiframe": multiframe_contests,
    "scan": scan_contests,
    "series": series_contests,
    "latency": latency_contests,
    "stages": progressive_contests,
    "orthanc": orthanc_contests,
    "nginx": nginx_contests,
    "nifti": nifti_contests,
    "images": image_contests,
    "monai": monai_contests,
}
LIBRARIES = (
    "loadstone",
    "numpy",
    "imagecodecs",
    "isal",
    "pydicom",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "SimpleITK",
    "dicomweb-client",
    "highdicom",
    "nibabel",
    "Pillow",
    "imageio",
)
OPTIONAL_LIBRARIES = ("monai", "torch", "itk")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which; default: all")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each, in turn (default 5)")
    parser.add_argument(
        "--data", type=Path, default=Path("bench-data"), help="where the data is kept (default bench-data)"
    )
    parser.add_argument("--markdown", type=Path, help="a file for the same table, with the versions")
    wishes = parser.parse_args()
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    about = f"{machine}; {wishes.pairs} runs of each in turn, 3 of slow ones; {', '.join(_versions())}"
    print(about, HEAD, sep="\n\n")
    outcomes = []
    for part in wishes.parts or PARTS:
        for contest in PARTS[part](wishes.data):
            outcomes.append(run(contest, wishes.pairs))
            print(row(outcomes[-1]), flush=True)
    if wishes.markdown:
        wishes.markdown.write_text(markdown(about, outcomes), encoding="utf-8")


def _versions() -> Iterator[str]:
    for name in (*LIBRARIES, *filter(find_spec, OPTIONAL_LIBRARIES)):
        yield f"{name} {importlib.metadata.version(name)}"


if __name__ == "__main__":
    main()
