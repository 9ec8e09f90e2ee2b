"""What the README promises on its first screen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the first piece of the README in a language."""
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```$", README)
    assert found is not None
    return found[1]


def test_script_prints_what_the_readme_says(tmp_path: Path) -> None:
    """The script runs as it stands, from any folder, without a warning, and prints what is shown below it."""
    script = tmp_path / "script.py"
    script.write_text(block("python"), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == block("text")


def test_script_is_short() -> None:
    """About ten lines show what Loadstone is for."""
    lines = [line for line in block("python").splitlines() if line]

    assert len(lines) <= 12


def test_links_lead_to_files() -> None:
    """Every relative link names something that is there."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
