from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from loadstone._plugins.index import COMMANDS, IMAGES, Candidate
from loadstone._plugins.trial import try_plugin

if TYPE_CHECKING:
    from core.tests.plugins.builders import Site


def claim(site: Site, code: str = "", *, group: str = IMAGES) -> Candidate:
    """Install a plugin and return its claim."""
    module = site.add(code=code)
    return Candidate(group, "acme", module, "acme-loader", "1.0")


def test_a_trial_says_what_the_import_brought(site: Site) -> None:
    """The modules that the plugin imports are named, and are not imported here."""
    trial = try_plugin(claim(site, "import wave"))

    assert trial.fault == ""
    assert {"acme_loader", "wave"} <= trial.modules
    assert "loadstone" not in trial.modules
    assert "acme_loader" not in sys.modules


def test_an_import_that_never_ends_is_ended(site: Site) -> None:
    """It is told after the time that it may take."""
    trial = try_plugin(claim(site, "import time\ntime.sleep(60)"), seconds=1)

    assert trial.fault == "its import did not end within 1 s"


def test_an_import_that_ends_the_process_is_told(site: Site) -> None:
    """With the code, and the last thing that it said."""
    trial = try_plugin(
        claim(site, "import os, sys\nsys.stderr.write('no licence\\n'); sys.stderr.flush(); os._exit(9)")
    )

    assert trial.fault == "its import ended the process with code 9 no licence"


def test_a_command_is_only_imported(site: Site) -> None:
    """It has no records to be checked."""
    assert try_plugin(claim(site, group=COMMANDS)).fault == ""
    assert "ZeroDivisionError" in try_plugin(claim(site, "1 / 0", group=COMMANDS)).fault


def test_a_malformed_claim_is_not_tried(site: Site) -> None:
    """Its fault is known already."""
    assert (
        try_plugin(Candidate(IMAGES, "x", "no module", "acme", "1", fault="malformed")).fault == "malformed"
    )
