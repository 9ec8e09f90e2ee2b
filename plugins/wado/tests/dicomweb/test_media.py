from __future__ import annotations

import pytest

from loadstone_wado.dicomweb.media import MediaType


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("", "", {}),
        ("nonsense", "", {}),
        ("Application/DICOM", "application/dicom", {}),
        (
            "application/octet-stream; Transfer-Syntax=1.2",
            "application/octet-stream",
            {"transfer-syntax": "1.2"},
        ),
        (
            'multipart/related; type="application/dicom"; boundary="a b"',
            "multipart/related",
            {"type": "application/dicom", "boundary": "a b"},
        ),
        (
            'multipart/related;boundary=x;type="application/octet-stream; transfer-syntax=1.2.4"',
            "multipart/related",
            {"type": "application/octet-stream", "boundary": "x", "transfer-syntax": "1.2.4"},
        ),
    ],
)
def test_taken_apart(text: str, name: str, parameters: dict[str, str]) -> None:
    """The type is in lower case; parameters are found without quotes, and within the quoted type too."""
    media = MediaType.of(text)

    assert media.name == name
    assert media.parameters == parameters


def test_an_outer_parameter_wins() -> None:
    """What stands outside of the quoted type wins over what stands in it."""
    media = MediaType.of('multipart/related; type="a/b; transfer-syntax=1"; transfer-syntax=2')

    assert media.parameters["transfer-syntax"] == "2"


@pytest.mark.parametrize(
    ("text", "is_text"),
    [
        ("text/html; charset=utf-8", True),
        ("application/json", True),
        ("application/problem+xml", True),
        ("application/dicom", False),
        ("image/jpeg", False),
        ("", False),
    ],
)
def test_text_is_told_from_data(text: str, is_text: bool) -> None:
    """Pages and documents are never pixels."""
    assert MediaType.of(text).is_text is is_text
