"""Loading a volume by stages, with a picture of what there is after each."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from loadstone import Image, Quality
from loadstone.cli.summary import Summary
from loadstone.events import RetrieveStage, VolumeModified
from loadstone.metadata import ImagePlane
from loadstone.retrieve import INTERLEAVED, RetrieveOptions
from loadstone_wado.demo.outcome import Outcome

if TYPE_CHECKING:
    from loadstone import Session, Volume
    from loadstone_wado.demo.exhibits import Exhibit

__all__ = ["load_by_stages"]

_FIRST_BYTES: Final = 1024
"""Of the small frames of the demo, which have about ten times as many."""
_STAGES: Final = INTERLEAVED.with_options(
    multiple_fast=RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, _FIRST_BYTES)),
    multiple_final=RetrieveOptions(byte_range=(_FIRST_BYTES, None)),
)
_PICTURES: Final = 3
"""How many of the first stages are shown, beside the last."""
_NAMES: Final = {
    Quality.FULL: "final",
    Quality.SUBRESOLUTION: "coarse",
    Quality.ADJACENT_REPLICATE: "copied",
    Quality.FAR_REPLICATE: "copied",
}


def load_by_stages(session: Session, exhibit: Exhibit) -> list[Outcome]:
    """Load a volume by stages; return an outcome for each of the first ones, and for the end."""
    taken: list[Outcome] = []
    volumes: list[Volume] = []
    started = time.perf_counter()

    def take(event: RetrieveStage) -> None:
        if event.skipped < event.images and volumes:
            taken.append(_outcome(exhibit, event.stage, volumes[0], time.perf_counter() - started))

    with (
        session.subscribe(VolumeModified, lambda event: volumes.append(event.volume)),
        session.subscribe(RetrieveStage, take),
    ):
        session.load_volume(exhibit.id, retrieve=_STAGES, reload=True)
    return [*taken[:_PICTURES], taken[-1]]


def _outcome(exhibit: Exhibit, stage: str, volume: Volume, seconds: float) -> Outcome:
    counts = Counter(_NAMES.get(Quality(quality), "other") for quality in volume.quality.tolist() if quality)
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Outcome(
        replace(exhibit, what=f"{stage}: {told}"), Summary.of_volume(volume, seconds), _cut(volume)
    )


def _cut(volume: Volume) -> Image:
    """Return a copy of the plane through the middle row of all slices."""
    spacing, direction = volume.spacing, volume.direction
    plane = ImagePlane()
    if direction is not None and spacing[0] and spacing[2]:
        (along_x, along_y, along_z), _, (up_x, up_y, up_z) = direction.tolist()
        plane = ImagePlane(
            pixel_spacing=(spacing[2], spacing[0]),
            image_orientation_patient=(along_x, along_y, along_z, up_x, up_y, up_z),
        )
    pixels = np.array(volume.array[:, volume.shape[1] // 2, :])
    return Image(pixels, plane=plane, voi_lut=volume.voi_lut, scaled=True)
