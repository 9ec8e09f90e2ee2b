"""``wadors:``: several frames of an instance with one request, where a whole instance would be too much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadstone import FetchError, LoadCancelled, LoadstoneError, StashKey
from loadstone_wado.decode import decode_frame
from loadstone_wado.dicomweb.frame_lists import frame_lists, stream_frames
from loadstone_wado.dicomweb.metadata import instance_at
from loadstone_wado.rs import gives_frames
from loadstone_wado.transfer_syntaxes import NATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone import Image, ImageId, LoadContext
    from loadstone.hookspecs import FutureLike
    from loadstone_wado.dicomweb.wanted import Wanted
    from loadstone_wado.frames import EncodedFrame
    from loadstone_wado.ids import RsUrl
    from loadstone_wado.instance import Instance

__all__ = ["decoded", "from_lists"]

_NO_LISTS: Final = frozenset({400, 404, 405, 406, 414, 415, 500, 501})
"""Statuses with which servers say that they give frames one by one only."""

_WITHOUT_LISTS: StashKey[set[str]] = StashKey()
"""Roots of services that do not give lists of frames."""


def from_lists(wanted: Wanted, context: LoadContext) -> Iterator[tuple[ImageId, Image | FutureLike[Image]]]:
    """
    Yield frames of multi-frame instances of which several are wanted.

    Whatever a list does not bring stays wanted: it is asked for by itself, and fails by itself.
    """
    refusing = context.session.stash.setdefault(_WITHOUT_LISTS, set)
    if not gives_frames(wanted.url, context):
        return
    for uid in wanted.instances:
        url, numbers = replace(wanted.url, instance=uid), list(wanted.frames(uid))
        for some in frame_lists(url, numbers) if len(numbers) > 1 else ():
            if url.root in refusing:
                return
            try:
                yield from _from_list(url, some, wanted, context)
            except LoadCancelled:
                raise
            except FetchError as error:
                if error.status in _NO_LISTS:
                    refusing.add(url.root)
            except LoadstoneError:
                context.raise_if_cancelled()


def _from_list(
    url: RsUrl, numbers: Sequence[int], wanted: Wanted, context: LoadContext
) -> Iterator[tuple[ImageId, Image | FutureLike[Image]]]:
    instance = instance_at(url, context)
    for number, encoded in stream_frames(url, numbers, instance.layout, context):
        ids = wanted.frames(url.instance).get(number, ())
        try:
            answers = [(each, _started(instance, number, encoded, context.for_image(each))) for each in ids]
        except LoadCancelled:
            raise
        except LoadstoneError:
            # Asked for by itself it fails by itself, if it does.
            continue
        if answers:
            wanted.got(url.instance, number)
        yield from answers


def _started(
    instance: Instance, number: int, encoded: EncodedFrame, context: LoadContext
) -> Image | FutureLike[Image]:
    """Decode a frame: at once where that is a copy, else on another worker while the stream goes on."""
    if encoded.transfer_syntax_uid in NATIVE:
        return decoded(instance, number, encoded, context)
    return context.submit(decoded, instance, number, encoded, context)


def decoded(instance: Instance, number: int, encoded: EncodedFrame, context: LoadContext) -> Image:
    """Decode a frame as the caller of the load wants it."""
    return decode_frame(
        instance,
        number,
        encoded,
        scaled=context.options.scaled,
        values=context.options.values,
        allocate=context.allocate,
    )
