"""One attempt to complete a volume: what it tells, whom its images stand in for, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadstone.boundary import typed_error
from loadstone.errors import LoadstoneError
from loadstone.events import ImageLoadFailed, TimePointLoaded, VolumeModified, VolumeWidened
from loadstone.load_object import Progress
from loadstone.volume.time_points import TimePoints

if TYPE_CHECKING:
    from loadstone.retrieve.steps import Step
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.volume import Volume

__all__ = ["Attempt"]


class Attempt:
    """
    One attempt to complete a volume.

    Parameters
    ----------
    volume
        Which.
    load
        Whose work it is.

    Attributes
    ----------
    errors : list of LoadstoneError
        What went wrong for good.
    passing : list of LoadstoneError
        What went wrong with images that a later step asks for again.
    """

    def __init__(self, volume: Volume, load: SharedLoad[Any]) -> None:
        self.volume = volume
        self.assembly = volume._assembly
        self.session = self.assembly.session
        self.load = load
        self.errors: list[LoadstoneError] = []
        self.passing: list[LoadstoneError] = []
        self._step: Step | None = None
        self._time_points = TimePoints(self.assembly)

    @property
    def failures(self) -> int:
        """How often an image could not be loaded."""
        return len(self.errors) + len(self.passing)

    def begin(self, step: Step) -> None:
        """Go on to a step of a progressive load."""
        self._step = step

    def arrived(self, index: int) -> None:
        """Tell everybody that an image is better than before, and have it stand in for its neighbours."""
        self._report()
        filled = self._stood_in(index) if self._step and self._step.nearby else ()
        if self.session.events.wants(VolumeModified):
            self.session.events.emit(VolumeModified(self.volume, (index, *filled)))
        if (place := self._time_points.completed_by(index)) is not None:
            self.session.events.emit(TimePointLoaded(self.volume, place))

    def arrived_together(self, run: range) -> None:
        """Tell everybody that images of a block are final."""
        self._report()
        if self.session.events.wants(VolumeModified):
            self.session.events.emit(VolumeModified(self.volume, tuple(run)))
        for place in self._time_points.completed_by_run(run):
            self.session.events.emit(TimePointLoaded(self.volume, place))

    def _report(self) -> None:
        self.load.report(
            Progress(
                self.assembly.done,
                len(self.assembly.quality),
                self.load.progress.received_bytes,
                self.load.progress.total_bytes,
            )
        )

    def _stood_in(self, index: int) -> tuple[int, ...]:
        nearby = self._step.nearby if self._step else ()
        return tuple(
            index + fill.offset
            for fill in nearby
            if self.assembly.stand_in(index, index + fill.offset, fill.quality)
        )

    def widen(self) -> bool:
        """Make the array anew with a wider dtype and tell everybody; say whether there was room for it."""
        try:
            self.assembly.widen()
        except LoadstoneError as error:
            self.errors.append(error)
            return False
        if self.session.events.wants(VolumeWidened):
            self.session.events.emit(VolumeWidened(self.volume))
        return True

    def failed(self, error: BaseException, image_id: str) -> None:
        """Remember that an image did not arrive; tell everybody, unless a later step asks for it again."""
        typed = typed_error(error, image_id)
        self.assembly.failed(image_id)
        if self._step and self.assembly.index_of(image_id) in self._step.again:
            self.passing.append(typed)
            return
        self.errors.append(typed)
        self.session.events.emit(ImageLoadFailed(image_id, typed))
