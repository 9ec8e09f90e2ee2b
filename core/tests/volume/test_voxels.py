"""Volumes that come as one block, and ids that name several volumes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.builders import WAIT, Stack, make_session
from loadstone import (
    Axis,
    CacheFullError,
    DecodeError,
    GeometryError,
    ImageStack,
    InvalidIdError,
    LimitError,
    LoadstoneError,
    MetadataError,
    PluginContractError,
    Quality,
    UnknownSchemeError,
    Volume,
    VolumeHeader,
    VoxelSource,
)
from loadstone.events import TimePointLoaded, VolumeModified, VolumeWidened
from loadstone.metadata import Scaling
from loadstone.pixels import scale, scale_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from loadstone import LoadContext, Session, VolumeId

AFFINE = np.diag([0.5, 0.75, 3.0, 1.0])
AFFINE[:3, 3] = (10, 20, 30)


class Block:
    """A volume loader of one block, whose images come in a given order."""

    def __init__(
        self,
        stored: npt.NDArray[Any],
        order: Sequence[int | range] | None = None,
        *,
        axes: tuple[str, ...] = ("k", "j", "i"),
        scaling: Scaling = Scaling(),  # noqa: B008 - a frozen value
        **fields: Any,
    ) -> None:
        self.stored = stored
        self.fills = 0
        self.fail_at: int | None = None
        colour = axes[-1] in {"rgb", "rgba"}
        self.slices = stored.reshape(-1, *stored.shape[-3 if colour else -2 :])
        self.order = range(len(self.slices)) if order is None else order
        self.header = VolumeHeader(
            stored.shape, stored.dtype, axes, scaling=scaling, **{"affine": AFFINE, **fields}
        )

    def fill(self, array: npt.NDArray[Any], context: LoadContext) -> Iterator[int | range]:
        """Write the images one by one."""
        self.fills += 1
        into = array.reshape(-1, *self.slices.shape[1:])
        for done in self.order:
            for index in done if isinstance(done, range) else (done,):
                if index == self.fail_at:
                    raise ValueError("the stream broke")
                into[index] = self.slices[index]
            yield done

    def open(self, volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
        """Describe it."""
        return [VoxelSource(str(volume_id), self.header, self.fill)]


def session_of(open_volumes: Callable[..., Any], **settings: Any) -> Session:
    """Return a session that opens ``block:`` volumes."""
    session = make_session(**settings)
    session.registry.register_volume_loader("block", open_volumes)
    return session


def load(block: Block, **keywords: Any) -> Volume:
    """Load a block."""
    with session_of(block.open) as session:
        return session.load_volume("block:1", **keywords)


def counting(shape: tuple[int, ...], dtype: str = "u2") -> npt.NDArray[Any]:
    """Return an array of different values."""
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


@given(
    dtype=st.sampled_from(["u1", "i1", "u2", "i2", "u4", "f4", "f8"]),
    slope=st.sampled_from([1.0, 2.0, 0.5, 1000.0]),
    intercept=st.sampled_from([0.0, -1024.0, 0.5]),
    wanted=st.sampled_from([None, "f4", "f8", "i8", "i2"]),
    scaled=st.booleans(),
    seed=st.randoms(use_true_random=False),
)
def test_whatever_the_order_and_the_types_the_values_are_those_of_the_arithmetic(
    dtype: str,
    *,
    slope: float,
    intercept: float,
    wanted: str | None,
    scaled: bool,
    seed: Any,
) -> None:
    """Stored values, narrower or wider than the result, are scaled within the one block."""
    stored = counting((5, 3, 4), dtype)
    order: list[int | range] = seed.choice([[0, 1, 2, 3, 4], [range(2), 2, range(3, 5)], [range(5)]])
    seed.shuffle(order)
    plan = scale_plan(stored.dtype, slope, intercept, dtype=wanted, scaled=scaled)
    try:
        expected = scale(plan, stored)
    except (LoadstoneError, OverflowError):
        return
    block = Block(stored, order, scaling=Scaling(slope, intercept, "HU"))
    volume = load(block, dtype=wanted, scaled=scaled)

    np.testing.assert_array_equal(volume.array, expected)
    assert volume.dtype == expected.dtype
    assert volume.units == ("HU" if scaled else "")
    assert not volume.array.flags.writeable


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 3, 4, 5), ("t", "k", "j", "i")),
        ((2, 2, 3, 4, 5), ("v", "t", "k", "j", "i")),
        ((3, 4, 5, 3), ("k", "j", "i", "rgb")),
        ((2, 3, 4, 5, 4), ("t", "k", "j", "i", "rgba")),
    ],
)
def test_more_axes(shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    """4-D, 5-D and colour come as they are: a name for every axis, an image for every leading index."""
    stored = counting(shape, "u1")
    volume = load(Block(stored, axes=axes))
    size = 3 if axes[-1].startswith("rgb") else 2

    np.testing.assert_array_equal(volume.array, stored)
    assert volume.axes == axes
    assert len(volume.quality) == np.prod(shape[:-size])
    np.testing.assert_array_equal(volume.image(-1).pixels, stored.reshape(-1, *shape[-size:])[-1])


def test_where_it_lies() -> None:
    """The affine of the header is the volume's, in every form, and places its images."""
    volume = load(Block(counting((2, 3, 4))))
    image = volume.image(1)

    np.testing.assert_array_equal(volume.affine(), AFFINE)
    np.testing.assert_array_equal(volume.affine("RAS"), np.diag([-1, -1, 1, 1]) @ AFFINE)
    np.testing.assert_array_equal(volume.affine(index="kji")[:3, 0], [0, 0, 3])
    assert volume.origin == (10.0, 20.0, 30.0)
    assert (volume.spacing, volume.slice_distance) == ((0.5, 0.75, 3.0), 3.0)
    assert volume.direction is not None
    np.testing.assert_array_equal(volume.direction, np.eye(3))
    assert image.plane.image_position_patient == (10.0, 20.0, 33.0)
    assert image.pixel_spacing == (0.75, 0.5)


