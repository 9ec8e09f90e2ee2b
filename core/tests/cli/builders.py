"""A way to run the command line, and loaders to run it on."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import loadstone
from loadstone.hookspecs import ImageStack
from loadstone.image import Image
from loadstone.metadata import GeneralSeries, ImagePixel, ImagePlane, ModuleSet, PatientStudy, Scaling, Window
from loadstone.metadata.modules import VoiLut

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId, VolumeId

SLICES = 5


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    error: str


class Cli:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        from loadstone.cli import main

        self._capsys.readouterr()
        code = main(arguments)
        return Said(code, *self._capsys.readouterr())


def plane(number: int) -> ImagePlane:
    """Return the place of slice `number`: 3 mm apart, rows 2 mm and columns 1 mm apart."""
    return ImagePlane(
        pixel_spacing=(2.0, 1.0),
        image_position_patient=(0.0, 0.0, 3.0 * number),
        image_orientation_patient=(1, 0, 0, 0, 1, 0),
    )


def toy_image(image_id: ImageId, context: LoadContext) -> Image:
    """Return 4 x 6 pixels of the number in the id, -1000 HU when it is 0."""
    number = int(image_id.locator)
    pixels = np.full((4, 6), number, np.uint16)
    pixels[0, 0] = 100
    window = VoiLut((Window(-950, 100),))
    return Image(pixels, intercept=-1000, units="HU", bits_stored=12, plane=plane(number), voi_lut=window)


def toy_metadata(image_ids: list[ImageId], context: LoadContext) -> dict[ImageId, ModuleSet]:
    """Describe toy images."""
    return {
        image_id: ModuleSet(
            ImagePixel(4, 6, np.dtype(np.uint16), bits_stored=12),
            plane(int(image_id.locator)),
            Scaling(1, -1000, "HU"),
            GeneralSeries(modality="CT"),
            PatientStudy(patient_weight=71.5),
        )
        for image_id in image_ids
    }


def toy_volumes(volume_id: VolumeId, context: LoadContext) -> list[ImageStack]:
    """Describe what a number names: one image; ``all``: a volume; ``two``: two volumes."""
    if volume_id.rest.isdecimal():
        return [ImageStack(volume_id, (f"toy:{volume_id.rest}",))]
    stack = ImageStack("toy:all", tuple(f"toy:{number}" for number in range(SLICES)), "a \x1b[31mtoy")
    if volume_id.rest == "all":
        return [stack]
    if volume_id.rest == "two":
        return [stack, ImageStack("toy:7", ("toy:7",))]
    raise loadstone.FetchError("there is no such toy", source=volume_id, hint="Make\none.")


@contextmanager
def toys() -> Iterator[None]:
    """Load ``toy:`` ids in this process."""
    with ExitStack() as registrations:
        registrations.enter_context(loadstone.register_image_loader("toy", toy_image, metadata=toy_metadata))
        registrations.enter_context(loadstone.register_volume_loader("toy", toy_volumes))
        yield
