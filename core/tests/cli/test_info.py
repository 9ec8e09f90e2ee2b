from __future__ import annotations

import json
from typing import TYPE_CHECKING

import loadstone
from core.tests.cli.builders import SLICES

if TYPE_CHECKING:
    from core.tests.cli.builders import Cli


def test_image_is_described_from_metadata(cli: Cli) -> None:
    """Modules of the image are shown; nothing about the patient is."""
    said = json.loads(cli("info", "toy:3", "--json").out)

    assert said["image"]["ImagePixel"]["rows"] == 4
    assert said["image"]["Scaling"] == {"slope": 1, "intercept": -1000, "units": "HU"}
    assert said["image"]["GeneralSeries"] == {"modality": "CT"}
    assert "PatientStudy" not in said["image"]


def test_no_pixels_are_loaded(cli: Cli) -> None:
    """Info asks for metadata and descriptions only."""

    def refuse(image_id: object, context: object) -> loadstone.Image:
        raise AssertionError(image_id)

    with loadstone.register_image_loader("toy", refuse, replace=True):
        said = cli("info", "toy:all")

    assert said.code == 0


def test_volumes_are_listed_with_counts(cli: Cli) -> None:
    """Each volume that is there has an id to paste and its number of images."""
    said = json.loads(cli("info", "toy:two", "--json").out)

    assert [(each["id"], each["images"]) for each in said["volumes"]] == [("toy:all", SLICES), ("toy:7", 1)]


def test_text_cannot_drive_the_terminal(cli: Cli) -> None:
    """Control characters of a header do not reach the terminal."""
    said = cli("info", "toy:all").out

    assert "\x1b" not in said
    assert "[31mtoy" in said


def test_what_is_neither_is_an_error(cli: Cli) -> None:
    """An id that names nothing fails with what was wrong."""
    said = cli("info", "no-such-scheme:1")

    assert (said.code, said.out) == (1, "")
    assert "no-such-scheme" in said.error
