"""The code on the documentation's pages."""

from __future__ import annotations

import tomllib
from contextlib import chdir
from typing import TYPE_CHECKING

import pytest

import loadstone
from loadstone.testing import PluginSandbox
from tests.docs.pages import DOCS, ROOT, Block, blocks_of, compiled, pages_with_code, put_samples, run_page

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "loadstone-base64"
EXAMPLE_PAGE = DOCS / "write-a-loader.md"
PAGES = [page for page in pages_with_code() if page != EXAMPLE_PAGE]
BLOCKS = [block for page in pages_with_code() for block in blocks_of(page)]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(DOCS)) for page in PAGES])
def test_page_runs(page: Path, tmp_path: Path) -> None:
    """What a reader copies from a page works, from top to bottom, and answers as the page says."""
    put_samples(tmp_path)
    with chdir(tmp_path):
        run_page(page)
    loadstone.default_session().close()


def test_page_about_loaders_runs(tmp_path: Path) -> None:
    """The same where the page's package looks installed, from the very files that the page shows."""
    site, work = tmp_path / "site-packages", tmp_path / "work"
    site.mkdir()
    work.mkdir()
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module = (EXAMPLE / "src/loadstone_base64/__init__.py").read_text(encoding="utf-8")
    with PluginSandbox(site) as sandbox, chdir(work):
        sandbox.install(
            project["name"], entry_points=project["entry-points"], modules={"loadstone_base64": module}
        )
        loadstone.refresh_plugins()
        run_page(EXAMPLE_PAGE)
    loadstone.refresh_plugins()
    loadstone.default_session().close()


@pytest.mark.parametrize("block", [each for each in BLOCKS if not each.runs], ids=lambda block: block.name)
def test_block_that_is_not_run_compiles(block: Block) -> None:
    """Code that needs what the tests have not is Python at least."""
    compiled(block)


def test_no_dialogue_is_left_out() -> None:
    """Answers that nobody compares are worse than none."""
    assert [block.name for block in BLOCKS if block.language == "pycon" and not block.runs] == []
