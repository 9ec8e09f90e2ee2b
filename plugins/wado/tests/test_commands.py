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

if TYPE_CHECKING:
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


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(serve, []), (serve, ["/no/such/folder"]), (serve, [".", "--port", "65536"]), (demo, ["surplus"])],
)
def test_wrong_usage_ends_with_2(command: object, arguments: list[str]) -> None:
    """Missing, impossible and surplus arguments are usage errors."""
    program = typer.Typer()
    program.command()(command)  # type: ignore[type-var]

    assert CliRunner().invoke(program, arguments).exit_code == 2
