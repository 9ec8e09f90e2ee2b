"""How time grows with the amount of work: ``python -m tests.bench.growth [--plot FILE.svg]``."""

from __future__ import annotations

import argparse
import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import loadstone
from loadstone.testing import PluginSandbox
from tests.bench.kept import kept_folder
from tests.bench.phantom import write_enhanced, write_series
from tests.bench.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Growth", "growths"]

SMALL = 64
"""Rows and columns of an image: the smaller, the more counts what each image costs beside its bytes."""
LARGEST_EXPONENT = 1.15
IMAGES_A_THREAD = 100

_Prepared = AbstractContextManager[Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Growth:
    """Times for several amounts of one kind of work."""

    what: str
    """What there is more of."""
    amounts: Sequence[int]
    """How many."""
    milliseconds: Sequence[float]
    """The fastest of three runs each."""

    @property
    def exponent(self) -> float:
        """Slope of the line through all points, both axes logarithmic."""
        return float(np.polyfit(np.log(self.amounts), np.log(self.milliseconds), 1)[0])


def growths(root: Path) -> Iterator[Growth]:
    """Measure everything that must not grow faster than the work."""
    yield _growth("instances of a series", (100, 1000, 10_000), partial(_instances, root))
    yield _growth("frames of an object", (100, 1000, 10_000), partial(_frames, root))
    yield _growth("installed plugins", (2, 20, 200), _plugins)
    folder = kept_folder(root, "small-series-256", partial(write_series, count=256, size=SMALL))
    with serving(folder) as (url, study, series):
        series_id = f"wadors:{url}/studies/{study}/series/{series}"
        with loadstone.Session() as session:
            ids = session.image_ids(series_id)
        yield _growth("requests at a time", (1, 4, 16, 64), partial(_requests, ids))
    yield _growth("threads", (1, 4, 16), partial(_threads, folder))


def _growth(what: str, amounts: Sequence[int], prepared: Callable[[int], _Prepared]) -> Growth:
    """Prepare each amount of work, then do it three times."""
    return Growth(what, amounts, [_fastest(prepared(amount)) for amount in amounts])


def _fastest(prepared: _Prepared) -> float:
    with prepared as work:
        return min(_timed(work) for _ in range(3))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _loaded(volume_id: str) -> None:
    with loadstone.Session() as session:
        session.load_volume(volume_id)


def _instances(root: Path, count: int) -> _Prepared:
    folder = kept_folder(root, f"small-series-{count}", partial(write_series, count=count, size=SMALL))
    return nullcontext(partial(_loaded, f"dicomfile:{folder}"))


def _frames(root: Path, count: int) -> _Prepared:
    folder = kept_folder(root, f"small-frames-{count}", partial(write_enhanced, count=count, size=SMALL))
    return nullcontext(partial(_loaded, f"dicomfile:{folder / 'enhanced.dcm'}"))


@contextmanager
def _plugins(count: int) -> Iterator[Callable[[], object]]:
    """Look for plugins among that many, of which none is imported."""
    with tempfile.TemporaryDirectory() as folder, PluginSandbox(Path(folder)) as sandbox:
        for number in range(count):
            points = {"loadstone.image_loaders": {f"scheme{number}": "nothing"}}
            sandbox.install(f"plugin-{number}", entry_points=points)
        yield loadstone.refresh_plugins


def _requests(ids: Sequence[str], count: int) -> _Prepared:
    def work() -> None:
        with loadstone.Session() as session:
            for request in [session.request_image(each) for each in ids[:count]]:
                request.result()

    return nullcontext(work)


def _threads(folder: Path, count: int) -> _Prepared:
    """Have each thread load the same number of images that no other thread asks for."""
    paths = sorted(folder.glob("*.dcm"))

    def work() -> None:
        with loadstone.Session() as session:

            def load(first: int) -> None:
                for number in range(IMAGES_A_THREAD):
                    path = paths[(first + number) % len(paths)]
                    session.load_image(f"dicomfile:{path}", cache=False)

            threads = [threading.Thread(target=load, args=(7 * number,)) for number in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    return nullcontext(work)


def plot(results: Sequence[Growth], file: Path) -> None:
    """Draw all of them, with the line of proportional growth."""
    import matplotlib.pyplot as plt

    pyplot: Any = plt
    pyplot.rcParams["svg.hashsalt"] = "growth"  # the same picture has the same bytes
    columns = math.ceil(len(results) / 2)
    figure, axes = pyplot.subplots(2, columns, figsize=(4 * columns, 6), layout="constrained")
    for axis, growth in zip(axes.flat, results, strict=False):
        axis.loglog(growth.amounts, growth.milliseconds, "o-")
        first, scale = growth.amounts[0], growth.milliseconds[0]
        axis.loglog(growth.amounts, [scale * each / first for each in growth.amounts], "--", color="grey")
        axis.set(title=f"{growth.what}: exponent {growth.exponent:.2f}", xlabel="how many", ylabel="ms")
    for axis in axes.flat[len(results) :]:
        axis.set_axis_off()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Measure, print, and draw if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("bench-data"), help="where the data is kept")
    parser.add_argument("--plot", type=Path, help="an SVG file to draw into")
    wishes = parser.parse_args()
    results = []
    for growth in growths(wishes.data):
        results.append(growth)
        pairs = zip(growth.amounts, growth.milliseconds, strict=True)
        points = ", ".join(f"{amount:,}: {took:,.1f} ms" for amount, took in pairs)
        verdict = "" if growth.exponent <= LARGEST_EXPONENT else f"  above {LARGEST_EXPONENT} !"
        print(f"{growth.what:<24} exponent {growth.exponent:5.2f}   {points}{verdict}", flush=True)
    if wishes.plot:
        plot(results, wishes.plot)


if __name__ == "__main__":
    main()
