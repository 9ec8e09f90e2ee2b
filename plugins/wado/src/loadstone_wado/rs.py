"""``wadors:``: frames, instances, series and studies over WADO-RS."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from loadstone import DecodeError, FetchError, IntegrityError, StashKey, UnsupportedError
from loadstone_wado.decode import decode_frame, load_frame
from loadstone_wado.dicomweb.metadata import instance_at, series_at, series_of
from loadstone_wado.dicomweb.retrieve import fetch_frame, fetch_instance
from loadstone_wado.dicomweb.wanted import wanted_by_series
from loadstone_wado.ids import RsUrl, Selection
from loadstone_wado.modules import frame_modules
from loadstone_wado.rs_stages import load_stage
from loadstone_wado.series import LeftOut, Member, stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone import Image, ImageId, ImageStack, LoadContext, VolumeId
    from loadstone.metadata import Modules
    from loadstone_wado.instance import Instance

__all__ = ["canonical", "gives_frames", "instance_of", "load", "metadata", "open_volumes"]

_NO_FRAMES: Final = frozenset({400, 404, 405, 406, 415, 500, 501})
"""Statuses with which servers say that they give no frames (of this instance)."""

_WITHOUT_FRAMES: StashKey[set[str]] = StashKey()
"""URLs of series whose frames have to be taken out of whole instances."""


def canonical(image_id: ImageId) -> str:
    """Name a frame in one way."""
    url = RsUrl.of_image(image_id)
    return f"wadors:{url.frame_url}{url.query}"


def instance_of(image_id: ImageId, context: LoadContext) -> Instance:
    """Return the object that a frame is of."""
    return instance_at(RsUrl.of_image(image_id), context)


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame."""
    return _load(RsUrl.of_image(image_id), context)


def gives_frames(url: RsUrl, context: LoadContext) -> bool:
    """Say whether frames of that series may be asked for, as far as is known."""
    return url.series_url not in context.session.stash.setdefault(_WITHOUT_FRAMES, set)


def _load(url: RsUrl, context: LoadContext) -> Image:
    instance = instance_at(url, context)
    instance.frame(url.frame)
    if not gives_frames(url, context):
        return _load_from_instance(url, context)
    staged = load_stage(url, instance, context)
    if staged is not None:
        return staged
    try:
        encoded = fetch_frame(url, instance.layout, context)
    except (FetchError, IntegrityError, DecodeError) as error:
        if isinstance(error, FetchError) and error.status not in _NO_FRAMES:
            raise
        try:
            image = _load_from_instance(url, context)
        except (FetchError, DecodeError):
            raise error from None
        context.session.stash[_WITHOUT_FRAMES].add(url.series_url)
        return image
    with context.computing():
        return decode_frame(
            instance,
            url.frame,
            encoded,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )


def _load_from_instance(url: RsUrl, context: LoadContext) -> Image:
    """Take the frame out of the whole object, which describes itself."""
    part10 = fetch_instance(url, context)
    with context.computing():
        return load_frame(
            part10.frames,
            url.frame,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe frames: those of several instances of a series with one request, else by the instance."""
    scaled, values = context.options.scaled, context.options.values
    for wanted in wanted_by_series(image_ids):
        if len(wanted.instances) > 1:
            series_at(wanted.url, context)
    urls = {image_id: RsUrl.of_image(image_id) for image_id in image_ids}
    return {
        image_id: frame_modules(instance_at(url, context), url.frame, scaled=scaled, values=values)
        for image_id, url in urls.items()
    }


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """
    Describe the volumes of a study, a series or an instance.

    Raises
    ------
    InvalidIdError
        If the id is no such URL, or its selections match nothing.
    UnsupportedError
        If there is no image.
    LoadstoneError
        As `series_at` and `instance_at`.
    """
    rest, selection = Selection.of(volume_id, "series", "stack")
    url = RsUrl.of_volume(volume_id, rest)
    if not url.series:
        return _volumes_of_study(url, selection, context)
    instances = {url.instance: instance_at(url, context)} if url.instance else series_at(url, context)
    return _volumes_of(instances, url, rest, selection)


def _volumes_of_study(url: RsUrl, selection: Selection, context: LoadContext) -> list[ImageStack]:
    """Describe the volumes of all series that have images, or of the one that is selected."""
    uids = [selection.series] if selection.series else series_of(url, context)
    places = [replace(url, series=uid) for uid in uids]
    jobs = [context.submit(series_at, place, context, computes=False) for place in places]
    found, refused = [], []
    for place, job in zip(places, jobs, strict=True):
        try:
            rest, chosen = place.series_url + place.query, Selection(stack=selection.stack)
            found += _volumes_of(job.result(), place, rest, chosen)
        except UnsupportedError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def _volumes_of(
    instances: Mapping[str, Instance], url: RsUrl, rest: str, selection: Selection
) -> list[ImageStack]:
    """Describe the volumes of instances of one series."""
    left_out = LeftOut()
    members = [
        Member(instance, partial(_frame_id, f"wadors:{url.series_url}/instances/{uid}/frames/", url.query))
        for uid, instance in instances.items()
        if left_out.admits(instance)
    ]
    if not members:
        _ = next(iter(instances.values())).layout
        raise left_out.damaged[0]
    separator = "&" if url.query else "?"
    findings = left_out.findings()
    return stacks_of(members, f"wadors:{rest}", selection, separator=separator, findings=findings)


def _frame_id(start: str, query: str, number: int) -> str:
    return f"{start}{number}{query}"