def test_where_it_lies_may_be_unknown() -> None:
    """Loading is no error then; asking for the affine is."""
    volume = load(Block(counting((2, 3, 4)), affine=None, spacing=(1.0, 2.0, None)))

    assert (volume.origin, volume.direction, volume.slice_distance) == (None, None, None)
    assert volume.spacing == (1.0, 2.0, None)
    assert "1x2x?" in repr(volume)
    assert volume.image(0).pixel_spacing is None
    with pytest.raises(GeometryError, match="unknown"):
        volume.affine()


def test_its_header_and_findings_are_passed_on() -> None:
    """Every image gives the header of the block."""
    volume = load(Block(counting((2, 3, 4)), header=lambda: "the header"))

    assert volume.header() == volume.header(1) == volume.image(0).header() == "the header"
    assert str(volume.geometry) is not None


def test_it_fills_image_by_image() -> None:
    """What is final is final while the rest is still to come."""
    gate, block = threading.Event(), Block(counting((3, 2, 2)) + 1, scaling=Scaling(0.5, 0))

    def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int | range]:
        for index in block.fill(array, context):
            yield index
            assert gate.wait(WAIT)

    with session_of(lambda i, _: [VoxelSource(str(i), block.header, fill)]) as session:
        modified = threading.Event()
        session.subscribe(VolumeModified, lambda _: modified.set())
        handle = session.request_volume("block:1")
        volume = next(handle.partials())
        assert modified.wait(WAIT)
        quality = volume.quality
        first = volume.array[0].copy()
        gate.set()
        handle.result(WAIT)

    assert quality.tolist() == [Quality.FULL, 0, 0]
    np.testing.assert_array_equal(first, volume.array[0])


def test_images_that_are_done_together_are_told_together() -> None:
    """A range is one event; the time points in it are told one by one."""
    block = Block(counting((3, 4, 2, 2)) + 1, [range(6), range(6, 12)], axes=("t", "k", "j", "i"))
    told: list[Any] = []
    with session_of(block.open) as session:
        session.subscribe(VolumeModified, lambda event: told.append(event.indices))
        session.subscribe(TimePointLoaded, lambda event: told.append(event.place))
        volume = session.load_volume("block:1")

    assert told == [tuple(range(6)), (0,), tuple(range(6, 12)), (1,), (2,)]
    np.testing.assert_array_equal(volume.array, block.stored)


