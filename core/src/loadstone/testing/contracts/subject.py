"""What a check loads, and ways to load it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from loadstone.context import LoadContext
from loadstone.errors import LoadstoneError
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import ImageMemory, answered, checked_image
from loadstone.options import LoadOptions
from loadstone.pools import RequestType

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.hookspecs import ImageLoader
    from loadstone.image import Image
    from loadstone.load_object import LoadObject
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad
    from loadstone.volume import Volume

__all__ = ["SECONDS", "Subject", "image_loader", "in_a_load", "stored_image"]

T = TypeVar("T")

SECONDS: Final = 30.0
"""A load of a test that takes longer hangs."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An image or a volume that a check loads."""

    kind: Literal["image", "volume"]
    """What it is."""
    id: str
    """Its id."""

    def named(self, identity: str) -> Subject:
        """Return one of the same kind with another id."""
        return replace(self, id=identity)

    def request(self, session: Session, **options: Any) -> LoadObject[Any]:  # noqa: ANN401 - of the caller
        """Ask for it."""
        ask = session.request_image if self.kind == "image" else session.request_volume
        return ask(self.id, **options)

    def load(self, session: Session, **options: Any) -> Image | Volume:  # noqa: ANN401 - of the caller
        """Load it, or raise `TimeoutError`."""
        loaded: Image | Volume = self.request(session, **options).result(SECONDS)
        return loaded

    def copy(self, session: Session, **options: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - of the caller
        """Load it, and return a copy of its array that nobody else can change."""
        return np.array(self.load(session, **options))

    def failure(self, session: Session) -> LoadstoneError:
        """Return the error that loading it ends with."""
        try:
            self.load(session)
        except LoadstoneError as error:
            return error
        raise AssertionError(f"{self.id} names nothing that can be loaded, and yet it loads")


def in_a_load(session: Session, image_id: ImageId, work: Callable[[LoadContext, SharedLoad[Any]], T]) -> T:
    """Run something on a worker, with the context that a loader gets for an image."""

    def run(load: SharedLoad[T]) -> T:
        memory = ImageMemory(session.cache, session.settings)
        context = LoadContext(session, load, LoadOptions.of(), memory)
        try:
            return work(context, load)
        finally:
            memory.release()
            context.close()

    handle = session.desk.join_or_start(
        ("contract", object()),
        image_id,
        run,
        type=RequestType.INTERACTION,
        priority=0,
        lane=lane_of(image_id),
    )
    return handle.result(SECONDS)


def image_loader(session: Session, image_id: str) -> ImageLoader:
    """Return the record of the loader that serves an id."""
    return session.registry.image_loader(ImageId(image_id).scheme).record


def stored_image(session: Session, image_id: str, offer: Callable[[Image], object] = lambda _: None) -> Image:
    """Return what the loader itself gives for an id; `offer` gets what it yields before the last."""
    record = image_loader(session, image_id)
    identity = ImageId(image_id)

    def work(context: LoadContext, load: SharedLoad[Any]) -> Image:
        return checked_image(answered(record.load(identity, context), context, load, offer), identity)

    return in_a_load(session, identity, work)
