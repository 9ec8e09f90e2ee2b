"""Headers that lie cost neither memory nor time: a typed error at once, and nothing stays."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.bad_input.hostile import HOSTILE, TYPED, Outcome
from tests.builders import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

SECONDS = 10.0
RESIDENT_MIB = 64.0
"""Memory beyond that of a good load."""
MORE_RESIDENT_MIB = {
    "deflate bomb": 2 * 210.0,
    **dict.fromkeys(["huge JPEG", "huge JPEG-LS", "huge JPEG 2000", "huge HTJ2K"], 512.0 + RESIDENT_MIB),
}
"""Twice the limit, for what inflates is joined; the limit, where a codestream says the same as its header."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Load all objects in a process with little memory."""
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, "-m", "tests.bad_input.hostile", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert run.returncode == 0, run.stderr
    found = [Outcome(**json.loads(line)) for line in run.stdout.splitlines()]
    return {each.name: each for each in found}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_lies(outcomes: dict[str, Outcome], name: str) -> None:
    """The error is typed and names the file; time, memory and open files are bounded."""
    outcome = outcomes[name]

    assert outcome.error in TYPED, outcome.text
    assert f"{name}.dcm" in outcome.text
    assert "not enough memory" not in outcome.text
    assert outcome.seconds < SECONDS
    assert outcome.resident_mib < MORE_RESIDENT_MIB.get(name, RESIDENT_MIB)
    assert outcome.left == ""
