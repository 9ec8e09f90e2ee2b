"""A 3-D or 4-D volume: one array, where it lies in space, and how complete it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from loadstone import geometry
from loadstone.errors import GeometryError, LoadstoneError
from loadstone.interop.canonical import to_canonical
from loadstone.transport.urls import shown
from loadstone.volume.leaving import taken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import SimpleITK
    import xarray
    from nibabel.nifti1 import Nifti1Image

    from loadstone.geometry import ZSource
    from loadstone.image import Image, LoaderInfo
    from loadstone.interop import Canonical
    from loadstone.load_object import Progress
    from loadstone.metadata import Modules, VoiLut
    from loadstone.volume.assembly import Assembly

__all__ = ["Volume"]

Vector3 = tuple[float, float, float]


class Volume:
    """
    One volume.

    It is usable while it loads: a slice whose `quality` is FULL is final, one that has not arrived is zero.
    ``np.asarray(volume)`` is `array`.
    """

    def __init__(self, assembly: Assembly, loader: LoaderInfo) -> None:
        self._assembly = assembly
        self.loader = loader
        """Who made it."""

    @property
    def volume_id(self) -> str:
        """The id that loads exactly this one."""
        return self._assembly.plan.volume_id

    @property
    def array(self) -> npt.NDArray[Any]:
        """
        The voxels: C-contiguous; modality values unless ``scaled=False``; see `axes`.

        Read-only, but for volumes that were made with `Session.create_local_volume` and the like, loaded with
        ``writable=True``, or taken.
        """
        return self._assembly.block.shown

    @property
    def axes(self) -> tuple[str, ...]:
        """A name for each axis of `array`: ``k`` slice, ``j`` row, ``i`` column, ``t`` time, ``rgb``."""
        return self._assembly.plan.axes

    @property
    def coordinates(self) -> Mapping[str, geometry.Axis]:
        """
        What is known along `axes` in front of the slices, by name; empty for a 3-D volume.

        ``volume.coordinates["t"].values`` has a value for each time point, `Axis.units` their unit and
        `Axis.source` the attribute that they are.
        """
        return self._assembly.plan.coordinates

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `array`."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of `array`."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """Of `array`."""
        return self.array.nbytes

    @property
    def units(self) -> str:
        """Unit of the voxels; empty when not known."""
        return self._assembly.plan.units

    @property
    def voi_lut(self) -> VoiLut:
        """How it is meant to be shown, from its middle slice."""
        return self._assembly.plan.voi_lut

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The ids of its slices, in order."""
        return self._assembly.plan.names

    @property
    def geometry(self) -> geometry.GeometryReport:
        """Everything that was found about its geometry, with the numbers."""
        return self._assembly.plan.report

    @property
    def spacing(self) -> tuple[float | None, float | None, float | None]:
        """Distance of voxels along i, j and k in mm; None when unknown."""
        return self._assembly.plan.spacing

    @property
    def z_source(self) -> ZSource | None:
        """
        What the spacing of k is taken from: the positions of several slices, the attributes of a single one.

        One of ``"positions"``, ``"spacing_between_slices"``, ``"slice_thickness"``; None where it is unknown,
        or where a file has a transform of its own.
        """
        return self._assembly.plan.z_source

    def affine(
        self, space: Literal["LPS", "RAS"] = "LPS", index: Literal["ijk", "kji"] = "ijk"
    ) -> npt.NDArray[np.float64]:
        """
        Return the matrix from index to world.

        Parameters
        ----------
        space
            World axes: LPS as in DICOM and ITK, or RAS as in nibabel.
        index
            Order of the index vector: ``ijk`` (column, row, slice) or ``kji``, the order of the array's axes.

        Returns
        -------
        numpy.ndarray
            float64, 4 x 4, mm. ``affine @ (i, j, k, 1)`` is the centre of that voxel.

        Raises
        ------
        GeometryError
            If the place in space is unknown.
        """
        affine = self._known_affine()
        if space == "RAS":
            affine = geometry.lps_to_ras(affine)
        return geometry.index_order(affine, index)

    def _known_affine(self) -> npt.NDArray[np.float64]:
        affine = self._assembly.plan.affine
        if affine is None:
            raise GeometryError(
                "the place in space is unknown",
                source=self.volume_id,
                hint=f"What was found:\n{self.geometry}",
                report=self.geometry,
            )
        return affine

    @property
    def origin(self) -> Vector3 | None:
        """Centre of voxel (0, 0, 0), LPS, mm; None when unknown."""
        affine = self._assembly.plan.affine
        return None if affine is None else (float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3]))

    @property
    def direction(self) -> npt.NDArray[np.float64] | None:
        """``direction[n]``: the unit vector of axis n of (i, j, k), LPS; not orthogonal under gantry tilt."""
        affine = self._assembly.plan.affine
        return None if affine is None else geometry.direction_and_spacing(affine)[0]

    @property
    def slice_distance(self) -> float | None:
        """Perpendicular distance of adjacent slices in mm; None when unknown."""
        affine = self._assembly.plan.affine
        return None if affine is None else geometry.slice_distance(affine)

    @property
    def metadata(self) -> Modules:
        """What is known about its first slice."""
        return self._assembly.plan.modules(0)

    @property
    def quality(self) -> npt.NDArray[np.uint8]:
        """The `Quality` of each image, over all leading axes; 0 where nothing has arrived. A copy."""
        return self._assembly.quality.copy()

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices of the images that are not final."""
        return tuple(self._assembly.missing)

    @property
    def errors(self) -> tuple[LoadstoneError, ...]:
        """What went wrong with the missing images at the last attempt to load them; without tracebacks."""
        return self._assembly.errors

    def image(self, index: int) -> Image:
        """
        Return one slice as an image, without copying.

        Parameters
        ----------
        index
            0-based, over all leading axes of `array`: ``k``, or ``t * slices + k``.

        Raises
        ------
        IndexError
            If there is no such slice.
        """
        return self._assembly.image(range(len(self._assembly.quality))[index], self.loader)

    def header(self, index: int = 0) -> Any:  # noqa: ANN401 - a pydicom Dataset, a nibabel header, …
        """Return the header that the loader read for a slice, or None."""
        return self._assembly.header(range(len(self._assembly.quality))[index])

    def to_canonical(self, space: Literal["RAS", "LPS"] = "RAS") -> Canonical:
        """
        Return the voxels with i, j, k along x, y, z of a space, by flips and permutations of the axes only.

        Parameters
        ----------
        space
            ``RAS``: i grows to the right, j to the front, k to the head, as nearly as may be; ``LPS``: to the
            left, the back and the head.

        Returns
        -------
        Canonical
            A view of `array` and the affine that belongs to it.

        Raises
        ------
        GeometryError
            If the place in space is unknown.
        """
        return to_canonical(self, space)

    def to_nibabel(self) -> Nifti1Image:
        """
        Return the volume as a nibabel image, without copying its voxels (needs nibabel).

        Axes are those of `array` reversed: i, j, k, then time. The affine is to RAS, mm. A volume from a
        NIfTI file keeps its header, with description, intent, extensions and both forms; one that has neither
        form, or is an Analyze file, is written as such. Colour becomes RGB24 or RGBA32.

        Returns
        -------
        nibabel.nifti1.Nifti1Image
            NIfTI-2 if an axis is too long for NIfTI-1, or the volume was read from it.

        Raises
        ------
        GeometryError
            If the place in space is unknown, and the volume is no NIfTI or Analyze file that says so itself.
        UnsupportedError
            If NIfTI has no voxels of that kind, or nibabel is not installed.
        """
        from loadstone.interop.to_nibabel import to_nibabel

        return to_nibabel(self)

    def to_simpleitk(self) -> SimpleITK.Image:
        """
        Return the volume as a SimpleITK image, which copies its voxels (needs SimpleITK).

        A time axis becomes the fourth one, with its start and step in seconds.

        Raises
        ------
        GeometryError
            If the place in space is unknown, or the axes are not orthogonal, which SimpleITK cannot express.
        UnsupportedError
            If it has more than four axes, or a dtype that SimpleITK does not have, or that is not installed.
        """
        from loadstone.interop.to_simpleitk import to_simpleitk

        return to_simpleitk(self)

    def to_xarray(self) -> xarray.DataArray:
        """
        Return the volume as an `xarray.DataArray`, without copying its voxels (needs xarray).

        Its dimensions are `axes`. Coordinates of i, j, k are distances from the first voxel in mm, where the
        spacing is known; those of other axes are the values of `coordinates`; each says its ``units``. Where
        it lies stands in ``attrs["affine_lps"]``, the 16 numbers of `affine`, row by row.

        Raises
        ------
        UnsupportedError
            If xarray is not installed.
        """
        from loadstone.interop.to_xarray import to_xarray

        return to_xarray(self)

    def wait(self, index: int | None = None, timeout: float | None = None) -> Volume:
        """
        Wait, while it loads, until a slice is final, or all of them; return the volume.

        Parameters
        ----------
        index
            0-based, over all leading axes of `array`; None: all.
        timeout
            In seconds.

        Raises
        ------
        LoadstoneError
            If nothing loads it any more; its cause is what went wrong first, if anything. `load` tries again.
        LoadCycleError
            On the threads that load it: in a callback, or its loader.
        TimeoutError
            If it is not there after `timeout` seconds.
        IndexError
            If there is no such slice.
        """
        count = len(self._assembly.quality)
        self._assembly.wait(slice(None) if index is None else range(count)[index], timeout)
        return self

    def load(self, *, progress: Callable[[Progress], object] | bool | None = None) -> Volume:
        """
        Load what is missing, after a failure or a cancel; nothing that has arrived is asked for again.

        Raises
        ------
        LoadstoneError
            As in `Session.load_volume`.
        """
        return self._assembly.session.complete_volume(self, progress)

    def take(self) -> npt.NDArray[Any]:
        """
        Take the voxels out of the session and its memory budget: they are the caller's from now on.

        Returns
        -------
        numpy.ndarray
            Writable. It is `array` itself, without a copy, when nobody else was given this volume, listens to
            events of volumes, or holds a view of it.

        Raises
        ------
        LoadstoneError
            If images are missing.

        Examples
        --------
        >>> voxels = loadstone.load_volume("dicomfile:/data/ct").take()  # doctest: +SKIP
        """
        return taken(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001 - numpy's protocol
        """Return `array`."""
        return np.array(self.array, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Say what it is in one line, without names of people."""
        axes, shape = "".join(self.axes), "x".join(map(str, self.shape))
        spacing = "x".join("?" if each is None else f"{each:.4g}" for each in self.spacing)
        units = f" {self.units}" if self.units else ""
        missing = f", {len(self.missing)} missing" if self.missing else ""
        name = shown(self.volume_id)
        return f"<Volume {name} {axes} {shape} {self.dtype}{units}, ijk {spacing} mm{missing}>"
