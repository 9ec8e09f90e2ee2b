"""Volumes of any shape and place, as a loader would give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from core.tests.builders import make_session
from loadstone import Volume, VolumeHeader, VoxelSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from loadstone import LoadContext, VolumeId

AFFINE = np.array([[0.5, 0, 0, 10], [0, 0.75, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])


def counting(shape: tuple[int, ...], dtype: str = "u2") -> npt.NDArray[Any]:
    """Return an array of different values, as far as the dtype has them."""
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


def volume_of(
    stored: npt.NDArray[Any],
    affine: npt.NDArray[np.float64] | None = AFFINE,
    axes: tuple[str, ...] = ("k", "j", "i"),
    **fields: Any,
) -> Volume:
    """Load a volume of these voxels that lies there."""

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        array[...] = stored
        yield from range(header_count)

    colour = axes[-1] in {"rgb", "rgba"}
    header_count = int(np.prod(stored.shape[: -3 if colour else -2]))
    header = VolumeHeader(stored.shape, stored.dtype, axes, affine=affine, **fields)

    def open_volume(volume_id: VolumeId, context: LoadContext) -> list[VoxelSource]:
        return [VoxelSource(str(volume_id), header, fill)]

    with make_session() as session:
        session.registry.register_volume_loader("block", open_volume)
        return session.load_volume("block:1")


@st.composite
def rotations(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Any orthogonal matrix, left-handed ones too."""
    seed = draw(st.integers(0, 2**32 - 1))
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix * draw(st.sampled_from([(1, 1, 1), (1, 1, -1), (-1, 1, 1)]))


@st.composite
def orthogonal_affines(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """Any oblique, anisotropic, left-handed place in space without shear; LPS, mm."""
    axial = np.eye(3)[draw(st.permutations(range(3)))]
    directions = draw(st.one_of(rotations(), st.just(axial)))
    spacing = [draw(st.floats(0.05, 20)) for _ in "ijk"]
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in "xyz"]
    return affine


@st.composite
def sheared_affines(draw: st.DrawFn) -> npt.NDArray[np.float64]:
    """The same under a tilted gantry."""
    affine = draw(orthogonal_affines())
    lean = draw(st.floats(0.05, 0.9)) * draw(st.sampled_from([-1, 1]))
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    affine[:3, 2] += lean * steps[2] * affine[:3, 1] / steps[1]
    return affine


SHAPES = st.tuples(*(st.integers(1, 5) for _ in "kji"))
DTYPES = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
