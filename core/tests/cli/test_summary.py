from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.cli.builders import toys
from loadstone.cli.summary import Summary, middle_image
from loadstone.hookspecs import VolumeHeader, VoxelSource
from loadstone.image import Image
from loadstone.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from loadstone.context import LoadContext
    from loadstone.ids import VolumeId


@pytest.mark.parametrize(("samples", "axes"), [(3, ("j", "i", "rgb")), (4, ("j", "i", "rgba"))])
def test_colour_has_an_axis(samples: int, axes: tuple[str, ...]) -> None:
    """The axes of a colour image name its samples."""
    summary = Summary.of_image(Image(np.zeros((2, 3, samples), np.uint8)), 0.0125)

    assert summary.axes == axes
    assert summary.shape_text == f"2x3x{samples}"
    assert summary.spacing_text == "?"
    assert summary.milliseconds == 12.5


def test_middle_of_a_volume_is_at_the_first_time() -> None:
    """With several times it is the middle of the first, not of all of them."""

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        array[:] = np.arange(12).reshape(2, 6, 1, 1)
        yield from range(12)

    def described(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
        header = VolumeHeader((2, 6, 4, 5), np.dtype(np.int16), ("t", "k", "j", "i"))
        return [VoxelSource(volume_id, header, fill)]

    with Session() as session:
        session.registry.register_volume_loader("block", described)
        shown = middle_image(session.load_volume("block:1"))

        assert shown.min_value == shown.max_value == 3


def test_range_of_a_volume_is_that_of_its_images() -> None:
    """Lowest and highest value come from all slices."""
    with toys(), Session() as session:
        summary = Summary.of_volume(session.load_volume("toy:all"), 1)

    assert summary.range_text == "-1000 .. -900"
    assert summary.spacing_text == "1x2x3"
