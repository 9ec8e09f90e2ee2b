from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import loadstone
from core.tests.cli.builders import SLICES

if TYPE_CHECKING:
    from pathlib import Path

    from core.tests.cli.builders import Cli


def facts(text: str) -> dict[str, str]:
    """Read what a command says line by line."""
    return dict(line.rstrip().split(maxsplit=1) for line in text.splitlines() if line.strip())


def png_size(content: bytes) -> tuple[int, int]:
    """Return rows and columns from the header of a PNG."""
    return int.from_bytes(content[20:24], "big"), int.from_bytes(content[16:20], "big")


def test_image_is_described(cli: Cli) -> None:
    """An id of one image is loaded as an image; shape, dtype, spacing, units and range are said."""
    said = facts(cli("load", "toy:3").out)

    assert said["image"] == "toy:3"
    assert said["shape"] == "4x6 (j, i)"
    assert said["dtype"] == "int16"
    assert said["spacing"] == "2x1 mm"
    assert said["units"] == "HU"
    assert said["range"] == "-997 .. -900"


def test_volume_is_told_apart(cli: Cli) -> None:
    """An id of several images is loaded as a volume; spacing is along i, j, k."""
    said = facts(cli("load", "toy:all").out)

    assert said["volume"] == "toy:all"
    assert said["shape"] == f"{SLICES}x4x6 (k, j, i)"
    assert said["spacing"] == "1x2x3 mm"
    assert said["range"] == "-1000 .. -900"


@pytest.mark.parametrize(("wish", "kind"), [("image", "image"), ("volume", "volume")])
def test_kind_can_be_chosen(cli: Cli, wish: str, kind: str) -> None:
    """--as decides where an id names both."""
    said = json.loads(cli("load", "toy:3", "--as", wish, "--json").out)

    assert said["kind"] == kind


def test_frame_names_an_image(cli: Cli) -> None:
    """An id with a frame is an image, whatever else is there."""
    assert json.loads(cli("load", "toy:3?frame=1", "--json").out)["kind"] == "image"


def test_json_says_who_and_how_long(cli: Cli) -> None:
    """--json has the fields of the summary, numbers as numbers."""
    said = json.loads(cli("load", "toy:all", "--json").out)

    assert said["shape"] == [SLICES, 4, 6]
    assert said["range"] == [-1000, -900]
    assert said["milliseconds"] > 0
    assert said["plugin"]


def test_array_is_saved(cli: Cli, tmp_path: Path) -> None:
    """--save x.npy holds exactly what the library gives."""
    target = tmp_path / "toy.npy"

    said = cli("load", "toy:all", "--save", str(target))

    assert said.code == 0
    np.testing.assert_array_equal(np.load(target), loadstone.load_volume("toy:all").array)


@pytest.mark.parametrize(("choice", "index"), [((), SLICES // 2), (("--index", "1"), 1)])
def test_display_of_a_slice_is_saved(cli: Cli, tmp_path: Path, choice: tuple[str, ...], index: int) -> None:
    """--save x.png holds the display of the middle slice, or of the one that is asked for."""
    target = tmp_path / "toy.PNG"

    cli("load", "toy:all", "--save", str(target), *choice)

    content = target.read_bytes()
    assert png_size(content) == (4, 6)
    assert content == loadstone.load_image(f"toy:{index}")._repr_png_()


@pytest.mark.parametrize("name", ["toy.jpg", "toy", "no-such-folder/toy.png"])
def test_impossible_target_is_refused_before_loading(cli: Cli, tmp_path: Path, name: str) -> None:
    """What cannot be saved is a usage error, even if the id is wrong as well."""
    assert cli("load", "no-such-scheme:1", "--save", str(tmp_path / name)).code == 2


def test_index_beyond_the_volume_is_refused(cli: Cli, tmp_path: Path) -> None:
    """An image that is not there is a usage error that says which there are, and nothing is written."""
    target = tmp_path / "toy.png"

    said = cli("load", "toy:all", "--save", str(target), "--index", str(SLICES))

    assert said.code == 2
    assert f"0 to {SLICES - 1}" in said.error
    assert not target.exists()


def test_several_volumes_are_listed(cli: Cli) -> None:
    """An id of several volumes is an error that names their ids."""
    said = cli("load", "toy:two")

    assert said.code == 1
    assert "toy:all" in said.error
    assert "toy:7" in said.error


def test_what_cannot_be_written_is_one_line(cli: Cli, tmp_path: Path) -> None:
    """An error of the file system ends with 1 and one line."""
    (tmp_path / "taken.npy").mkdir()

    said = cli("load", "toy:1", "--save", str(tmp_path / "taken.npy"))

    assert said.code == 1
    assert len(said.error.splitlines()) == 1
