"""``wadors:``: many frames at a time, by the way that costs the fewest requests."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from loadstone import FetchError, ImageId, LoadCancelled, LoadstoneError, StashKey
from loadstone_wado.decode import is_direct, load_frame
from loadstone_wado.dicomweb.metadata import instance_at, series_at
from loadstone_wado.dicomweb.retrieve import stream_objects
from loadstone_wado.dicomweb.wanted import wanted_by_series
from loadstone_wado.frames import FrameReader
from loadstone_wado.ids import RsUrl
from loadstone_wado.rs import load
from loadstone_wado.rs_lists import decoded, from_lists
from loadstone_wado.rs_stages import has_beginning
from loadstone_wado.transfer_syntaxes import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadstone import Image, LoadContext
    from loadstone.hookspecs import FutureLike
    from loadstone_wado.dicomweb.wanted import Wanted
    from loadstone_wado.instance import Instance

__all__ = ["load_many"]

_Answer = tuple[ImageId, "Image | FutureLike[Image]"]

_WHOLE_FROM: Final = 0.5
"""Share of a series or instance from which it is asked for as a whole rather than frame by frame."""
_AT_LEAST: Final = 4
"""Frames from which that is considered."""
_NO_SERIES: Final = frozenset({400, 405, 406, 415, 500, 501})
"""Statuses with which servers say that they do not give whole series."""

_WITHOUT_SERIES: StashKey[set[str]] = StashKey()
"""Roots of services that do not give whole series."""


def load_many(image_ids: Sequence[ImageId], context: LoadContext) -> Iterator[_Answer]:
    """
    Load frames: a series or an instance as one stream if most of it is wanted, else in lists or one by one.

    Whatever a stream does not bring is asked for by itself, and fails by itself.
    """
    for wanted in wanted_by_series(image_ids):
        whole = _worth_streaming(wanted, context)
        if whole:
            try:
                yield from _from_stream(whole, wanted, context)
            except LoadCancelled:
                raise
            except FetchError as error:
                if whole == wanted.url.series_url and error.status in _NO_SERIES:
                    context.session.stash.setdefault(_WITHOUT_SERIES, set).add(wanted.url.root)
            except LoadstoneError:
                context.raise_if_cancelled()
        elif _is_fresh(wanted, context):
            yield from from_lists(wanted, context)
        yield from _one_by_one(wanted, context)


def _worth_streaming(wanted: Wanted, context: LoadContext) -> str:
    """Return the URL of the instance or series of which most is wanted; empty if there is none."""
    url = wanted.url
    if context.resumes or len(wanted) < _AT_LEAST or not _is_fresh(wanted, context):
        return ""
    if len(wanted.instances) == 1:
        frames = instance_at(url, context).number_of_frames
        return url.instance_url if len(wanted) >= _WHOLE_FROM * frames else ""
    if url.root in context.session.stash.setdefault(_WITHOUT_SERIES, set):
        return ""
    frames = sum(instance.number_of_frames for instance in series_at(url, context).values())
    return url.series_url if len(wanted) >= _WHOLE_FROM * frames else ""


def _is_fresh(wanted: Wanted, context: LoadContext) -> bool:
    """Say whether whole frames are wanted of which earlier stages have not fetched most already."""
    if not context.retrieve.is_final:
        return False
    begun = sum(has_beginning(RsUrl.of_image(image_id), context) for image_id in wanted)
    return 2 * begun <= len(wanted)


def _from_stream(target: str, wanted: Wanted, context: LoadContext) -> Iterator[_Answer]:
    """Yield what a stream brings of what is wanted."""
    for instance, blob in stream_objects(target, wanted.url, context):
        frames = wanted.frames(instance.sop_instance_uid)
        if _are_direct(instance, frames, context):
            blob.let_go()
        elif frames:
            blob.keep_all()
        reader = FrameReader(instance, blob)
        begun = {number: _begun(reader, number, ids, context) for number, ids in frames.items()}
        # Only now is it sure that what lies in its place already were bytes of this object, and all of them.
        blob.close()
        for number, answers in begun.items():
            if answers:
                wanted.got(instance.sop_instance_uid, number)
            yield from answers


def _are_direct(instance: Instance, frames: Mapping[int, Sequence[ImageId]], context: LoadContext) -> bool:
    """Say whether the bytes of the frames are what is wanted, and each is wanted in one place only."""
    options = context.options
    try:
        direct = is_direct(instance, scaled=options.scaled, values=options.values)
    except LoadstoneError:
        return False
    return direct and all(len(ids) == 1 for ids in frames.values())


def _begun(
    reader: FrameReader, number: int, ids: Sequence[ImageId], context: LoadContext
) -> Sequence[_Answer]:
    """Return what is being made of a frame, for each of its ids; nothing where it cannot be had like this."""
    try:
        return [(each, _started(reader, number, context.for_image(each))) for each in ids]
    except LoadCancelled:
        raise
    except LoadstoneError:
        # Asked for by itself it fails by itself, if it does.
        return ()


def _started(reader: FrameReader, number: int, context: LoadContext) -> Image | FutureLike[Image]:
    """Decode a frame: at once where that is a copy, else on another worker while the stream goes on."""
    if reader.instance.transfer_syntax_uid in NATIVE:
        return load_frame(
            reader,
            number,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )
    return context.submit(decoded, reader.instance, number, reader.read(number), context)


def _one_by_one(wanted: Wanted, context: LoadContext) -> Iterator[_Answer]:
    """Ask for frames each by itself, as many at a time as one host may be asked."""
    asked: deque[_Answer] = deque()
    for image_id in wanted:
        job = context.submit(load, image_id, context.for_image(image_id), computes=False)
        asked.append((image_id, job))
        if len(asked) == context.settings.host_permits:
            yield asked.popleft()
    yield from asked
