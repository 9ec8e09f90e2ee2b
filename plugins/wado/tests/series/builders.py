"""Series of several time points, echoes and segments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from loadstone_wado.instance import Instance
from loadstone_wado.series import Member, stacks_of
from plugins.wado.tests.builders import SETTINGS, image, item
from plugins.wado.tests.studies import SERIES, SHAPE, STUDY, ct_slice, uid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydicom.dataset import Dataset

    from loadstone import ImageStack


def members(*datasets: Dataset) -> list[Member]:
    """Return the objects as a loader finds them; images are named after the last part of their UID."""
    return [
        Member(Instance.from_dataset(each, SETTINGS), partial("x:{0}/{1}".format, each.SOPInstanceUID[8:]))
        for each in datasets
    ]


def stacks(*datasets: Dataset) -> list[ImageStack]:
    """Return the volumes that objects form."""
    return stacks_of(members(*datasets), "x:place")


def stack(*datasets: Dataset) -> ImageStack:
    """Return the only one."""
    (found,) = stacks(*datasets)
    return found


def in_time(
    slices: int, times: int, tell: Callable[[int, int], dict[str, Any]], *, shuffled: int = 0
) -> list[Dataset]:
    """
    Return slices at several times, in disorder.

    Parameters
    ----------
    slices, times
        How many.
    tell
        Slice and time to the attributes that tell the time.
    shuffled
        Seed of the order.
    """
    found = [
        ct_slice(
            k,
            Modality="MR",
            SOPInstanceUID=uid(t * slices + k),
            InstanceNumber=t * slices + k + 1,
            **tell(k, t),
        )
        for t in range(times)
        for k in range(slices)
    ]
    return [found[index] for index in np.random.default_rng(shuffled).permutation(len(found))]


def multi_frame(frames: Sequence[Dataset], sop_class: str, **attributes: Any) -> Dataset:
    """Return a multi-frame object with these functional groups for its frames."""
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.5)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    defaults: dict[str, Any] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(0),
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "FrameOfReferenceUID": "1.2.3.9",
        "Modality": "MR",
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": list(frames),
    }
    pixels = (
        np.zeros((len(frames), *SHAPE), np.uint16) + np.arange(len(frames), dtype=np.uint16)[:, None, None]
    )
    return image(pixels, frames=len(frames), **(defaults | attributes))


def frame(k: int, *indices: int, **groups: Any) -> Dataset:
    """Return the functional groups of a frame at a slice, with its dimension index values."""
    content = groups.pop("content", {})
    if indices:
        content["DimensionIndexValues"] = list(indices)
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=[-10, 20, 2.5 * k])],
        FrameContentSequence=[item(**content)],
        **groups,
    )


def dimensions(*pointers: int) -> list[Dataset]:
    """Return a dimension index sequence."""
    return [item(DimensionIndexPointer=pointer) for pointer in pointers]
