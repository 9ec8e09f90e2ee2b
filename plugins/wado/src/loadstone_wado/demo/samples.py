"""Real files that come with pydicom and nibabel, and two pictures made on the spot."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from loadstone import FetchError

__all__ = ["dicom_sample", "nifti_sample", "write_pictures"]


def dicom_sample(name: str) -> Path:
    """Return the path of a DICOM file in the installed pydicom; never downloads."""
    return _sample("pydicom", f"data/test_files/{name}")


def nifti_sample(name: str) -> Path:
    """Return the path of a NIfTI file in the installed nibabel."""
    return _sample("nibabel", f"tests/data/{name}")


def _sample(package: str, name: str) -> Path:
    path = Path(str(files(package))) / name
    if not path.is_file():
        raise FetchError(
            f"the installed {package} has no {name}",
            source=str(path.parent),
            hint=f"Some distributions leave test files out: install {package} from its wheel.",
        )
    return path


def write_pictures(folder: Path) -> None:
    """Write ``grey.png`` (16 bit, rings that narrow outwards) and ``colour.jpg`` (RGB, all the colours)."""
    x, y = np.meshgrid(np.linspace(-4 / 3, 4 / 3, 320), np.linspace(-1, 1, 240))
    radius = np.hypot(x, y)
    rings = (0.5 + 0.5 * np.cos(50 * radius**2)) * 65535
    Image.fromarray(rings.astype(np.uint16)).save(folder / "grey.png")
    turn = np.arctan2(y, x)
    thirds = np.array([0, 2, 4]) * np.pi / 3
    colours = (0.5 + 0.5 * np.cos(turn[..., None] - thirds)) * np.clip(1.2 - radius, 0, 1)[..., None] * 255
    Image.fromarray(colours.astype(np.uint8)).save(folder / "colour.jpg", quality=90)
