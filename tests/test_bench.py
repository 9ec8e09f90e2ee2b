"""What the benchmarks rest on: data that are made once, and files that the system has forgotten."""

from __future__ import annotations

import re
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.contest import Contest, run
from tests.bench.kept import kept_folder
from tests.bench.page_cache import can_forget, forget, kept_share

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
def write(folder, text="old"):
    (folder / "data.txt").write_text(text, encoding="ascii")
"""


def write_by(source: Path, code: str) -> Any:
    """Return the function of a module that is written to a file first."""
    source.write_text(code, encoding="ascii")
    names: dict[str, Any] = {}
    exec(compile(code, str(source), "exec"), names)
    return names["write"]


def test_kept_data_are_made_anew_when_what_makes_them_changes(tmp_path: Path) -> None:
    """Other code or other settings write again; comments do not."""
    made = list[str]()
    for code, settings in (
        (WRITER, {}),
        ("# a comment\n" + WRITER, {}),
        (WRITER.replace("old", "new"), {}),
        (WRITER.replace("old", "new"), {"text": "set"}),
    ):
        write = write_by(tmp_path / "writer.py", code)
        folder = kept_folder(tmp_path, "data", partial(write, **settings))
        made.append((folder / "data.txt").read_text(encoding="ascii"))
        (folder / "data.txt").write_text("kept", encoding="ascii")

    assert made == ["old", "kept", "new", "set"]


def test_data_of_before_there_were_marks_are_taken_as_they_are(tmp_path: Path) -> None:
    """Nothing that takes minutes to make is thrown away without need."""
    (tmp_path / "data").mkdir()
    folder = kept_folder(tmp_path, "data", shutil.rmtree)

    assert folder.is_dir()


def test_half_a_folder_is_written_anew(tmp_path: Path) -> None:
    """A run that was interrupted leaves nothing that a later one would take for data."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_folder(tmp_path, "data", fail)
    folder = kept_folder(tmp_path, "data", lambda folder: (folder / "whole").touch())

    assert [each.name for each in folder.iterdir()] == ["whole"]


def test_forgotten_files_are_read_from_the_disk(tmp_path: Path) -> None:
    """What was written is in memory, until the system is asked to forget it."""
    files = [tmp_path / "one", tmp_path / "two"]
    for file in files:
        file.write_bytes(bytes(300_000))
    kept = kept_share(files)
    if not can_forget(files):
        pytest.skip("this system or disk does not forget")
    files[0].read_bytes()
    half = kept_share(files)
    forget(files)

    assert kept == 1
    assert half == pytest.approx(0.5, abs=0.01)
    assert kept_share(files) == 0


def test_each_measured_run_is_prepared_and_unequal_results_are_an_error() -> None:
    """Both sides and the bare limit start from the same state; the fastest bare way counts."""
    calls = list[str]()
    contest = Contest(
        "work",
        "peer",
        ours=lambda: calls.append("ours"),
        theirs=lambda: calls.append("theirs"),
        goal=None,
        bare=[lambda: calls.append("bare")],
        before=lambda: calls.append("before"),
    )
    outcome = run(contest, 2)
    measured = " ".join(calls)

    assert re.fullmatch(r"(ours theirs ){2}(before ours before theirs ){2}(before bare ?){3}", measured)
    assert outcome.bare is not None
    with pytest.raises(AssertionError, match="do not give the same"):
        run(Contest("work", "peer", ours=lambda: 1, theirs=lambda: 2, goal=None), 1)
