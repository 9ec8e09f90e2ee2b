"""
Objects whose headers lie: loaded in a process of its own, whose memory is bounded and measured.

``python -m tests.bad_input.hostile FOLDER`` writes each object there, loads it in every way, and prints a
line of JSON for each. It gets no more address space than a loader needs that believes no header.
"""

from __future__ import annotations

import gc
import json
import resource
import struct
import sys
import time
import tracemalloc
import warnings
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from loadstone import DecodeError, IntegrityError, LimitError, MetadataError, Session, UnsupportedError
from plugins.wado.tests.builders import encapsulated, image, items_of, part10

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20
SPARE_BYTES = 2048 * MIB
"""Address space beyond what the interpreter has: stacks and arenas of threads, less than headers claim."""
UNDEFINED = b"\xff\xff\xff\xff"
PIXELS = np.arange(60, dtype=np.uint16).reshape(6, 10)


TYPED = {each.__name__ for each in (DecodeError, IntegrityError, LimitError, MetadataError, UnsupportedError)}


@dataclass(frozen=True)
class Outcome:
    """What became of loading a hostile object."""

    name: str
    """Which one."""
    error: str
    """Class of the error; empty if it was loaded."""
    text: str
    """What the error says."""
    seconds: float
    """How long all ways took together."""
    traced_mib: float
    """Most memory that Python and numpy had allocated at a time, beyond what they had before."""
    resident_mib: float
    """The same of the process, as the system counts it."""
    left: str
    """What the session has still reserved, pinned or kept, and how many more files are open."""


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Return an element in explicit VR with a 32-bit length, which may lie."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + vr + b"\0\0" + struct.pack("<I", len(value) if length is None else length) + value


def without_pixels(**attributes: Any) -> bytes:
    """Return the object up to its pixel data."""
    dataset = image(PIXELS, **attributes)
    del dataset.PixelData
    return part10(dataset, ExplicitVRLittleEndian)


def huge_native() -> bytes:
    """Claim 3 GB of pixels in the element, and as many by rows and columns, and have 60 bytes."""
    data = without_pixels(Rows=16384, Columns=16384)
    return data + element(0x7FE00010, b"OW", b"\1" * 60, 0xC0000000)


def huge_frames() -> bytes:
    """Claim as many frames as are allowed."""
    return without_pixels(NumberOfFrames=2**18) + element(0x7FE00010, b"OW", PIXELS.tobytes())


def too_many_frames() -> bytes:
    """Claim two billions of frames."""
    return without_pixels(NumberOfFrames=2**31 - 1) + element(0x7FE00010, b"OW", PIXELS.tobytes())


def huge_codestream(uid: str, codestream: bytes) -> Callable[[], bytes]:
    """Claim a frame of 512 MiB, and have the beginning of a codestream."""

    def made() -> bytes:
        dataset = image(PIXELS, Rows=16384, Columns=16384)
        return encapsulated(dataset, uid, items_of(codestream))

    return made


def huge_fragment() -> bytes:
    """Claim 4 GB in a fragment."""
    return encapsulated(
        image(PIXELS), RLELossless, items_of() + b"\xfe\xff\x00\xe0\xfe\xff\xff\xff" + b"\0" * 60
    )


def huge_basic_table() -> bytes:
    """Claim 4 GB of offsets."""
    return encapsulated(image(PIXELS), RLELossless, b"\xfe\xff\x00\xe0\xfc\xff\xff\xff" + b"\0" * 60)


def far_offsets() -> bytes:
    """Have an offset table that leads beyond any file."""
    dataset = image(np.stack([PIXELS] * 3), frames=3)
    return encapsulated(dataset, RLELossless, items_of(b"\0" * 64, table=(0, 0xFFFFFFF0, 0xFFFFFFF8)))


def far_extended_offsets() -> bytes:
    """The same with the extended one."""
    dataset = image(np.stack([PIXELS] * 3), frames=3)
    dataset.ExtendedOffsetTable = struct.pack("<3Q", 0, 2**63, 2**64 - 8)
    dataset.ExtendedOffsetTableLengths = struct.pack("<3Q", 2**63, 2**62, 8)
    return encapsulated(dataset, RLELossless, items_of(b"\0" * 64))


