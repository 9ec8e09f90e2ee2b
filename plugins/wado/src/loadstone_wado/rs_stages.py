"""``wadors:``: a frame as good as a stage of a progressive load wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import DecodeError, FetchError, IntegrityError, StashKey
from loadstone_wado.codecs import REDUCIBLE, ends_with_mark, level_for
from loadstone_wado.decode import decode_frame, decode_reduced
from loadstone_wado.dicomweb.beginnings import beginnings_of, kept_beginning
from loadstone_wado.dicomweb.ranges import fetch_range

if TYPE_CHECKING:
    from loadstone import Image, LoadContext
    from loadstone.retrieve import RetrieveOptions
    from loadstone_wado.dicomweb.ranges import Fetched
    from loadstone_wado.ids import RsUrl
    from loadstone_wado.instance import Instance

__all__ = ["has_beginning", "load_stage"]

_CHUNK: Final = 64 * 1024
"""Bytes of a frame that are enough for a coarse image, when the stage does not say."""
_NO_RANGES: Final = frozenset({400, 404, 405, 406, 415, 416, 500, 501})
"""Statuses with which servers refuse a range."""

_WITHOUT_RANGES: StashKey[set[str]] = StashKey()
"""Roots of services that do not give ranges as asked."""
_ONLY_WHOLE: StashKey[set[str]] = StashKey()
"""URLs of series whose frames can only be decoded as a whole."""


def has_beginning(url: RsUrl, context: LoadContext) -> bool:
    """Say whether an earlier stage has fetched something of a frame."""
    return kept_beginning(_name(url), context) is not None


def load_stage(url: RsUrl, instance: Instance, context: LoadContext) -> Image | None:
    """
    Load a frame by what the stage wants and what is there of it from earlier stages.

    Parameters
    ----------
    url
        Of the frame.
    instance
        What it is a frame of.
    context
        Of the load.

    Returns
    -------
    Image or None
        None when the frame is best loaded as if there were no stages.

    Raises
    ------
    FetchError
        If the server does not answer.
    """
    known = kept_beginning(_name(url), context)
    wanted = context.retrieve
    if known is None and (wanted.is_final or not _may_be_coarse(url, instance, context)):
        return None
    fetched = _fetched(url, _stop(wanted), known, context)
    if fetched is None:
        return None
    try:
        image = None if wanted.is_final else _coarse(url, fetched, instance, context)
        return image or _final(url, fetched, instance, context)
    except (IntegrityError, DecodeError):
        # Pieces of two versions, or a server's mistake: as a whole it may be right, or its error is.
        beginnings_of(context).drop(_name(url))
        return None


def _name(url: RsUrl) -> str:
    return url.frame_url + url.query


def _may_be_coarse(url: RsUrl, instance: Instance, context: LoadContext) -> bool:
    if instance.transfer_syntax_uid and instance.transfer_syntax_uid not in REDUCIBLE:
        return False
    stash = context.session.stash
    return url.root not in stash.setdefault(_WITHOUT_RANGES, set) and url.series_url not in stash.setdefault(
        _ONLY_WHOLE, set
    )


def _stop(wanted: RetrieveOptions) -> int | None:
    """Return the byte behind the last that a stage needs; None: all."""
    if wanted.is_final:
        return None
    return _CHUNK if wanted.byte_range is None else wanted.byte_range[1]


def _fetched(url: RsUrl, stop: int | None, known: Fetched | None, context: LoadContext) -> Fetched | None:
    """Return what is needed of a frame; None where the server does not give ranges."""
    if known is not None and (known.complete or (stop is not None and len(known.body) >= stop)):
        return known
    try:
        return fetch_range(url, stop, known, context)
    except (FetchError, IntegrityError, DecodeError) as error:
        if isinstance(error, FetchError) and error.status not in _NO_RANGES:
            raise
        context.session.stash.setdefault(_WITHOUT_RANGES, set).add(url.root)
        return None


def _coarse(url: RsUrl, fetched: Fetched, instance: Instance, context: LoadContext) -> Image | None:
    """Decode what is there, and keep it for the next stage; None where only the whole frame will do."""
    level = context.retrieve.decode_level
    if fetched.complete and level is None:
        return None
    encoded = fetched.frame(instance.layout, context, instance.source)
    if not fetched.complete:
        level = max(level or 0, level_for(fetched.share))
    with context.computing():
        image = decode_reduced(
            instance,
            url.frame,
            encoded,
            level or 0,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )
    if image is None:
        context.session.stash.setdefault(_ONLY_WHOLE, set).add(url.series_url)
    else:
        beginnings_of(context).put(_name(url), fetched)
    return image


def _final(url: RsUrl, fetched: Fetched, instance: Instance, context: LoadContext) -> Image:
    """Fetch what is missing and decode the frame; what was kept of it is dropped."""
    enough = fetched.complete or fetched.to_the_end
    whole = fetched if enough else fetch_range(url, None, fetched, context)
    encoded = whole.frame(instance.layout, context, instance.source)
    if not whole.complete and not ends_with_mark(encoded.data):
        raise IntegrityError("nothing says whether this is all of the frame", source=instance.source)
    with context.computing():
        image = decode_frame(
            instance,
            url.frame,
            encoded,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )
    beginnings_of(context).drop(_name(url))
    return image
