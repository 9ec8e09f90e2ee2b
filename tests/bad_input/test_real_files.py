"""Files that are bad on purpose: what each of them gives, soon, and that nothing is kept of it."""

from __future__ import annotations

import time

import pytest

from loadstone import LoadstoneError, Session
from tests.builders import real_data

pytestmark = pytest.mark.filterwarnings("ignore")  # of what pydicom says about them

SECONDS = 10.0
HEADER_BYTES = 64 * 1024
"""What may be kept of a file whose frame cannot be had: its header."""
BAD = {
    "3gb-bulk-data-truncated": "MetadataError",
    "ExplVR_BigEndNoMeta.dcm": "UnsupportedError",
    "ExplVR_LitEndNoMeta.dcm": "UnsupportedError",
    "J2K_pixelrep_mismatch.dcm": "",
    "JPEG2000-embedded-sequence-delimiter.dcm": "IntegrityError",
    "MR_truncated.dcm": "IntegrityError",
    "OT-PAL-8-face.dcm": "",
    "UN_sequence.dcm": "UnsupportedError",
    "badVR.dcm": "MetadataError",
    "bad_sequence.dcm": "",
    "empty_charset_LEI.dcm": "UnsupportedError",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "",
    "explicit_VR-UN.dcm": "",
    "meta_missing_tsyntax.dcm": "MetadataError",
    "nested_priv_SQ.dcm": "MetadataError",
    "no-meta-length-test.dcm": "UnsupportedError",
    "no-pixel-data.dcm": "UnsupportedError",
    "no_meta.dcm": "DecodeError",
    "no_meta_group_length.dcm": "UnsupportedError",
    "priv_SQ.dcm": "UnsupportedError",
    "rtplan_truncated.dcm": "IntegrityError",
    "zipMR.gz": "UnsupportedError",
}
"""File to error; empty where it loads all the same."""


@pytest.mark.parametrize("name", BAD)
def test_each_bad_file(name: str) -> None:
    """The error is typed, at once, and names the file; nothing of it is cached."""
    path = real_data("dicom", "bad", name)
    started = time.monotonic()
    with Session() as session:
        try:
            session.load_image(f"dicomfile:{path}")
            ended, source = "", str(path)
        except LoadstoneError as error:
            ended, source = type(error).__name__, error.source
        stats = session.cache.stats()

    assert time.monotonic() - started < SECONDS
    assert ended == BAD[name]
    assert str(path) in source
    assert stats.reserved == stats.pinned == 0
    if ended:
        assert stats.kept < HEADER_BYTES


def test_no_bad_file_is_forgotten() -> None:
    """The table above has every file."""
    assert {path.name for path in real_data("dicom", "bad").iterdir()} == set(BAD)
