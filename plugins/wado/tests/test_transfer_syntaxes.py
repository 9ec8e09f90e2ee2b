from __future__ import annotations

import pytest

from loadstone_wado.transfer_syntaxes import name_of


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.1.2", "Implicit VR Little Endian (1.2.840.10008.1.2)"),
        ("1.2.840.113619.99", "1.2.840.113619.99"),
        ("", "(none)"),
        ("1.2.3\0\x10\0PNDoe^Jane", "1.2.3…"),
        ("1" * 65, "1" * 64 + "…"),
    ],
)
def test_what_is_shown_of_a_uid(uid: str, name: str) -> None:
    """A UID has its name; what a wrong length put behind it, names of people too, is left out."""
    assert name_of(uid) == name
