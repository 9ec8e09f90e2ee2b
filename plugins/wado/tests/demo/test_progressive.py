from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadstone import Session
from loadstone_wado.demo.exhibits import Exhibit
from loadstone_wado.demo.progressive import load_by_stages
from loadstone_wado.demo.series import write_series
from loadstone_wado.server import DicomWebServer

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_of_a_volume_that_gets_better(tmp_path: Path) -> None:
    """Each picture is nearer to the last one, that of the whole volume; labels count what is there."""
    header = write_series(tmp_path)
    with DicomWebServer(tmp_path) as server, Session(proxy="") as session:
        url = f"{server.url}/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
        outcomes = load_by_stages(session, Exhibit("by stages", "MR", f"wadors:{url}", by_stages=True))
        volume = session.load_volume(f"wadors:{url}")

    pictures = [each.image.pixels.astype(float) for each in outcomes if each.image is not None]
    distances = [np.abs(each - pictures[-1]).mean() for each in pictures]
    assert [each.exhibit.what.partition(":")[0] for each in outcomes] == [
        "initial",
        "quarter fast",
        "half fast",
        "all final",
    ]
    assert outcomes[0].exhibit.what == "initial: 3 final, 6 copied"
    assert outcomes[-1].exhibit.what == "all final: 24 final"
    assert distances == sorted(distances, reverse=True)
    assert np.array_equal(pictures[-1], volume.array[:, volume.shape[1] // 2, :])
