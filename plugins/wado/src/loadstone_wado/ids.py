"""Ids of DICOM images taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from loadstone import InvalidIdError
from loadstone.transport import redact

if TYPE_CHECKING:
    from loadstone import ImageId, VolumeId
    from loadstone.ids import LoadId

__all__ = ["RsUrl", "Selection", "frame_of"]

_RS = re.compile(
    r"(?P<root>(?i:https?)://[^?#]+?)/studies/(?P<study>[^/?#]+)(?:/series/(?P<series>[^/?#]+)"
    r"(?:/instances/(?P<instance>[^/?#]+)(?:/frames/(?P<frame>[0-9]{1,9}))?)?)?/?(?P<query>\?[^#]*)?\Z"
)


def frame_of(image_id: ImageId) -> int:
    """
    Return the frame that an id names, from 1; the first where it names none.

    Raises
    ------
    InvalidIdError
        If the number is 0.
    """
    frame = image_id.frame
    if frame == 0:
        raise _counts_from_one(image_id)
    return frame or 1


def _counts_from_one(load_id: LoadId) -> InvalidIdError:
    return InvalidIdError("frames of DICOM objects count from 1", source=redact(load_id))


@dataclass(frozen=True, slots=True)
class Selection:
    """What a volume id picks among the volumes of a place."""

    series: str | None = None
    """Series Instance UID; None: any."""
    stack: int | None = None
    """Which stack of the series, from 1; None: any."""

    @classmethod
    def of(cls, volume_id: VolumeId, *names: str) -> tuple[str, Self]:
        """
        Take the selections off an id.

        Parameters
        ----------
        volume_id
            The id.
        *names
            The selections that it may have: ``series``, ``stack``.

        Returns
        -------
        rest : str
            The rest of the id without them.
        selection : Selection
            What they say.

        Raises
        ------
        InvalidIdError
            If the stack is no number, or the id names a frame.
        """
        rest, found = volume_id.selections("frame", *names)
        if "frame" in found:
            raise no_volume(volume_id)
        stack = volume_id.number("stack", found["stack"], least=1) if "stack" in found else None
        return rest, cls(found.get("series"), stack)


def no_volume(volume_id: VolumeId) -> InvalidIdError:
    """Return the error for a volume id that names a frame."""
    return InvalidIdError(
        "this names a frame, not a volume", source=redact(volume_id), hint="Use load_image for a frame."
    )


@dataclass(frozen=True, slots=True)
class RsUrl:
    """A WADO-RS URL: ``root/studies/…[/series/…[/instances/…[/frames/n]]]``, with a query that goes along."""

    root: str
    """URL of the service."""
    study: str
    """Study Instance UID."""
    series: str
    """Series Instance UID; empty for a whole study."""
    instance: str = ""
    """SOP Instance UID; empty for a whole series."""
    frame: int = 0
    """Frame, from 1; 0 where the URL names none."""
    query: str = ""
    """``?…`` as it was, or empty."""

    @classmethod
    @lru_cache(maxsize=4096)  # every load of a frame needs it several times
    def of_image(cls, image_id: ImageId) -> Self:
        """
        Take the id of a frame apart; an instance without a frame stands for its first.

        Raises
        ------
        InvalidIdError
            If it is no URL of a frame or an instance.
        """
        url = cls._of(image_id, image_id.locator)
        if not url.instance:
            raise InvalidIdError(
                f"this names a {'series' if url.series else 'study'}, not an image",
                source=redact(image_id),
                hint="Use load_volume, or image_ids() for the ids of its images.",
            )
        if url.frame and image_id.frame is not None:
            raise InvalidIdError("this names a frame twice", source=redact(image_id))
        return url if url.frame else replace(url, frame=frame_of(image_id))

    @classmethod
    def of_volume(cls, volume_id: VolumeId, rest: str) -> Self:
        """
        Take the id of a study, a series or an instance apart.

        Parameters
        ----------
        volume_id
            The id.
        rest
            What stands behind its scheme, without selections.

        Raises
        ------
        InvalidIdError
            If it is no such URL.
        """
        url = cls._of(volume_id, rest)
        if url.frame:
            raise no_volume(volume_id)
        return url

    @classmethod
    def _of(cls, load_id: LoadId, rest: str) -> Self:
        found = _RS.match(rest)
        if found is None:
            raise InvalidIdError(
                "this is no WADO-RS URL of a study, a series, an instance or a frame",
                source=redact(load_id),
                hint="Write wadors:https://host/root/studies/…[/series/…[/instances/…[/frames/1]]].",
            )
        if found["frame"] is not None and int(found["frame"]) == 0:
            raise _counts_from_one(load_id)
        root, study, series, instance, frame, query = found.group(
            "root", "study", "series", "instance", "frame", "query"
        )
        return cls(root, study, series or "", instance or "", int(frame or 0), query or "")

    @property
    def study_url(self) -> str:
        """URL of the study, without query."""
        return f"{self.root}/studies/{self.study}"

    @property
    def series_url(self) -> str:
        """URL of the series, without query."""
        return f"{self.study_url}/series/{self.series}"

    @property
    def instance_url(self) -> str:
        """URL of the instance, without query."""
        return f"{self.series_url}/instances/{self.instance}"

    @property
    def frame_url(self) -> str:
        """URL of the frame, without query."""
        return f"{self.instance_url}/frames/{self.frame}"
