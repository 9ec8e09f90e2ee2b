"""A retrieve configuration put to work on a number of images: one step after the other, each announced."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.events import RetrieveStage
from loadstone.pools import RequestType
from loadstone.retrieve.stages import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone.events import Events
    from loadstone.retrieve.stages import NearbyFill, RetrieveConfiguration, RetrieveOptions

__all__ = ["Step", "Tally", "announced", "steps_of"]


@dataclass(frozen=True, slots=True)
class Step:
    """A stage with the indices that it asks for."""

    number: int
    """From 0."""
    name: str
    """Of the stage."""
    indices: tuple[int, ...]
    """In its order."""
    again: frozenset[int]
    """Those that a later step asks for too: what fails here may yet arrive."""
    options: RetrieveOptions
    """How they are retrieved."""
    request_type: RequestType = RequestType.PREFETCH
    """What its requests count as."""
    priority: int = 0
    """Added to that of the load."""
    nearby: tuple[NearbyFill, ...] = ()
    """Which neighbours each image stands in for."""


@dataclass(slots=True)
class Tally:
    """What became of the images of a step."""

    skipped: int = 0
    """Those that were good enough before."""
    failures: int = 0
    """Those that could not be loaded."""


def steps_of(configuration: RetrieveConfiguration, count: int) -> Sequence[Step]:
    """
    Return the steps that load `count` images.

    The last one is added where no stage asks for the final quality of an image.

    Raises
    ------
    LoadstoneError
        If a stage asks for an image that is not there.
    """
    stages = [
        (stage, stage.indices(count), configuration.options_of(stage)) for stage in configuration.stages
    ]
    final = {index for _, indices, options in stages if options.is_final for index in indices}
    rest = tuple(index for index in range(count) if index not in final)
    steps = [Step(len(stages), "rest", rest, frozenset(), FINAL)] if rest else []
    later = set(rest)
    for number, (stage, indices, options) in reversed([*enumerate(stages)]):
        again = frozenset(later.intersection(indices))
        later.update(indices)
        steps.append(
            Step(
                number,
                stage.name,
                indices,
                again,
                options,
                stage.request_type,
                stage.priority,
                stage.nearby,
            )
        )
    return steps[::-1]


@contextmanager
def announced(step: Step, identity: str, events: Events, began: float) -> Iterator[Tally]:
    """
    Surround a step: however it ends, it is announced with its counts and times.

    Parameters
    ----------
    step
        Which.
    identity
        Of the volume or image.
    events
        Who is told.
    began
        When the first step began, by `time.perf_counter`.
    """
    tally = Tally()
    started = time.perf_counter()
    try:
        yield tally
    finally:
        if events.wants(RetrieveStage):
            seconds = time.perf_counter() - started
            events.emit(
                RetrieveStage(
                    identity,
                    step.name,
                    step.number,
                    images=len(step.indices),
                    skipped=tally.skipped,
                    failures=tally.failures,
                    started_seconds=started - began,
                    seconds=seconds,
                )
            )
