"""The addresses that the server names in its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadstone_wado.server.index import Instance

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the addresses of studies, series, instances, frames and bulk data."""

    root: str
    """Root of the DICOMweb service, without a slash at the end."""

    def study(self, study_uid: str) -> str:
        """Address of a study."""
        return f"{self.root}/studies/{study_uid}"

    def series(self, study_uid: str, series_uid: str) -> str:
        """Address of a series."""
        return f"{self.root}/studies/{study_uid}/series/{series_uid}"

    def instance(self, instance: Instance) -> str:
        """Address of an instance."""
        return f"{self.series(instance.study_uid, instance.series_uid)}/instances/{instance.uid}"

    def frame(self, instance: Instance, number: int) -> str:
        """Address of a frame; `number` counts from 1."""
        return f"{self.instance(instance)}/frames/{number}"

    def bulkdata(self, instance: Instance, path: str) -> str:
        """Address of the value of an element; `path` is ``tag`` or ``tag/item/tag``, items count from 1."""
        return f"{self.instance(instance)}/bulkdata/{path}"
