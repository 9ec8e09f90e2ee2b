"""The code of documentation pages: found, and run as a reader would."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import CodeType

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

_FENCE: Final = re.compile(r"(?ms)^```(\{code-block\} )?(python|pycon|console)\n(.*?)^```$")
_NOT_RUN: Final = re.compile(r":caption: Not run by the tests: \S.*\n\n?")
_DOCTEST_FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of code on a page."""

    page: Path
    """The page."""
    line: int
    """Number of its first line on the page, from 1."""
    language: str
    """
    ``python`` runs without an error, ``pycon`` is a dialogue whose answers are compared, ``console`` has
    commands behind ``$`` that end well.
    """
    source: str
    """The code."""
    runs: bool
    """Whether the page does not say that the tests leave it out."""

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """Return the Python code of a page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    return [_block(page, text, found) for found in _FENCE.finditer(text)]


def _block(page: Path, text: str, found: re.Match[str]) -> Block:
    source = found[3]
    caption = _NOT_RUN.match(source)
    return Block(
        page=page,
        line=text.count("\n", 0, found.start(3)) + 1,
        language=found[2],
        source=source[caption.end() :] if caption else source,
        runs=caption is None,
    )


def pages_with_code() -> list[Path]:
    """Return the pages that have Python code, the generated ones left out."""
    pages = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
    return [page for page in pages if blocks_of(page)]


def run_page(page: Path) -> None:
    """Run the code of a page in one namespace and in the current folder; raise where something is wrong."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if not block.runs:
            continue
        _RUN[block.language](block, names)


def compiled(block: Block) -> CodeType:
    """Compile a block; ``await`` may stand at its top level, as in a notebook."""
    padding = "\n" * (block.line - 1)  # a traceback shows the line of the page
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: CodeType = compile(padding + block.source, str(block.page), "exec", flags=flags, dont_inherit=True)
    return code


def _run(block: Block, names: dict[str, Any]) -> None:
    code = compiled(block)
    if not code.co_flags & inspect.CO_COROUTINE:
        exec(code, names)
        return

    async def notebook_cell() -> None:
        await eval(code, names)

    asyncio.run(notebook_cell())


def _run_dialogue(block: Block, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(
        block.source, names, block.name, str(block.page), block.line - 1
    )
    said = io.StringIO()
    failed, _ = doctest.DocTestRunner(optionflags=_DOCTEST_FLAGS).run(test, out=said.write, clear_globs=False)
    names.update(test.globs)
    if failed:
        raise AssertionError(said.getvalue())


def _run_commands(block: Block, _: dict[str, Any]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in block.source.splitlines():
        prompt, command, *arguments = shlex.split(line)
        assert prompt == "$"
        variables = os.environ | {"PATH": path}
        subprocess.run([command, *arguments], env=variables, check=True, capture_output=True)


_RUN: Final = {"python": _run, "pycon": _run_dialogue, "console": _run_commands}


def put_samples(folder: Path) -> None:
    """Put the files that the pages use into `folder`, by the script that the pages show."""
    with contextlib.chdir(folder):
        runpy.run_path(str(DOCS / "samples.py"))
