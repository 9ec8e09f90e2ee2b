"""
Images and volumes that a program makes itself: from arrays, or beside loaded ones, such as label maps.

They have ids of the scheme ``local``, count in the budget, and stay until they are released. Their arrays are
the program's own to write to; whoever loads the id meanwhile gets what is in them.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import InvalidIdError, LoadstoneError
from loadstone.events import ImageCached, ImageEvicted, VolumeCached, VolumeEvicted
from loadstone.hookspecs import ImageLoader, VolumeHeader, VolumeLoader, VoxelSource
from loadstone.ids import ImageId, VolumeId
from loadstone.image import Image, LoaderInfo, Quality
from loadstone.image_loading import ImageMemory, checked_image, plan_for, scaled_apart
from loadstone.image_requests import image_key
from loadstone.metadata import GeneralSeries, ImagePixel, Modules, ModuleSet, Scaling
from loadstone.options import LoadOptions
from loadstone.volume.assembly import Assembly
from loadstone.volume.plan import COLOR_AXES, plan_of_source
from loadstone.volume.volume import Volume
from loadstone.volume.wish import VolumeWish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from loadstone._plugins import ImageRegistration, Registry
    from loadstone.context import LoadContext
    from loadstone.session import Session
    from loadstone.volume.memory import Allocation

__all__ = [
    "LABELS",
    "SCHEME",
    "derived_image",
    "derived_volume",
    "local_image",
    "local_volume",
    "release_image",
]

SCHEME: Final = "local"
LOCAL: Final = LoaderInfo("loadstone.local", "loadstone")
LABELS: Final = np.dtype(np.uint8)
"""Of a label map: one number for each structure, 0 where there is none."""

_AXES: Final = {3: ("k", "j", "i"), 4: ("t", "k", "j", "i")}


def local_volume(
    session: Session,
    array: npt.ArrayLike,
    volume_id: str | None,
    *,
    affine: npt.NDArray[np.float64] | None,
    spacing: tuple[float | None, float | None, float | None],
    axes: Sequence[str] | None,
    units: str,
    allocate: Allocation,
) -> Volume:
    """Make a volume of a copy of an array; see `Session.create_local_volume`."""
    values = np.asarray(array)
    named = _AXES.get(values.ndim) if axes is None else tuple(axes)
    if named is None:
        raise LoadstoneError(
            f"the array has {values.ndim} dimensions",
            hint="Name its axes, for example axes=('k', 'j', 'i', 'rgb').",
        )
    header = VolumeHeader(
        shape=values.shape,
        dtype=_native(values),
        axes=named,
        affine=affine,
        spacing=spacing,
        scaling=Scaling(units=units),
    )
    return _made(session, _identity(volume_id), header, values, allocation=allocate)


def derived_volume(
    session: Session, volume: Volume, dtype: npt.DTypeLike | None, volume_id: str | None
) -> Volume:
    """Make a volume of zeros where another one lies; see `Session.create_derived_volume`."""
    plan = volume._assembly.plan
    colored = plan.axes[-1] in COLOR_AXES
    axes, shape = (plan.axes[:-1], plan.shape[:-1]) if colored else (plan.axes, plan.shape)
    header = VolumeHeader(
        shape=shape,
        dtype=volume.dtype if dtype is None else _number_type(dtype),
        axes=axes,
        coordinates=tuple(axis for name, axis in plan.coordinates.items() if name in axes),
        affine=plan.affine,
        spacing=plan.spacing,
        series=plan.modules(0).get(GeneralSeries) or GeneralSeries(),
        findings=plan.report.findings,
    )
    return _made(
        session,
        _identity(volume_id),
        header,
        planes=lambda index: ModuleSet(plan.plane(index), header.series),
        allocation=volume._assembly.allocation,
    )


def local_image(session: Session, image: Image | npt.ArrayLike, image_id: str | None) -> Image:
    """Make an image of a copy of its pixels; see `Session.create_local_image`."""
    identity = _identity(image_id)
    given = image if isinstance(image, Image) else Image(np.asarray(image))
    given = checked_image(replace(given, pixels=np.asarray(given.pixels, _native(given.pixels))), identity)
    key = image_key(ImageId(identity), _registered(session.registry), LoadOptions.of())
    _refuse_taken(session, key, identity)
    memory = ImageMemory(session.cache, session.settings)
    try:
        pixels = scaled_apart(plan_for(given, LoadOptions.of()), given, memory)
        made = replace(
            given, pixels=pixels, image_id=identity, scaled=True, quality=Quality.FULL, loader=LOCAL
        )
        reservation = memory.settle(made.nbytes)
        if reservation is not None:
            dropped = partial(session.events.emit, ImageEvicted(made))
            reservation.commit(key, made, dropped=dropped, pins=1)
    finally:
        memory.release()
    session.events.emit(ImageCached(made))
    return made


def derived_image(session: Session, image: Image, dtype: npt.DTypeLike | None, image_id: str | None) -> Image:
    """Make an image of zeros where another one lies; see `Session.create_derived_image`."""
    wanted = image.pixels.dtype if dtype is None else _number_type(dtype)
    blank = np.zeros(image.pixels.shape[:2], wanted)
    return local_image(session, Image(blank, plane=image.plane), image_id)


def release_image(session: Session, image: Image) -> None:
    """Take one protection of a local image back."""
    key = image_key(ImageId(image.image_id), _registered(session.registry), LoadOptions.of())
    reservation = session.cache.withdraw(key, image)
    if reservation is not None:
        reservation.release()


def _identity(wanted: str | None) -> str:
    if wanted is None:
        return f"{SCHEME}:{os.urandom(16).hex()}"
    if VolumeId(wanted).scheme != SCHEME or "?" in wanted or wanted == f"{SCHEME}:":
        raise InvalidIdError(
            "this is no name of a local image or volume",
            source=wanted,
            hint=f"Write '{SCHEME}:' and a name without '?', or leave it out.",
        )
    return wanted


def _native(values: npt.NDArray[Any]) -> np.dtype[Any]:
    return values.dtype.newbyteorder("=")


def _number_type(dtype: npt.DTypeLike) -> np.dtype[Any]:
    wanted = LoadOptions.of(dtype=dtype).dtype
    return LABELS if wanted is None else wanted


def _refuse_taken(session: Session, key: Any, identity: str) -> None:  # noqa: ANN401 - of either kind
    if key in session.cache:
        raise LoadstoneError("there is one of that name already", source=identity, hint="Release it first.")


def _made(
    session: Session,
    volume_id: str,
    header: VolumeHeader,
    values: npt.NDArray[Any] | None = None,
    *,
    planes: Callable[[int], Modules] | None = None,
    allocation: Allocation,
) -> Volume:
    """Make a volume, charged and pinned."""
    _registered(session.registry)
    source = _source_of(volume_id, header, lambda: volume)
    plan = plan_of_source(source, LoadOptions.of())
    plan = plan if planes is None else replace(plan, modules=planes)
    key = VolumeWish().key(volume_id)
    _refuse_taken(session, key, volume_id)
    reservation = session.cache.reserve(plan.nbytes if allocation == "ram" else 0)
    try:
        assembly = Assembly(
            session,
            plan,
            LoadOptions.of(),
            chosen=source,
            key=key,
            reservation=reservation,
            allocation=allocation,
        )
        if values is not None:
            np.copyto(assembly.block.array, values, casting="unsafe")
        assembly.give_away()
        volume = Volume(assembly, LOCAL)
        session.views.add(volume)
        reservation.commit(key, volume, dropped=partial(_dropped, volume), pins=1, loose=allocation == "file")
    finally:
        reservation.release()
    session.events.emit(VolumeCached(volume))
    return volume


def _dropped(volume: Volume) -> None:
    session = volume._assembly.session
    session.views.remove(volume)
    session.events.emit(VolumeEvicted(volume))


def _source_of(volume_id: str, header: VolumeHeader, volume: Callable[[], Volume]) -> VoxelSource:
    """Describe a volume that is filled by copying one that is there."""

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
        given = volume().array.reshape(-1, *array.shape[1 - array.ndim :][-_image_axes(header.axes) :])
        into = array.reshape(given.shape)
        for index in range(len(given)):
            into[index] = given[index]
            yield index

    images = math.prod(header.shape[: -_image_axes(header.axes)])
    ids = tuple(f"{volume_id}?frame={index}" for index in range(images))
    return VoxelSource(volume_id, header, fill, image_ids=ids)


def _image_axes(axes: Sequence[str]) -> int:
    return 3 if axes[-1] in COLOR_AXES else 2


def _registered(registry: Registry) -> ImageRegistration:
    """Return the loader of local images, registered in the session when it first makes one."""
    if SCHEME not in registry.image_schemes():
        registry.register_image_loader(SCHEME, ImageLoader(SCHEME, _load, metadata=_describe))
        registry.register_volume_loader(SCHEME, VolumeLoader(SCHEME, _open))
    return registry.image_loader(SCHEME)


def _open(volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
    volume = _volume(volume_id, context)
    plan = volume._assembly.plan
    header = VolumeHeader(
        shape=plan.shape,
        dtype=volume.dtype,
        axes=plan.axes,
        coordinates=tuple(plan.coordinates.values()),
        affine=plan.affine,
        spacing=plan.spacing,
        scaling=Scaling(units=plan.units),
        series=plan.modules(0).get(GeneralSeries) or GeneralSeries(),
        findings=plan.report.findings,
    )
    return [_source_of(volume_id, header, lambda: volume)]


def _load(image_id: ImageId, context: LoadContext) -> Image:
    """Give what an image holds at this moment."""
    name, selection = image_id.selections("frame")
    if not selection:
        key = image_key(image_id, _registered(context.session.registry), LoadOptions.of())
        image: Image | None = context.session.cache.peek(key)
        if image is None:
            raise _gone(image_id)
        return image
    volume = _volume(VolumeId(f"{SCHEME}:{name}"), context)
    index = image_id.number("frame", selection["frame"], least=0)
    if index >= len(volume.image_ids):
        raise InvalidIdError(f"the volume has {len(volume.image_ids)} images, from 0 on", source=image_id)
    return volume.image(index)


def _describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    return {image_id: _modules(_load(image_id, context)) for image_id in image_ids}


def _modules(image: Image) -> Modules:
    samples = image.pixels.shape[2] if image.is_color else 1
    return ModuleSet(
        image.plane,
        ImagePixel(image.rows, image.columns, image.pixels.dtype, samples, image.photometric_interpretation),
        Scaling(units=image.units),
        image.voi_lut,
    )


def _volume(volume_id: VolumeId, context: LoadContext) -> Volume:
    volume: Volume | None = context.session.cache.get(VolumeWish().key(volume_id))
    if volume is None:
        raise _gone(volume_id)
    return volume


def _gone(identity: str) -> InvalidIdError:
    return InvalidIdError(
        "there is no local image or volume of that name", source=identity, hint="It may have been released."
    )
