"""The contracts pass right plugins, and for each wrong one exactly the check fails that it is wrong for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from core.tests.testing.wrong_loaders import RIGHT, TABLE
from core.tests.testing.wrong_packages import PACKAGES

if TYPE_CHECKING:
    from core.tests.testing.wrong_loaders import Case

# Whichever test comes first runs all the contracts.
pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parent
Outcomes = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run the contracts once; class to check to what came of it: passed, skipped, failure or error."""
    report = tmp_path_factory.mktemp("contracts") / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"),
            HERE / "run_contracts.py",
        ],
        cwd=HERE.parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("LOADSTONE_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.is_file(), done.stdout + done.stderr
    found: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = [each.tag for each in case if each.tag in {"skipped", "failure", "error"}]
        name = case.attrib["classname"].rpartition(".")[2]
        found.setdefault(name, {})[case.attrib["name"]] = (kinds or ["passed"])[0]
    return found


def failed(outcomes: dict[str, str]) -> list[str]:
    return [check for check, outcome in outcomes.items() if outcome in {"failure", "error"}]


def name_of(case: Case) -> str:
    return f"{case.contract.__name__}-{case.check}"


@pytest.mark.parametrize("name", RIGHT)
def test_right_loaders_pass(outcomes: Outcomes, name: str) -> None:
    """No check fails for a loader that does everything right."""
    assert failed(outcomes[name]) == []


@pytest.mark.parametrize("number", range(len(TABLE)), ids=map(name_of, TABLE))
def test_a_wrong_loader_fails_its_check_alone(outcomes: Outcomes, number: int) -> None:
    """The check fails that says what is wrong, and no other one."""
    assert failed(outcomes[f"TestWrong{number}"]) == [TABLE[number].check]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wrong_package_fails_its_check_alone(outcomes: Outcomes, name: str) -> None:
    """The same for packages, of which one is right."""
    assert failed(outcomes[name]) == [each for each in [PACKAGES[name].check] if each]


@pytest.mark.parametrize("name", [*RIGHT, "TestRightPackage"])
def test_each_check_can_fail(outcomes: Outcomes, name: str) -> None:
    """The tables have something wrong for every check of every contract."""
    kind = "Images" if "Images" in name else "Volumes" if "Volumes" in name else "Package"
    wrong = {each.check for each in TABLE if each.contract.__name__.endswith(kind)}
    wrong |= {each.check for each in PACKAGES.values() if each.check and kind == "Package"}

    assert set(outcomes[name]) == wrong


@pytest.mark.parametrize("kind", ["Images", "Volumes", "Package"])
def test_every_check_runs_for_something_right(outcomes: Outcomes, kind: str) -> None:
    """No check is one that is always skipped."""
    right = [outcomes[name] for name in [*RIGHT, "TestRightPackage"] if kind in name]
    passed = {check for each in right for check, outcome in each.items() if outcome == "passed"}

    assert passed == set(right[0])
