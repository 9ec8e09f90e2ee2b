from __future__ import annotations

import pickle

import pytest

from loadstone._plugins import PluginPolicy
from loadstone.errors import LoadstoneError


def test_without_variables_everything_may_be_used() -> None:
    """The default allows all, prefers nothing and is not strict."""
    policy = PluginPolicy.from_environment({})

    assert policy == PluginPolicy()
    assert not policy.refusal("anything")


def test_reads_the_switches_with_names_normalised() -> None:
    """Names compare as package indexes compare them."""
    policy = PluginPolicy.from_environment(
        {
            "LOADSTONE_PLUGINS": " Acme_Nifti, loadstone.web ,",
            "LOADSTONE_DISABLE_PLUGINS": "LOADSTONE--WEB",
            "LOADSTONE_PREFER": "NIfTI=Acme.Nifti , .nii=acme_nifti",
            "LOADSTONE_STRICT": "Yes",
        }
    )

    assert policy.only == frozenset({"acme-nifti", "loadstone-web"})
    assert policy.disabled == {"loadstone-web"}
    assert policy.prefer == {"nifti": "acme-nifti", ".nii": "acme-nifti"}
    assert policy.strict


def test_an_empty_allow_list_allows_nothing() -> None:
    """Set but empty is different from not set."""
    policy = PluginPolicy.from_environment({"LOADSTONE_PLUGINS": ""})

    assert policy.only == frozenset()
    assert "LOADSTONE_PLUGINS" in policy.refusal("loadstone-web")


def test_disabled_wins_over_allowed() -> None:
    """A distribution on both lists may not be used, and the reason names the switch."""
    policy = PluginPolicy(only=frozenset({"acme"}), disabled=frozenset({"acme"}))

    assert "LOADSTONE_DISABLE_PLUGINS" in policy.refusal("ACME")


@pytest.mark.parametrize("text", ["", "0", "false", "No", "OFF", " off "])
def test_words_for_off(text: str) -> None:
    """What reads as off is off; '0' is no truth."""
    assert not PluginPolicy.from_environment({"LOADSTONE_STRICT": text}).strict


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LOADSTONE_PLUGINS", "acme nifti"),
        ("LOADSTONE_PLUGINS", "../acme"),
        ("LOADSTONE_DISABLE_PLUGINS", "acme;web"),
        ("LOADSTONE_PREFER", "nifti"),
        ("LOADSTONE_PREFER", "nifti="),
        ("LOADSTONE_PREFER", "=acme"),
        ("LOADSTONE_PREFER", "nifti=acme,NIFTI=other"),
        ("LOADSTONE_STRICT", "perhaps"),
    ],
)
def test_malformed_switches_are_named(variable: str, text: str) -> None:
    """A switch that cannot be understood is an error with its name and text, never a guess."""
    with pytest.raises(LoadstoneError, match=variable) as caught:
        PluginPolicy.from_environment({variable: text})

    assert repr(text) in str(caught.value)


def test_pickles() -> None:
    """A policy goes to other processes with the settings."""
    policy = PluginPolicy(only=frozenset({"a"}), prefer={"nifti": "acme"}, strict=True)

    assert pickle.loads(pickle.dumps(policy)) == policy
