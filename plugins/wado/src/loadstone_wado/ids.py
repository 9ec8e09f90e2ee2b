"""Ids of DICOM images taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone import InvalidIdError

if TYPE_CHECKING:
    from loadstone import ImageId
    from loadstone.ids import LoadId

__all__ = ["RsUrl", "frame_of"]

_RS = re.compile(
    r"(?P<root>https?://[^?#]+?)/studies/(?P<study>[^/?#]+)/series/(?P<series>[^/?#]+)"
    r"(?:/instances/(?P<instance>[^/?#]+)(?:/frames/(?P<frame>[0-9]+))?)?/?(?P<query>\?[^#]*)?\Z"
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
        raise InvalidIdError("frames of DICOM objects count from 1", source=image_id)
    return frame or 1


@dataclass(frozen=True, slots=True)
class RsUrl:
    """A WADO-RS URL: ``root/studies/…/series/…[/instances/…[/frames/n]]``, with a query that goes along."""

    root: str
    """URL of the service."""
    study: str
    """Study Instance UID."""
    series: str
    """Series Instance UID."""
    instance: str = ""
    """SOP Instance UID; empty for a whole series."""
    frame: int = 1
    """Frame, from 1."""
    query: str = ""
    """``?…`` as it was, or empty."""

    @classmethod
    def of(cls, load_id: LoadId, rest: str) -> RsUrl:
        """
        Take the rest of an id apart.

        Raises
        ------
        InvalidIdError
            If it is no such URL.
        """
        found = _RS.match(rest)
        if found is None:
            raise InvalidIdError(
                "this is no WADO-RS URL of a series, an instance or a frame",
                source=str(load_id),
                hint="Write wadors:https://host/root/studies/…/series/…[/instances/…[/frames/1]].",
            )
        frame = int(found["frame"] or 1)
        if frame == 0:
            raise InvalidIdError("frames of DICOM objects count from 1", source=str(load_id))
        return cls(
            found["root"],
            found["study"],
            found["series"],
            found["instance"] or "",
            frame,
            found["query"] or "",
        )

    @property
    def series_url(self) -> str:
        """URL of the series, without query."""
        return f"{self.root}/studies/{self.study}/series/{self.series}"

    @property
    def instance_url(self) -> str:
        """URL of the instance, without query."""
        return f"{self.series_url}/instances/{self.instance}"

    @property
    def frame_url(self) -> str:
        """URL of the frame, without query."""
        return f"{self.instance_url}/frames/{self.frame}"
