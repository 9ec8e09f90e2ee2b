"""Frames that are wanted together, series by series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone_wado.ids import RsUrl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadstone import ImageId

__all__ = ["Wanted", "wanted_by_series"]


class Wanted:
    """
    Frames of one series that have not been given yet, each with the ids that name it.

    Parameters
    ----------
    url
        Of one of them.
    """

    def __init__(self, url: RsUrl) -> None:
        self.url = url
        self._ids: dict[str, dict[int, list[ImageId]]] = {}

    def add(self, url: RsUrl, image_id: ImageId) -> None:
        """Want a frame."""
        self._ids.setdefault(url.instance, {}).setdefault(url.frame, []).append(image_id)

    def got(self, instance: str, frame: int) -> None:
        """Note that a frame was given."""
        frames = self._ids[instance]
        del frames[frame]
        if not frames:
            del self._ids[instance]

    def frames(self, instance: str) -> dict[int, Sequence[ImageId]]:
        """Return the frames of an instance that are still wanted, in their order, each with its ids."""
        return dict(sorted(self._ids.get(instance, {}).items()))

    @property
    def instances(self) -> list[str]:
        """The instances that frames are wanted of."""
        return list(self._ids)

    def __len__(self) -> int:
        """Return how many frames are wanted."""
        return sum(map(len, self._ids.values()))

    def __iter__(self) -> Iterator[ImageId]:
        """Yield all ids of the frames that are wanted."""
        for frames in self._ids.values():
            for ids in frames.values():
                yield from ids


def wanted_by_series(image_ids: Sequence[ImageId]) -> Iterable[Wanted]:
    """Put ids together that lead to the same series, asked for in the same way."""
    series: dict[tuple[str, str], Wanted] = {}
    for image_id in image_ids:
        url = RsUrl.of_image(image_id)
        key = (url.series_url, url.query)
        if key not in series:
            series[key] = Wanted(url)
        series[key].add(url, image_id)
    return series.values()
