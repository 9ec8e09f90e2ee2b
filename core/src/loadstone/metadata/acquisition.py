"""How an image came about, and how a sequence of frames is meant to be played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.metadata.modules import Module

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["Cine", "GeneralImage"]


@dataclass(frozen=True, slots=True)
class GeneralImage(Module):
    """
    How and when the image came about, as recorded (DICOM PS3.3 C.7.6.1).

    A date or time that is none (``00000000``) counts as not recorded.
    """

    image_type: tuple[str, ...] = ()
    """ORIGINAL or DERIVED, PRIMARY or SECONDARY, and what the kind of image or the vendor adds."""
    instance_number: int | None = None
    """Number of the object within its series."""
    acquisition_number: int | None = None
    """Number of the acquisition that it comes from."""
    acquisition_date: dt.date | None = None
    """Date on which the acquisition started."""
    acquisition_time: dt.time | None = None
    """Time of day, local, at which the acquisition started."""
    acquisition_date_time: dt.datetime | None = None
    """Both in one, where recorded so; with an offset to UTC where one is recorded."""
    content_date: dt.date | None = None
    """Date on which the pixels were made."""
    content_time: dt.time | None = None
    """Time of day, local, at which the pixels were made."""
    lossy_image_compression: bool | None = None
    """Whether it was ever compressed with loss; None when not recorded."""
    lossy_image_compression_ratio: tuple[float, ...] = ()
    """Ratio of each compression with loss."""
    lossy_image_compression_method: tuple[str, ...] = ()
    """Method of each compression with loss: ISO_10918_1, …"""
    burned_in_annotation: bool | None = None
    """Whether its pixels name the patient; None when not recorded."""


@dataclass(frozen=True, slots=True)
class Cine(Module):
    """How the frames of an object are meant to be played, as recorded (DICOM PS3.3 C.7.6.5)."""

    frame_time: float | None = None
    """Time from one frame to the next, in ms."""
    frame_time_vector: tuple[float, ...] = ()
    """Time from the frame before to each frame, in ms; 0 for the first."""
    frame_delay: float | None = None
    """Time from the content time to the first frame, in ms."""
    cine_rate: float | None = None
    """Frames in a second at which it was acquired or is meant to be played."""
    recommended_display_frame_rate: float | None = None
    """Frames in a second at which it is meant to be played."""
    actual_frame_duration: float | None = None
    """Time in which one frame was acquired, in ms."""
    effective_duration: float | None = None
    """Time in which all frames were acquired, in s."""
    start_trim: int | None = None
    """First frame to be played, from 1."""
    stop_trim: int | None = None
    """Last frame to be played, from 1."""
    preferred_playback_sequencing: int | None = None
    """0: from the beginning again and again; 1: forth and back."""
