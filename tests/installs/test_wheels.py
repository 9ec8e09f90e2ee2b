"""What is inside the wheels, and that it works without the repository."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import Distribution, PathDistribution
from typing import TYPE_CHECKING
from zipfile import Path as ZipPath
from zipfile import ZipFile

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from nibabel.testing import data_path
from PIL import Image as PilImage
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.installs.builders import CORE, PLUGINS, ROOT, Environment

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

pytestmark = pytest.mark.installs

FOLDERS = {CORE: ROOT / "core"} | {
    name: ROOT / "plugins" / name.removeprefix("loadstone-") for name in PLUGINS
}


def distribution(wheel: Path) -> Distribution:
    """Read the metadata of a wheel."""
    (folder,) = [each for each in ZipPath(wheel).iterdir() if each.name.endswith(".dist-info")]
    return PathDistribution(folder)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_has_all_modules_types_and_licence(wheels: dict[str, Path], name: str) -> None:
    """A wheel built from the source distribution holds the whole package, py.typed and the licence."""
    source = FOLDERS[name] / "src"
    package = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    inside = {member for member in ZipFile(wheels[name]).namelist() if ".dist-info/" not in member}
    licence = distribution(wheels[name]).read_text("licenses/LICENSE")

    assert inside == package
    assert f"{name.replace('-', '_')}/py.typed" in inside
    assert licence == (FOLDERS[name] / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "schemes"), PLUGINS.items(), ids=PLUGINS)
def test_a_wheel_declares_its_schemes(wheels: dict[str, Path], name: str, schemes: set[str]) -> None:
    """Discovery reads entry points alone, so the wheel's metadata has every scheme."""
    declared = distribution(wheels[name]).entry_points.select(group="loadstone.image_loaders")

    assert declared.names == schemes


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_asks_for_nothing_of_the_workspace(wheels: dict[str, Path], name: str) -> None:
    """Requirements name distributions and versions; no path and no address of a developer gets into them."""
    requirements = distribution(wheels[name]).requires or []

    assert requirements
    assert not [requirement for requirement in requirements if "@" in requirement or "/" in requirement]


Maker = Callable[["Path"], tuple[str, "npt.NDArray[np.generic]"]]


def png(folder: Path) -> tuple[str, npt.NDArray[np.generic]]:
    """Return a PNG of 16 bits, and what Pillow reads from it."""
    values = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1000
    PilImage.fromarray(values).save(folder / "a.png")
    return str(folder / "a.png"), values


def nifti(folder: Path) -> tuple[str, npt.NDArray[np.generic]]:
    """Return a NIfTI volume that nibabel brings along, and what nibabel reads from it."""
    path = str(data_path / "anatomical.nii")
    return path, np.asarray(Nifti1Image.from_filename(path).dataobj).T


def dicom(folder: Path) -> tuple[str, npt.NDArray[np.generic]]:
    """Return a DICOM file that pydicom brings along, and what pydicom reads from it."""
    path = str(get_testdata_file("CT_small.dcm", read=False))
    dataset = dcmread(path)
    return path, dataset.pixel_array * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)


@pytest.mark.parametrize(
    ("name", "make", "function"),
    [
        ("loadstone-nifti", nifti, "load_volume"),
        ("loadstone-wado", dicom, "load_image"),
        ("loadstone-web", png, "load_image"),
    ],
    ids=PLUGINS,
)
def test_one_plugin_loads_on_its_own(
    environment: Environment, wheels: dict[str, Path], name: str, make: Maker, function: str
) -> None:
    """A plugin's declared dependencies suffice, and what runs is the installed code, not the repository's."""
    source, expected = make(environment.folder)
    environment.install(wheels[name])
    result = environment.folder / "result.npy"

    with environment.start() as interpreter:
        made_by = interpreter.ask(f"save({function!r}, {source!r}, {str(result)!r})")
        path = interpreter.ask("sys.path")
        files = interpreter.ask(
            "[m.__file__ for name, m in sys.modules.items() if name.startswith('loadstone')]"
        )

    np.testing.assert_array_equal(np.load(result), expected)
    assert made_by == [name, distribution(wheels[name]).version]
    assert [entry for entry in path if entry.startswith((str(ROOT), sys.prefix))] == []
    assert [file for file in files if not file.startswith(str(environment.folder))] == []


def test_all_wheels_fit_together(tmp_path: Path, wheels: dict[str, Path]) -> None:
    """All four are installed at once with the pinned versions, and everything that they declare is met."""
    environment = Environment(tmp_path / "environment", *wheels.values())

    environment.check()
