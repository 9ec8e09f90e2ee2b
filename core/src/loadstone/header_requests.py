"""Requests that headers answer: which volumes are there, and what is known about images."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from loadstone.context import LoadContext
from loadstone.ids import lane_of
from loadstone.image_loading import ImageMemory
from loadstone.image_requests import load_modules
from loadstone.options import LoadOptions
from loadstone.pools import RequestType
from loadstone.scanning import described_series
from loadstone.volume.describing import NoMemory, describe
from loadstone.volume.wish import VolumeWish

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from loadstone.hookspecs import ImageStack, VoxelSource
    from loadstone.ids import ImageId, VolumeId
    from loadstone.load_object import LoadObject
    from loadstone.metadata import Modules
    from loadstone.scanning import SeriesTable
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad

__all__ = ["request_described", "request_modules", "request_scan"]

T = TypeVar("T")


def request_described(
    session: Session, volume_id: VolumeId, wish: VolumeWish
) -> LoadObject[Sequence[ImageStack | VoxelSource]]:
    """Return a handle on what a loader says about the volumes of an id."""

    def work(load: SharedLoad[Sequence[ImageStack | VoxelSource]]) -> Sequence[ImageStack | VoxelSource]:
        with LoadContext(session, load, wish.options, NoMemory()) as context:
            return describe(context, volume_id, wish)[0]

    return _at_once(session, ("describe", volume_id, wish.options), volume_id, work)


def request_scan(session: Session, volume_id: VolumeId) -> LoadObject[SeriesTable]:
    """Return a handle on a table of the volumes of an id."""

    def work(load: SharedLoad[SeriesTable]) -> SeriesTable:
        with LoadContext(session, load, LoadOptions.of(), NoMemory()) as context:
            return described_series(describe(context, volume_id, VolumeWish())[0], context)

    return _at_once(session, ("scan", volume_id), volume_id, work)


def request_modules(session: Session, image_ids: Sequence[ImageId]) -> LoadObject[Sequence[Modules]]:
    """Return a handle on what the loader of some images knows about them."""

    def work(load: SharedLoad[Sequence[Modules]]) -> Sequence[Modules]:
        with LoadContext(session, load, LoadOptions.of(), ImageMemory(None, session.settings)) as context:
            return load_modules(session, image_ids, context)

    return _at_once(session, ("metadata", tuple(image_ids)), image_ids[0], work)


def _at_once(
    session: Session, key: Hashable, identity: ImageId | VolumeId, work: Callable[[SharedLoad[T]], T]
) -> LoadObject[T]:
    """Ask as somebody does who waits."""
    return session.desk.join_or_start(
        key, identity, work, type=RequestType.INTERACTION, priority=0, lane=lane_of(identity)
    )