def many_empty_fragments() -> bytes:
    """Have two million of fragments that hold nothing."""
    return encapsulated(image(PIXELS), RLELossless, items_of() + b"\xfe\xff\x00\xe0\0\0\0\0" * 2_000_000)


def huge_value() -> bytes:
    """Claim 4 GB in a text that is wanted, in front of the pixels."""
    return without_pixels() + element(0x00281201, b"OW", b"\0" * 100, 0xFFFFFFF0)


def deflate_bomb() -> bytes:
    """Inflate to a gigabyte of pixels."""
    dataset = image(PIXELS)
    del dataset.PixelData
    data = part10(dataset, DeflatedExplicitVRLittleEndian)
    start = data.index(b"1.2.840.10008.1.2.1.99")
    position = 132
    while data[position : position + 2] == b"\2\0":
        long = data[position + 4 : position + 6] in {b"OB", b"UN"}
        size = struct.unpack_from("<I" if long else "<H", data, position + (8 if long else 6))[0]
        position += size + (12 if long else 8)
    assert start < position
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    inner = zlib.decompress(data[position:], -zlib.MAX_WBITS)
    packed = packer.compress(inner + element(0x7FE00010, b"OW", b"", 2**30))
    for _ in range(1024):
        packed += packer.compress(bytes(MIB))
    return data[:position] + packed + packer.flush()


def deep(vr: bytes, levels: int, *, wanted: bool, defined: bool = False) -> Callable[[], bytes]:
    """Nest sequences."""
    tag = b"\x30\x92\x00\x52" if wanted else b"\x08\x00\x15\x11"

    def made() -> bytes:
        head = tag + (vr + b"\0\0" if vr else b"")
        value = b""
        if defined:
            for _ in range(levels):
                item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value
                value = head + struct.pack("<I", len(item)) + item
        else:
            value = (head + UNDEFINED + b"\xfe\xff\x00\xe0" + UNDEFINED) * levels
        dataset = image(PIXELS)
        del dataset.PixelData
        return part10(dataset, ExplicitVRLittleEndian if vr else ImplicitVRLittleEndian) + value

    return made


def deep_functional_groups() -> bytes:
    """Nest what frames are described by, deeper than anybody looks, and give the pixels."""
    return deep(b"SQ", 2_000, wanted=True, defined=True)() + element(0x7FE00010, b"OW", b"\1" * 20)


def many_items() -> bytes:
    """Have a million of empty items in the functional groups of one frame."""
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000
    return without_pixels() + element(0x52009230, b"SQ", items) + element(0x7FE00010, b"OW", b"")


def short_palette() -> bytes:
    """Announce 65,536 colours and have one."""
    dataset = image(PIXELS.astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [0, 0, 16])
        setattr(dataset, f"{name}PaletteColorLookupTableData", b"\1\2")
    return part10(dataset)


def palette_that_repeats_nothing() -> bytes:
    """Repeat segments without entries, over and over."""
    dataset = image(PIXELS.astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")
    empty = struct.pack("<2H", 0, 0) * 65535
    again = struct.pack("<4H", 2, 65535, 0, 0) * 65535
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [0, 0, 16])
        setattr(dataset, f"Segmented{name}PaletteColorLookupTableData", empty + again)
    return part10(dataset, ImplicitVRLittleEndian)


def short_modality_table() -> bytes:
    """Announce 65,536 values and have two."""
    table = Dataset()
    table.add_new(0x00283002, "US", [0, 0, 16])
    table.add_new(0x00283006, "OW", b"\1\2\3\4")
    table.ModalityLUTType = "HU"
    return part10(image(PIXELS, ModalityLUTSequence=Sequence([table])))


