"""The way of a request for a volume: cache, a load that is already running, or a new one in the queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict

from loadstone.context import LoadContext
from loadstone.ids import VolumeId, lane_of
from loadstone.load_object import LoadObject
from loadstone.volume.filling import fill_volume
from loadstone.volume.loading import VolumeLoading

if TYPE_CHECKING:
    from collections.abc import Hashable

    from loadstone.hookspecs import ImageStack, VoxelSource
    from loadstone.pools import RequestType
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.volume import Volume
    from loadstone.volume.wish import VolumeWish

__all__ = ["VolumeRequest", "complete_volume", "request_volume"]


class VolumeRequest(TypedDict):
    """What a request for a volume comes down to."""

    wish: VolumeWish
    """What is wanted."""
    type: RequestType
    """What it is for."""
    priority: int
    """Within its type."""
    reload: bool
    """Whether it is loaded anew."""


def request_volume(
    session: Session,
    volume_id: VolumeId,
    wish: VolumeWish,
    *,
    type: RequestType,
    priority: int,
    reload: bool = False,
    described: ImageStack | VoxelSource | None = None,
) -> LoadObject[Volume]:
    """Return a handle on a volume; its first partial is the volume while it is still empty."""
    session.retrieve.of_volume(wish.retrieve, volume_id)  # a wrong name is told at once
    key = session.volume_names.get(wish.key(volume_id), wish.key(volume_id))
    if reload:
        session.cache.remove(key)
    find = session.cache.get_pinned if wish.pinned else session.cache.get
    volume: Volume | None = None if wish.writable else find(key)
    if volume is not None:
        volume._assembly.callers += 1
        return LoadObject.ready(volume_id, volume)

    def work(load: SharedLoad[Volume]) -> Volume:
        return VolumeLoading(session, load, volume_id, wish, anew=reload).run(described)

    handle = session.desk.join_or_start(
        _load_key(key, wish),
        volume_id,
        work,
        type=type,
        priority=priority,
        lane=lane_of(volume_id),
        find=lambda: None if wish.writable else session.cache.peek(key),
        anew=reload,
    )
    if wish.pinned:
        handle.add_done_callback(partial(_withdraw, session, key))
    return handle


def _load_key(key: Hashable, wish: VolumeWish) -> Hashable:
    """Return what loads have in common that may be one; into memory of a caller's own each loads alone."""
    if wish.writable:
        return key, object()
    return key if wish.cache and not wish.collect else (key, wish.cache, wish.collect)


def _withdraw(session: Session, key: Hashable, handle: LoadObject[Volume]) -> None:
    """Take back the promise to pin a volume that does not stay."""
    volume = None if handle.exception() is not None else handle.result()
    if volume is not None and session.cache.peek(volume._assembly.key) is volume:
        return
    if not session.cache.unpromise(key):
        session.cache.unpin(key, session.cache.peek(key))


def complete_volume(
    session: Session, volume: Volume, *, type: RequestType, priority: int
) -> LoadObject[Volume]:
    """Return a handle on a load of what a volume lacks."""

    def work(load: SharedLoad[Volume]) -> Volume:
        assembly = volume._assembly
        with assembly.filled_by(load):
            if assembly.missing:
                resumes = assembly.done > 0
                fill_volume(
                    volume, load, LoadContext(session, load, assembly.options, assembly, resumes=resumes)
                )
        return volume

    return session.desk.join_or_start(
        ("complete", id(volume)),
        volume.volume_id,
        work,
        type=type,
        priority=priority,
        lane=lane_of(VolumeId(volume.volume_id)),
    )
