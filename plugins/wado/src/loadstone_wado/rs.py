"""``wadors:``: frames, instances and series over WADO-RS."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from loadstone import (
    FetchError,
    Image,
    ImageId,
    ImageStack,
    IntegrityError,
    InvalidIdError,
    UnsupportedError,
    VolumeId,
)
from loadstone_wado.decode import decode_frame, load_frame
from loadstone_wado.dicomweb.metadata import instance_at, series_at
from loadstone_wado.dicomweb.retrieve import fetch_frame, fetch_instance, stream_series
from loadstone_wado.dicomweb.syntax import syntax_of
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.ids import RsUrl
from loadstone_wado.modules import frame_modules
from loadstone_wado.series import Member, stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from loadstone import LoadContext
    from loadstone.metadata import Modules
    from loadstone_wado.instance import Instance
    from loadstone_wado.part10 import Part10

__all__ = ["canonical", "load", "load_many", "metadata", "open_volumes"]

_WHOLE_SERIES_FROM: float = 0.5
"""Share of a series from which it is asked for as a whole rather than frame by frame."""
_AT_LEAST: int = 4


def canonical(image_id: ImageId) -> str:
    """Name a frame in one way."""
    url = _frame(image_id)
    return f"wadors:{url.frame_url}{url.query}"


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame."""
    return _load(_frame(image_id), context.for_image(image_id))


def _load(url: RsUrl, context: LoadContext) -> Image:
    instance = instance_at(url, context)
    _ = instance.layout
    try:
        part, response_type = fetch_frame(url, context)
    except FetchError as error:
        if error.status not in {400, 404, 405, 406, 415, 501}:
            raise
        return _load_from_instance(url, context, error)
    encoded = EncodedFrame(part.body, syntax_of(part, response_type, instance.layout))
    return _decoded(instance, url.frame, encoded, context)


def _load_from_instance(url: RsUrl, context: LoadContext, refusal: FetchError) -> Image:
    """Take the frame out of the whole object, for servers that do not give frames."""
    try:
        part10 = fetch_instance(url, context)
    except FetchError:
        raise refusal from None
    encoded = part10.frames.read(url.frame)
    return _decoded(part10.instance, url.frame, encoded, context)


def _decoded(instance: Instance, number: int, encoded: EncodedFrame, context: LoadContext) -> Image:
    with context.computing():
        return decode_frame(
            instance, number, encoded, scaled=context.options.scaled, allocate=context.allocate
        )


def load_many(image_ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
    """Load frames: as one stream if most of a series is wanted, else each by itself, several at a time."""
    wanted = {(url.instance, url.frame): image_id for image_id in image_ids for url in [_frame(image_id)]}
    if _is_most(image_ids, context):
        try:
            for image_id, answer in _from_stream(wanted, _frame(image_ids[0]), context):
                yield image_id, answer
        except (FetchError, IntegrityError):
            # Whatever the stream did not bring is asked for by itself, and fails by itself.
            context.raise_if_cancelled()
    for image_id in wanted.values():
        yield image_id, context.submit(_load, _frame(image_id), context.for_image(image_id), computes=False)


def _is_most(image_ids: Sequence[ImageId], context: LoadContext) -> bool:
    instances = series_at(_frame(image_ids[0]), context)
    total = sum(instance.number_of_frames for instance in instances.values())
    return len(image_ids) >= max(_AT_LEAST, _WHOLE_SERIES_FROM * total)


def _from_stream(
    wanted: dict[tuple[str, int], ImageId], url: RsUrl, context: LoadContext
) -> Iterator[tuple[ImageId, Any]]:
    """Yield what the stream of a series brings, taking it out of `wanted`."""
    for part10 in stream_series(url, context):
        instance = part10.instance
        for number in range(1, instance.number_of_frames + 1):
            image_id = wanted.pop((instance.sop_instance_uid, number), None)
            if image_id is not None:
                yield image_id, _started(part10, number, context.for_image(image_id))


def _started(part10: Part10, number: int, context: LoadContext) -> Any:  # noqa: ANN401 - an image or a job
    """Decode a frame: at once where that is a copy, else on another worker while the stream goes on."""
    if part10.is_native:
        return load_frame(part10.frames, number, scaled=context.options.scaled, allocate=context.allocate)
    return context.submit(_decoded, part10.instance, number, part10.frames.read(number), context)


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe frames: a whole series with one request, a lone frame by its instance."""
    found = {}
    if len({_frame(image_id).instance for image_id in image_ids}) > 1:
        series_at(_frame(image_ids[0]), context)
    for image_id in image_ids:
        url = _frame(image_id)
        found[image_id] = frame_modules(instance_at(url, context), url.frame, scaled=context.options.scaled)
    return found


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """Describe the volumes of a series or an instance."""
    rest, selection = volume_id.split("series", "stack")
    stack = volume_id.number("stack", selection["stack"], least=1) if "stack" in selection else None
    url = RsUrl.of(volume_id, rest)
    instances = {url.instance: instance_at(url, context)} if url.instance else series_at(url, context)
    members = [
        Member(instance, partial(f"wadors:{url.series_url}/instances/{uid}/frames/{{0}}{url.query}".format))
        for uid, instance in instances.items()
        if _is_image(instance)
    ]
    if not members:
        _ = next(iter(instances.values())).layout
    separator = "&" if "?" in rest else "?"
    stacks = stacks_of(
        members, f"wadors:{rest}", separator=separator, series=selection.get("series"), stack=stack
    )
    if not stacks:
        raise InvalidIdError("there is no such series or stack", source=volume_id)
    return stacks


def _is_image(instance: Instance) -> bool:
    try:
        _ = instance.layout
    except UnsupportedError:
        return False
    return True


def _frame(image_id: ImageId) -> RsUrl:
    url = RsUrl.of(image_id, image_id.rest)
    if not url.instance:
        raise InvalidIdError(
            "this names a series, not an image", source=image_id, hint="Use load_volume, or image_ids()."
        )
    return url