class TestFailure:
    def test_what_arrived_stays_and_the_rest_is_zero(self) -> None:
        """A broken stream is an error that carries the volume."""
        block = Block(counting((4, 2, 2)) + 1, scaling=Scaling(0.5, 0))
        block.fail_at = 2
        with pytest.raises(DecodeError, match="the stream broke") as caught:
            load(block)

        assert caught.value.missing == (2, 3)
        assert caught.value.volume is not None
        np.testing.assert_array_equal(caught.value.volume.array[:2], (counting((2, 2, 2)) + 1) / 2)
        assert not caught.value.volume.array[2:].any()

    def test_loading_again_fills_it_anew(self) -> None:
        """A block is filled as a whole; a complete one is left alone."""
        block = Block(counting((4, 2, 2)))
        block.fail_at = 2
        with session_of(block.open) as session:
            volume = session.load_volume("block:1", errors="collect")
            block.fail_at = None
            volume.load()
            volume.load()

            np.testing.assert_array_equal(volume.array, block.stored)
            assert block.fills == 2

    def test_one_that_does_not_fit_is_widened(self) -> None:
        """A block whose values leave its dtype is filled again into a wider one."""
        stored = np.full((3, 2, 2), 65535, "u2")
        block, widened = Block(stored, scaling=Scaling(1, -1024), bits_stored=16), list[object]()
        with session_of(block.open) as session:
            session.subscribe(VolumeWidened, widened.append)
            volume = session.load_volume("block:1")

            assert str(volume.dtype) == "int32"
            assert (volume.array == 64511).all()
            assert (len(widened), block.fills) == (1, 2)
            assert session.cache.stats().kept == volume.nbytes

    def test_one_that_cannot_be_widened_says_so(self) -> None:
        """Where the budget does not hold the wider block."""
        stored = np.full((3, 2, 2), 65535, "u2")
        block = Block(stored, scaling=Scaling(1, -1024), bits_stored=16)
        with session_of(block.open, cache_bytes=40) as session:
            with pytest.raises(CacheFullError) as caught:
                session.load_volume("block:1")

            assert caught.value.missing == (0, 1, 2)
            assert session.cache.stats().reserved == 0

    @pytest.mark.parametrize(
        "indices",
        [
            [0, 1],
            [],
            [0, 1, 2, 3],
            [0, 1, -1],
            [0, 1, "2"],
            [0, 1, None],
            [0, 0, 1, 1],
            [range(2)],
            [range(4)],
            [range(0)],
            [range(2, -1, -1)],
            [range(0, 3, 2)],
        ],
    )
    def test_indices_that_are_left_out_or_made_up(self, indices: list[Any]) -> None:
        """`fill` must yield the index of every image."""
        header = Block(counting((3, 2, 2))).header
        with (
            session_of(lambda i, _: [VoxelSource(str(i), header, lambda *_: iter(indices))]) as session,
            pytest.raises(PluginContractError, match="fill gave"),
        ):
            session.load_volume("block:1")

    @pytest.mark.parametrize("error", [SystemExit(1), MemoryError(), RecursionError()])
    def test_whatever_fill_raises_is_typed(self, error: BaseException) -> None:
        """Nothing of a plugin reaches the caller untyped."""

        def fill(array: npt.NDArray[Any], context: LoadContext) -> Iterator[int]:
            yield from ()
            raise error

        header = Block(counting((3, 2, 2))).header
        with (
            session_of(lambda i, _: [VoxelSource(str(i), header, fill)]) as session,
            pytest.raises((DecodeError, LimitError)),
        ):
            session.load_volume("block:1")

    def test_a_volume_beyond_all_memory_allocates_nothing(self) -> None:
        """A header's word is checked before it is believed."""
        header = VolumeHeader((2**20, 2**20, 2**20), np.dtype("f8"))
        with session_of(lambda i, _: [VoxelSource(str(i), header, lambda *_: iter(()))]) as session:
            with pytest.raises(LimitError, match="machine"):
                session.load_volume("block:1")
            with pytest.raises(LimitError, match="machine"):
                session.load_volume("block:1", cache=False)

    @pytest.mark.parametrize(
        "header",
        [
            VolumeHeader((2, 3), np.dtype("u1"), ("j", "i")),
            VolumeHeader((2, 3, 4), np.dtype("u1"), ("t", "k", "j", "i")),
            VolumeHeader((2, 0, 4), np.dtype("u1")),
            VolumeHeader((2, -3, 4), np.dtype("u1")),
            VolumeHeader((2, 3, 4, 5), np.dtype("u1"), ("k", "j", "i", "rgb")),
            VolumeHeader((2, 3, 4), np.dtype(object)),
            VolumeHeader((2, 3, 4), np.dtype("u1"), affine=np.full((4, 4), np.nan)),
            VolumeHeader((2, 3, 4), np.dtype("u1"), scaling=Scaling(0, 0)),
            VolumeHeader((2, 3, 4), np.dtype("u1"), coordinates=(Axis("k", (0.0, 1.0, 2.0)),)),
            VolumeHeader((2, 3, 4), np.dtype("u1"), coordinates=(Axis("t", (0.0, 1.0)),)),
            VolumeHeader((2, 3, 4), np.dtype("u1"), coordinates=2 * (Axis("k", (0.0, 1.0)),)),
        ],
    )
    def test_headers_that_make_no_sense(self, header: VolumeHeader) -> None:
        """Nothing is planned from them."""
        with (
            session_of(lambda i, _: [VoxelSource(str(i), header, lambda *_: iter(()))]) as session,
            pytest.raises(LoadstoneError) as caught,
        ):
            session.load_volume("block:1")

        assert type(caught.value) is not DecodeError

    def test_coordinates_are_told(self) -> None:
        """What a header knows of the time points is known of the volume, by the name of the axis."""
        time = Axis("t", (0.0, 2.5), "s", "RepetitionTime")
        block = Block(counting((2, 3, 2, 2)), axes=("t", "k", "j", "i"), coordinates=(time,))

        volume = load(block)

        assert volume.coordinates == {"t": time}
        assert volume.coordinates["t"].array.tolist() == [0.0, 2.5]

    def test_ids_that_do_not_match_the_images(self) -> None:
        """A source names all of its images or none."""
        header = Block(counting((3, 2, 2))).header
        with (
            session_of(
                lambda i, _: [VoxelSource(str(i), header, lambda *_: iter(range(3)), ("a:1",))]
            ) as session,
            pytest.raises(PluginContractError, match="names 1 of 3"),
        ):
            session.load_volume("block:1")


