from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
import typer
from typer.testing import CliRunner

from loadstone.cli import main
from loadstone_wado.commands import demo, serve
from loadstone_wado.demo.samples import dicom_sample
from loadstone_wado.server import DicomWebServer
from plugins.wado.tests.studies import SERIES, STUDY, contents, ct_series, series_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = (sys.executable, "-c", "import sys; from loadstone.cli import main; sys.exit(main())")


def test_serve_answers_until_interrupted() -> None:
    """`loadstone serve` says where it listens, answers there, and ends with 0 on Ctrl-C."""
    arguments = ["serve", str(dicom_sample("CT_small.dcm")), "--port", "0"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        counted = server.stdout.readline()
        url = server.stdout.readline().split()[-1]
        with urlopen(f"{url}/studies") as answer:
            studies = json.load(answer)
        server.send_signal(signal.SIGINT)
        code = server.wait(timeout=20)

    assert counted == "serving 1 instances\n"
    assert len(studies) == 1
    assert code == 0


def test_serve_refuses_a_folder_without_dicom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without an instance is an error in one line that names it."""
    code = main(["serve", str(tmp_path), "--port", "0"])

    assert code == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_serve_refuses_a_taken_port(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that somebody else listens on is an error in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(["serve", str(dicom_sample("CT_small.dcm")), "--port", str(port)])

    assert code == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture
def pacs() -> Iterator[str]:
    """Return the root of a service with a CT and a PET series."""
    other = {"SeriesInstanceUID": "1.2.3.2", "SOPInstanceUID": "1.2.3.2.1", "Modality": "PT"}
    datasets = [*ct_series(3, SeriesNumber=7), *ct_series(1, **other)]
    with DicomWebServer(contents(datasets)) as server:
        yield server.url


def test_series_lists_ids_to_load(pacs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`loadstone series` prints a line a series, with its id; filters and limit narrow it."""
    code = main(["series", pacs])
    listed = capsys.readouterr().out.splitlines()
    main(["series", pacs, "-w", "Modality=PT", "--study", STUDY])
    narrowed = capsys.readouterr().out
    main(["series", pacs, "--limit", "1"])

    assert code == 0
    assert f"wadors:{pacs}{series_path()}" in "".join(listed)
    assert len([line for line in listed if "wadors:" in line]) == 2
    assert "1.2.3.2" in narrowed
    assert "CT" not in narrowed
    assert capsys.readouterr().out.count("wadors:") == 1


def test_series_for_programs(pacs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, a program gets what it needs to load a series."""
    main(["series", pacs, "-w", "Modality=CT", "--json"])
    (row,) = json.loads(capsys.readouterr().out)

    assert row == {
        "id": f"wadors:{pacs}{series_path()}",
        "modality": "CT",
        "description": "",
        "number": 7,
        "images": 3,
        "study": STUDY,
        "series": SERIES,
    }


def test_series_refuses_what_is_no_attribute(pacs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt filter is an error that says what may be meant."""
    assert main(["series", pacs, "-w", "Modalty=CT"]) == 1
    assert "Modality" in capsys.readouterr().err
    assert main(["series", pacs, "-w", "Modality"]) == 2


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(serve, []), (serve, ["/no/such/folder"]), (serve, [".", "--port", "65536"]), (demo, ["surplus"])],
)
def test_wrong_usage_ends_with_2(command: object, arguments: list[str]) -> None:
    """Missing, impossible and surplus arguments are usage errors."""
    program = typer.Typer()
    program.command()(command)  # type: ignore[type-var]

    assert CliRunner().invoke(program, arguments).exit_code == 2
