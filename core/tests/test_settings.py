from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields

import pytest

from loadstone import LoadstoneError, Session, Settings
from loadstone.settings import memory_limit


def test_arguments_win_over_the_environment_which_wins_over_defaults() -> None:
    """Each setting comes from the nearest place that says something."""
    settings = Settings.from_environment(
        {"LOADSTONE_CACHE_BYTES": "1000", "LOADSTONE_HOST_PERMITS": "3", "LOADSTONE_STALL_SECONDS": "1.5"},
        host_permits=4,
    )

    assert (settings.cache_bytes, settings.host_permits, settings.stall_seconds) == (1000, 4, 1.5)
    assert settings.file_permits == Settings().file_permits


def test_every_setting_can_be_read_from_the_environment() -> None:
    """The variable is LOADSTONE_ and the name in capitals."""
    values = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}
    environment = {f"LOADSTONE_{name.upper()}": str(value) for name, value in values.items()}

    assert Settings.from_environment(environment) == Settings()


@pytest.mark.parametrize("text", ["", "many", "1.5", "0x10", "1e9"])
def test_a_variable_that_is_no_number_is_named(text: str) -> None:
    """The error says which variable, and what it holds."""
    with pytest.raises(LoadstoneError, match="LOADSTONE_CACHE_BYTES"):
        Settings.from_environment({"LOADSTONE_CACHE_BYTES": text})


@pytest.mark.parametrize(
    ("name", "value"),
    [("cache_bytes", -1), ("host_permits", 0), ("attempts", 0), ("stall_seconds", float("nan"))],
)
def test_what_makes_no_sense_is_refused(name: str, value: float) -> None:
    """A limit of nothing would hang, so it is an error that names the setting."""
    with pytest.raises(LoadstoneError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type] # any field


def test_settings_are_frozen_values_that_pickle() -> None:
    """They go to other processes as they are."""
    settings = Settings(cache_bytes=5).replace(host_permits=2)

    assert pickle.loads(pickle.dumps(settings)) == settings
    with pytest.raises(FrozenInstanceError):
        settings.cache_bytes = 6  # type: ignore[misc] # what is tested


@pytest.mark.parametrize(
    ("name", "value"),
    [("cache_bytes", "2GiB"), ("cache_bytes", 1.5), ("attempts", True), ("proxy", 5), ("stall_seconds", "1")],
)
def test_a_value_is_of_the_kind_of_its_setting(name: str, value: object) -> None:
    """A text where a number belongs is refused at once, not at the first load."""
    with pytest.raises(LoadstoneError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type] # what is tested


def test_a_session_takes_settings_and_single_changes() -> None:
    """Overrides apply on top of given settings, or of the environment."""
    with Session(Settings(cache_bytes=500), host_permits=2) as session:
        assert (session.settings.cache_bytes, session.settings.host_permits) == (500, 2)
        assert session.cache.budget == 500


def test_a_session_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the variables count."""
    monkeypatch.setenv("LOADSTONE_CACHE_BYTES", "12345")
    with Session() as session:
        assert session.cache.budget == 12345


def test_the_default_budget_is_a_quarter_of_the_memory() -> None:
    """Of the container's limit, where there is one."""
    assert Settings().cache_bytes == memory_limit() // 4


def test_one_of_many_processes_takes_a_share() -> None:
    """A small budget stays as it is."""
    assert Settings(cache_bytes=2**40).for_worker().cache_bytes == 256 * 2**20
    assert Settings(cache_bytes=1000).for_worker().cache_bytes == 1000
    assert Settings().for_worker().compute_permits == 1