class Folder:
    """A volume loader that finds several volumes."""

    def __init__(self, *counts: int) -> None:
        self.opened = 0
        self.stacks = [
            ImageStack(
                f"folder:/data?stack={number}", tuple(f"slices:{k}" for k in range(count)), f"series {number}"
            )
            for number, count in enumerate(counts, 1)
        ]

    def open(self, volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
        """Describe all of them, or the one that is meant."""
        self.opened += 1
        return [each for each in self.stacks if volume_id in {"folder:/data", each.volume_id}]


def folder_session(folder: Folder, stack: Stack | None = None, **settings: Any) -> Session:
    """Return a session that opens ``folder:``."""
    session = make_session({"slices": (stack or Stack(range(10))).loader()}, **settings)
    session.registry.register_volume_loader("folder", folder.open)
    return session


class TestSeveralVolumes:
    def test_which_is_meant_must_be_said(self) -> None:
        """The error lists ids to paste, each of which loads."""
        with folder_session(Folder(2, 3)) as session:
            with pytest.raises(InvalidIdError, match=r"there are 2 volumes") as caught:
                session.load_volume("folder:/data")
            ids = [word for word in str(caught.value).split() if word.startswith("folder:/data?")]

            assert ids == session.volume_ids("folder:/data")
            assert [len(session.load_volume(each).array) for each in ids] == [2, 3]
            assert "series 2" in str(caught.value)

    def test_all_of_them(self) -> None:
        """`load_volumes` loads each under its own id, opening the place once."""
        folder = Folder(2, 3)
        with folder_session(folder) as session:
            volumes = session.load_volumes("folder:/data")

            assert [volume.volume_id for volume in volumes] == session.volume_ids("folder:/data")
            assert [len(volume.array) for volume in volumes] == [2, 3]
            assert session.load_volume(volumes[1].volume_id) is volumes[1]
            assert folder.opened == 2

    def test_ids_of_all_images(self) -> None:
        """In the order of the loader."""
        with folder_session(Folder(2, 1)) as session:
            assert session.image_ids("folder:/data") == ["slices:0", "slices:1", "slices:0"]

    def test_the_only_one_is_found_under_both_names(self) -> None:
        """The id of the place and the volume's own id name one entry of the cache."""
        folder, stack = Folder(3), Stack(range(3))
        with folder_session(folder, stack) as session:
            first = session.load_volume("folder:/data")
            second = session.load_volume("folder:/data?stack=1")

            assert first is second is session.load_volume("folder:/data")
            assert first.volume_id == "folder:/data?stack=1"
            assert (folder.opened, len(stack.asked)) == (1, 3)
            session.release(first)
            assert session.load_volume("folder:/data") is not first
            assert session.volume_names

    @pytest.mark.parametrize(
        "names", [("folder:/data", "folder:/data?stack=1"), ("folder:/data?stack=1", "folder:/data")]
    )
    def test_pins_under_both_names_count_together(self, names: tuple[str, str]) -> None:
        """Whichever id `create_volume` was given."""
        with folder_session(Folder(3)) as session:
            volumes = [session.create_volume(name) for name in names]
            (entry,) = session.cache._entries.values()
            pins = entry.pins
            for volume in volumes:
                session.release(volume)

            assert volumes[0] is volumes[1]
            assert (pins, session.cache.stats().entries) == (2, 0)

    def test_a_place_without_volumes_is_the_plugins_fault(self) -> None:
        """It must say why there is none."""
        with folder_session(Folder()) as session, pytest.raises(PluginContractError, match="no volume"):
            session.load_volume("folder:/data")

    @pytest.mark.parametrize("answer", [None, [None], ["text"], 3])
    def test_nonsense_is_the_plugins_fault(self, answer: object) -> None:
        """A description that is none."""
        with session_of(lambda *_: answer) as session, pytest.raises(LoadstoneError):
            session.volume_ids("block:1")

    def test_describing_allocates_nothing(self) -> None:
        """`open` gets no memory for pixels."""

        def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
            context.allocate((2, 2), "u1")
            return []

        with session_of(open_volumes) as session, pytest.raises(PluginContractError, match="allocating"):
            session.volume_ids("block:1")

    def test_describing_lets_go_of_its_sources(self) -> None:
        """Even where it fails."""

        class File:
            nbytes = 10

            def close(self) -> None:
                pass

        def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
            context.source("file", File)
            raise ValueError("no")

        with session_of(open_volumes) as session:
            for ask in (session.volume_ids, session.load_volume):
                with pytest.raises(DecodeError):
                    ask("block:1")

            assert session.cache.stats().pinned == 0

    def test_an_unknown_scheme_needs_image_ids(self) -> None:
        """With ids any name will do; without them somebody must know the scheme."""
        with make_session() as session:
            with pytest.raises(UnknownSchemeError, match="nobody"):
                session.load_volume("nobody:1")

            assert session.load_volume("nobody:1", image_ids=["number:1"]).shape == (1, 4, 5)


def test_a_dtype_that_does_not_hold_the_values_is_refused() -> None:
    """`dtype=` is checked for blocks as well."""
    with pytest.raises(MetadataError, match="int8"):
        load(Block(counting((100, 2, 2))), dtype="i1")


def test_arrays_go_where_numpy_takes_them() -> None:
    """`np.asarray(volume)` is the array; a copy is a copy."""
    volume = load(Block(counting((2, 3, 4))))

    assert np.asarray(volume) is volume.array or np.shares_memory(np.asarray(volume), volume.array)
    assert np.array(volume).flags.writeable
    assert np.asarray(volume, dtype="f4").dtype == np.float32
    assert repr(volume) == "<Volume block:1 kji 2x3x4 uint16, ijk 0.5x0.75x3 mm>"
