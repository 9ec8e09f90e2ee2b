"""A single image by stages: as good as the first stage wants it, then better, until it is final."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadstone.errors import IntegrityError, LoadCancelled
from loadstone.image import Quality
from loadstone.retrieve.steps import announced, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.context import LoadContext
    from loadstone.image import Image
    from loadstone.retrieve.stages import RetrieveConfiguration

__all__ = ["load_by_stages"]


def load_by_stages(
    configuration: RetrieveConfiguration,
    identity: str,
    context: LoadContext,
    load: Callable[[LoadContext], Image],
    offer: Callable[[Image], object],
) -> Image:
    """
    Load an image stage by stage until it is final.

    Parameters
    ----------
    configuration
        The stages, as for a volume of this one image.
    identity
        Its id.
    context
        Of the load.
    load
        Asks the loader once. What it raises in the last stage is raised here; else the next stage asks again.
    offer
        Shows an image that is not final yet.

    Raises
    ------
    IntegrityError
        If the loader gives no final image.
    """
    events, began = context.session.events, time.perf_counter()
    best: Quality | None = None
    for step in steps_of(configuration, 1):
        with announced(step, identity, events, began) as tally:
            if not step.indices:
                continue
            try:
                image = load(context.for_stage(step.options))
            except LoadCancelled:
                raise
            except Exception:
                tally.failures += 1
                if not step.again:
                    raise
                continue
        if image.quality >= Quality.FULL:
            return image
        if best is None or image.quality >= best:
            best = image.quality
            offer(image)
    raise not_final(best, identity)


def not_final(quality: Quality | None, identity: str) -> IntegrityError:
    """Return the error of an image that its loader gives at a lower quality only."""
    return IntegrityError(
        f"its loader gives it as {quality.name if quality else 'nothing'}, never final",
        source=identity,
        hint="Load it by itself and without stages, if it is meant to be no better.",
    )
