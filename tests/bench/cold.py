"""The folders again, read from the disk each time: no promise, since the disk decides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.bench.contest import Contest
from tests.bench.folders import bare_reads, loaded, pydicom_volume, simpleitk_volume
from tests.bench.page_cache import can_forget, forget
from tests.bench.phantom import HEADERS, ct_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["cold_contests"]


def cold_contests(root: Path) -> Iterator[Contest]:
    """300 uncompressed slices of which nothing is in the page cache, for each kind of header."""
    for header in HEADERS:
        folder = ct_folder(root, header)
        files = sorted(folder.glob("*.dcm"))
        if not can_forget(files):
            print("(no cold rows: the system does not forget files when it is asked to)")
            return
        for name, peer in (("pydicom", pydicom_volume), ("SimpleITK", simpleitk_volume)):
            yield Contest(
                f"folder of 300 slices, headers of {header}, cold",
                name,
                partial(loaded, f"dicomfile:{folder}"),
                partial(peer, folder),
                goal=None,
                bare=bare_reads(folder),
                before=partial(forget, files),
            )
