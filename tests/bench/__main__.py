"""Run the benchmarks and print one table: ``python -m tests.bench [folder] [series]``."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from pathlib import Path

from tests.bench.contest import Outcome, run
from tests.bench.contests import folder_contests, series_contests

PARTS = {"folder": folder_contests, "series": series_contests}
LIBRARIES = ("loadstone", "numpy", "pydicom", "SimpleITK", "dicomweb-client", "imagecodecs")
COLUMNS = f"{'work':<46} {'peer':<16} {'ours ms':>8} {'peer ms':>8} {'ratio':>6} {'spread':>12} {'goal':>5}"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which; default: all")
    parser.add_argument("--pairs", type=int, default=7, help="runs of each, in turn (default 7)")
    parser.add_argument(
        "--data", type=Path, default=Path("bench-data"), help="where the data is kept (default bench-data)"
    )
    wishes = parser.parse_args()
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES))
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {wishes.pairs} runs of each in turn\n"
    )
    print(COLUMNS)
    for part in wishes.parts or PARTS:
        for contest in PARTS[part](wishes.data):
            print(_row(run(contest, wishes.pairs)), flush=True)


def _row(outcome: Outcome) -> str:
    contest, ratios = outcome.contest, outcome.ratios
    spread = f"{ratios[0]:.1f}-{ratios[-1]:.1f}"
    return (
        f"{contest.work:<46} {contest.peer:<16} {outcome.ours:8.0f} {outcome.theirs:8.0f} "
        f"{outcome.ratio:6.1f} {spread:>12} {contest.goal:5.1f}"
    )


if __name__ == "__main__":
    main()