J2K_SIZE = struct.pack(">HHIIIIIIIIH", 41, 0, 16384, 16384, 0, 0, 16384, 16384, 0, 0, 1) + b"\x0f\1\1"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "huge native pixels": huge_native,
    "the most frames": huge_frames,
    "too many frames": too_many_frames,
    "huge RLE": huge_codestream(RLELossless, struct.pack("<16I", 2, 64, 68, *[0] * 13) + b"\0" * 8),
    "huge RLE offsets": huge_codestream(
        RLELossless, struct.pack("<16I", 2, 64, 2**32 - 1, *[0] * 13) + b"\0" * 8
    ),
    "huge JPEG": huge_codestream(
        JPEGBaseline8Bit,
        b"\xff\xd8\xff\xc0\0\x0b\x08\x40\0\x40\0\1\1\x11\0\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9",
    ),
    "huge JPEG-LS": huge_codestream(
        JPEGLSLossless,
        b"\xff\xd8\xff\xf7\0\x0b\x10\x40\0\x40\0\1\1\x11\0\xff\xda\0\x08\1\1\0\0\0\0\0\xff\xd9",
    ),
    "huge JPEG 2000": huge_codestream(JPEG2000Lossless, b"\xff\x4f\xff\x51" + J2K_SIZE + b"\xff\xd9"),
    "huge HTJ2K": huge_codestream(HTJ2KLossless, b"\xff\x4f\xff\x51" + J2K_SIZE + b"\xff\xd9"),
    "huge fragment": huge_fragment,
    "huge basic table": huge_basic_table,
    "offsets beyond the file": far_offsets,
    "extended offsets beyond the file": far_extended_offsets,
    "many empty fragments": many_empty_fragments,
    "huge value": huge_value,
    "deflate bomb": deflate_bomb,
    "deep sequence": deep(b"SQ", 20_000, wanted=False),
    "deep wanted sequence": deep(b"SQ", 20_000, wanted=True),
    "deep implicit sequence": deep(b"", 20_000, wanted=True),
    "deep unknown sequence": deep(b"UN", 20_000, wanted=True),
    "deep sequence of defined lengths": deep_functional_groups,
    "deep implicit sequence of defined lengths": deep(b"", 2_000, wanted=True, defined=True),
    "many items": many_items,
    "short palette": short_palette,
    "palette that repeats nothing": palette_that_repeats_nothing,
    "short modality table": short_modality_table,
}
"""By what is wrong."""


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Load every object in every way."""
    for name, make in HOSTILE.items():
        path = folder / f"{name}.dcm"
        path.write_bytes(make())
        yield loaded(name, path)
        path.unlink()


def loaded(name: str, path: Path) -> Outcome:
    """Load an image, as it is stored too, and a volume; the first error counts, or the first untyped one."""
    files = open_files()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    resident = status("VmRSS")
    tracemalloc.start()
    started = time.monotonic()
    with Session() as session:
        errors = [
            failure(lambda: session.load_image(path)),
            failure(lambda: session.load_image(path, scaled=False)),
            failure(lambda: session.load_volume(path)),
        ]
        stats = session.cache.stats()
        left = str(stats) if stats.reserved or stats.pinned else ""
    seconds, traced = time.monotonic() - started, tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    grown = status("VmHWM") - resident
    ended = time.monotonic() + 5
    while open_files() > files and time.monotonic() < ended:
        gc.collect()  # a worker may not have left its last call yet
    more = open_files() - files
    found = [each for each in errors if each[0]]
    kind, text = next((each for each in found if each[0] not in TYPED), found[0] if found else ("", ""))
    return Outcome(name, kind, text, seconds, traced, grown, left + f" {more} files" * (more > 0))


def failure(load: Callable[[], object]) -> tuple[str, str]:
    """Return the class and the text of the error that a load ends with; empty if it does not."""
    try:
        load()
    except Exception as error:  # noqa: BLE001 - what it is, is what is looked at
        return type(error).__name__, str(error)
    return "", ""


def open_files() -> int:
    """Count the open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def status(name: str) -> float:
    """Return a size of this process in MiB, as the system counts it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def main(folder: Path) -> None:
    """Warm up, bound the address space, and print an outcome a line."""
    warnings.simplefilter("ignore")
    good = folder / "good.dcm"
    good.write_bytes(part10(image(PIXELS)))
    loaded("good", good)
    most = int(status("VmSize") * MIB) + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for outcome in outcomes(folder):
        print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201 - what the parent reads


if __name__ == "__main__":
    main(Path(sys.argv[1]))
