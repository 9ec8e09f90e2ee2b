"""Images and volumes over the same memory: views, frames that are taken over, what stays behind."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tests.builders import WAIT, Stack, flat, make_session, plane, until
from core.tests.volume.test_voxels import Block
from loadstone import CacheFullError, Image, ImageLoader, LoadstoneError, Session, VoxelSource
from loadstone.events import ImageCached, ImageEvicted, VolumeCached
from loadstone.metadata import Scaling

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

    from loadstone import ImageId, LoadContext, VolumeId

SLICE = 40
"""Bytes of a slice of `Stack`."""


def session_of(stack: Stack, *, described: bool = True, **options: Any) -> Session:
    """Return a session with a stack of slices."""
    return make_session({"slices": stack.loader(described=described)}, **options)


def kept(session: Session) -> int:
    """Return the bytes in the cache; nothing may be in flight."""
    stats = session.cache.stats()
    assert stats.reserved == 0
    return stats.kept


class TestImagesOfAVolume:
    def test_an_image_is_a_view_of_the_volume(self) -> None:
        """No loader runs, nothing is copied, no bytes are counted, and the look-up is a hit."""
        stack = Stack(range(5))
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            asked = list(stack.asked)
            before = session.cache.stats()
            image = session.load_image("slices:3")
            after = session.cache.stats()

        assert stack.asked == asked
        assert np.shares_memory(image.pixels, volume.array)
        assert not image.pixels.flags.writeable
        assert (image.image_id, image.pixels[0, 0], image.header()) == ("slices:3", 3, "header 3")
        assert (after.kept, after.entries) == (before.kept, before.entries)
        assert (after.hits, after.misses) == (before.hits + 1, before.misses)

    def test_another_dtype_is_another_image(self) -> None:
        """Only what was asked for in the same way is answered by the volume."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            image = session.load_image("slices:1", dtype="f4")

        assert image.pixels.dtype == np.float32
        assert not np.shares_memory(image.pixels, volume.array)

    def test_a_volume_wider_than_the_image_does_not_answer(self) -> None:
        """The dtype of an image does not depend on what it once shared an array with."""
        stack = Stack([1, 2], scaling=lambda k: Scaling((1.0, 0.5)[k]))
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            whole, half = session.load_image("slices:0"), session.load_image("slices:1")

        assert volume.dtype == np.float32
        assert whole.pixels.dtype == np.uint16
        assert np.shares_memory(half.pixels, volume.array)

    def test_a_volume_that_was_widened_does_not_answer(self) -> None:
        """A frame that fits by itself keeps its own dtype."""
        stack = Stack([0, 65535], scaling=Scaling(1, -1024), bits_stored=16)
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            image = session.load_image("slices:0")

        assert volume.dtype == np.int32
        assert image.pixels.dtype == np.int16

    def test_while_it_fills_final_slices_answer(self) -> None:
        """A slice that has not arrived is loaded by itself."""
        go, stack = threading.Event(), Stack(range(3))

        def waiting(image_id: ImageId, context: LoadContext) -> Image:
            if image_id.rest == "2":
                assert go.wait(WAIT)
            return stack.load(image_id, context)

        loader = ImageLoader("slices", waiting, metadata=stack.metadata)
        with make_session({"slices": loader}) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            volume = next(handle.partials())
            until(lambda: volume.missing == (2,))
            image, asked = session.load_image("slices:1"), list(stack.asked)
            go.set()
            handle.result(WAIT)

        assert np.shares_memory(image.pixels, volume.array)
        assert sorted(asked) == [0, 1]

    def test_a_volume_that_left_answers_no_longer(self) -> None:
        """Released, evicted or purged: the image is loaded by itself."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            for leave in (session.release, lambda _: session.cache.purge()):
                volume = session.load_volume("streaming:all", image_ids=stack.ids)
                leave(volume)
                image = session.load_image("slices:1")
                session.cache.purge()

                assert not np.shares_memory(image.pixels, volume.array)

    def test_looking_at_an_image_saves_its_volume_from_eviction(self) -> None:
        """The volume counts as used."""
        stack = Stack(range(1))
        with session_of(stack, cache_bytes=2 * SLICE) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            session.load_image("number:1")
            session.load_image("slices:0")
            session.load_image("number:2")

            assert session.load_volume("streaming:all", image_ids=stack.ids) is volume

    def test_a_file_written_anew_is_read_anew(self, tmp_path: Path) -> None:
        """A view is only as good as the file that its volume was read from."""
        path = tmp_path / "value"
        path.write_text("7")

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.depends_on(path)
            return flat(int(path.read_text()), plane=plane(0.0))

        with make_session({"stored": load}) as session:
            session.load_volume("streaming:one", image_ids=[f"stored:{path}"])
            first = session.load_image(f"stored:{path}")
            path.write_text("11")
            second = session.load_image(f"stored:{path}")

        assert (first.pixels[0, 0], second.pixels[0, 0]) == (7, 11)


class TestAdoption:
    def test_what_is_cached_is_not_asked_for_again(self) -> None:
        """Frames in the cache are copied into the volume, and counted once."""
        stack = Stack(range(4))
        seen: list[str] = []
        with session_of(stack) as session:
            for number in range(4):
                session.load_image(f"slices:{number}")
            before, stack.asked = kept(session), []
            for kind in (ImageEvicted, VolumeCached):
                session.subscribe(kind, lambda event: seen.append(type(event).__name__))
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            image = session.load_image("slices:2")
            after = kept(session)

        assert (before, after) == (4 * SLICE, 4 * SLICE)
        assert stack.asked == []
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert np.shares_memory(image.pixels, volume.array)
        assert seen == [*["ImageEvicted"] * 4, "VolumeCached"]

    def test_only_what_is_missing_is_asked_for(self) -> None:
        """The volume takes over what there is, and its progress counts that."""
        stack, progress = Stack(range(4)), list[int]()
        with session_of(stack) as session:
            session.load_image("slices:1")
            volume = session.load_volume(
                "streaming:all", image_ids=stack.ids, progress=lambda each: progress.append(each.done)
            )

        assert sorted(stack.asked) == [0, 1, 2, 3]
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert progress[-1] == 4

    def test_a_frame_of_another_volume_is_copied(self) -> None:
        """Two volumes over the same images ask for each once."""
        stack = Stack(range(4))
        with session_of(stack) as session:
            session.load_volume("streaming:all", image_ids=stack.ids)
            part = session.load_volume("streaming:part", image_ids=["slices:1", "slices:2"])

        assert sorted(stack.asked) == [0, 1, 2, 3]
        assert part.array[:, 0, 0].tolist() == [1, 2]

    def test_reload_takes_nothing_over(self) -> None:
        """It reads everything anew."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            session.load_image("slices:0")
            stack.values = [5, 6]
            volume = session.load_volume("streaming:all", image_ids=stack.ids, reload=True)

        assert volume.array[:, 0, 0].tolist() == [5, 6]

    @pytest.mark.parametrize(
        ("cached", "asked", "loads"),
        [
            ({"dtype": "u2"}, {}, 0),
            ({}, {"dtype": "f4"}, 0),
            ({}, {"dtype": "u1"}, 0),
            ({"dtype": "f4"}, {}, 1),
            ({"dtype": "f4"}, {"dtype": "f8"}, 1),
            ({"scaled": False}, {}, 1),
            ({}, {"scaled": False}, 1),
        ],
    )
    def test_a_frame_of_another_dtype_is_converted_where_that_is_exact(
        self, cached: dict[str, Any], asked: dict[str, Any], loads: int
    ) -> None:
        """Floats were rounded, and what stored values mean only the plugin knows: those are loaded."""
        stack = Stack([200])
        with session_of(stack) as session:
            session.load_image("slices:0", **cached)
            stack.asked = []
            volume = session.load_volume("streaming:all", image_ids=stack.ids, **asked)

        assert len(stack.asked) == loads
        assert volume.array[0, 0, 0] == 200

    def test_images_that_describe_nothing_beforehand_make_a_volume_too(self) -> None:
        """Cached images say themselves where they lie: no loader runs."""
        stack = Stack(range(3), scaling=Scaling(2, 1, "HU"))
        with session_of(stack, described=False) as session:
            images = [session.load_image(each) for each in stack.ids]
            stack.asked = []
            volume = session.load_volume("streaming:all", image_ids=stack.ids)

        assert stack.asked == []
        assert volume.array[:, 0, 0].tolist() == [1, 3, 5]
        assert (volume.units, volume.dtype) == ("HU", images[0].pixels.dtype)
        assert volume.image(1).slope == 2

    def test_a_block_takes_over_all_or_nothing(self) -> None:
        """What comes as one stream is read from its start anyway."""
        stored = np.arange(24, dtype="u2").reshape(2, 3, 4)
        block = Named(stored)
        with make_session({"named": block.load}) as session:
            session.registry.register_volume_loader("named", block.open)
            session.load_image("named:0")
            session.load_volume("named:all")
            one = block.fills
            session.cache.purge()
            for k in range(2):
                session.load_image(f"named:{k}")
            volume = session.load_volume("named:all")
            image = session.load_image("named:1")

        assert (one, block.fills) == (1, 1)
        assert np.array_equal(volume.array, stored)
        assert np.shares_memory(image.pixels, volume.array)

    def test_a_block_whose_images_have_no_names_takes_over_nothing(self) -> None:
        """It is filled though images are cached."""
        block = Block(np.arange(24, dtype="u2").reshape(2, 3, 4))
        with make_session() as session:
            session.registry.register_volume_loader("block", block.open)
            session.load_image("number:1")
            volume = session.load_volume("block:1")

        assert np.array_equal(volume.array, block.stored)

    def test_a_block_may_name_images_that_nobody_loads(self) -> None:
        """It is filled, whatever is cached; its images cannot be asked for."""
        block = Named(np.arange(24, dtype="u2").reshape(2, 3, 4))
        with make_session() as session:
            session.registry.register_volume_loader("named", block.open)
            session.load_image("number:1")
            volume = session.load_volume("named:1")
            session.release(volume, keep_images=True)
            with pytest.raises(LoadstoneError, match="named"):
                session.load_image("named:0")

        assert np.array_equal(volume.array, block.stored)

    def test_images_of_another_name_are_its_own_too(self) -> None:
        """The plugin says which ids are the same image; those go last when the volume needs room."""
        stack = Stack(range(2))
        loader = replace(stack.loader(), canonical=lambda image_id: image_id.rest.lstrip("0") or "0")
        with make_session({"slices": loader}, cache_bytes=4 * SLICE) as session:
            for name in ("slices:00", "number:1", "number:2"):
                session.load_image(name)
            session.load_volume("streaming:all", image_ids=stack.ids)

        assert stack.asked == [0, 1]


class Named(Block):
    """A block whose images have names."""

    def open(self, volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
        """Describe it."""
        ids = tuple(f"named:{k}" for k in range(len(self.slices)))
        return [VoxelSource(str(volume_id), self.header, self.fill, image_ids=ids)]

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        """Load one of its images."""
        return Image(self.slices[int(image_id.rest)].copy())


class TestLeaving:
    def test_released_images_stay_one_by_one(self) -> None:
        """Asked for, they are there: copies, counted each."""
        stack, seen = Stack(range(3)), list[str]()
        with session_of(stack) as session:
            volume = session.create_volume("streaming:all", image_ids=stack.ids)
            stack.asked = []
            session.subscribe(ImageCached, lambda event: seen.append(event.image.image_id))
            session.release(volume, keep_images=True)
            images = [session.load_image(f"slices:{k}") for k in range(3)]
            after = kept(session)

        assert (stack.asked, after) == ([], 3 * SLICE)
        assert seen == [f"slices:{k}" for k in range(3)]
        assert not any(np.shares_memory(image.pixels, volume.array) for image in images)
        assert [int(image.pixels[0, 0]) for image in images] == [0, 1, 2]

    def test_as_many_stay_as_fit_beside_the_volume(self) -> None:
        """While they are copied both are there, and the budget holds."""
        stack = Stack(range(3))
        with session_of(stack, cache_bytes=5 * SLICE) as session:
            worst = [0]

            def look(_: object) -> None:
                stats = session.cache.stats()
                worst[0] = max(worst[0], stats.kept + stats.reserved)

            volume = session.create_volume("streaming:all", image_ids=stack.ids)
            session.subscribe(ImageCached, look)
            session.release(volume, keep_images=True)
            after = kept(session)

        assert (after, worst[0]) == (2 * SLICE, 5 * SLICE)

    def test_pinned_twice_it_stays(self) -> None:
        """Only the last release drops it."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            volumes = [session.create_volume("streaming:all", image_ids=stack.ids) for _ in range(2)]
            session.release(volumes[0], keep_images=True)

            assert kept(session) == 2 * SLICE
            assert session.load_volume("streaming:all", image_ids=stack.ids) is volumes[1]

    def test_taken_it_is_the_callers(self) -> None:
        """Without a copy, writable, out of the cache and the budget."""
        stack = Stack(range(3))
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            address = volume.array.ctypes.data
            array = volume.take()
            array += 1
            after = kept(session)
            again = session.load_volume("streaming:all", image_ids=stack.ids)

        assert array is volume.array
        assert array.ctypes.data == address
        assert after == 0
        assert again.array[:, 0, 0].tolist() == [0, 1, 2]
        assert array[:, 0, 0].tolist() == [1, 2, 3]
        assert not volume.image(0).pixels.flags.writeable

    @pytest.mark.parametrize("how", ["array", "image", "volume", "joined", "told"])
    def test_what_others_hold_is_copied(self, how: str) -> None:
        """Nobody sees a value change in what was handed out."""
        stack, held = Stack(range(3)), list[Any]()
        with session_of(stack) as session:
            if how == "told":
                session.subscribe(VolumeCached, lambda event: held.append(event.volume))
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            if how == "joined":
                held.append(session.request_volume("streaming:all", image_ids=stack.ids))
            volume = handle.result(WAIT)
            if how == "array":
                held.append(volume.array)
            if how == "image":
                held.append(session.load_image("slices:1"))
            if how == "volume":
                held.append(session.load_volume("streaming:all", image_ids=stack.ids))
            taken = volume.take()
            taken[...] = 99

        assert held
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2]
        assert not volume.array.flags.writeable

    def test_one_that_is_not_complete_cannot_be_taken(self) -> None:
        """The error says how to complete it."""
        stack = Stack(range(2), failing={1: ValueError("no")})
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, errors="collect")
            with pytest.raises(LoadstoneError, match="1 images of the volume are missing"):
                volume.take()


class TestInAFile:
    def test_it_is_a_volume_like_any_other(self) -> None:
        """The same voxels, usable while it fills, of no budget."""
        stack = Stack(range(4), scaling=Scaling(1, -1000), bits_stored=12)
        with session_of(stack, cache_bytes=SLICE) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            image = session.load_image("slices:2")
            again = session.load_volume("streaming:all", image_ids=stack.ids)

            assert again is volume
            assert kept(session) == 0
        assert volume.array[:, 0, 0].tolist() == [-1000, -999, -998, -997]
        assert np.shares_memory(image.pixels, volume.array)
        assert not volume.array.flags.writeable

    def test_it_is_gone_when_nobody_holds_it(self) -> None:
        """A loop over many fills no disk; one that is created stays until it is released."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            twice = len(stack.asked)
            session.release(session.create_volume("streaming:all", image_ids=stack.ids, allocate="file"))
            session.create_volume("streaming:all", image_ids=stack.ids, allocate="file")
            session.load_volume("streaming:all", image_ids=stack.ids)

        assert (twice, len(stack.asked)) == (4, 8)

    def test_a_full_disk_is_said_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is loaded; the error names the folder and what to do."""
        stack = Stack(range(2), shape=(2**20, 2**30))
        with session_of(stack, max_pixels=2**60) as session:
            with pytest.raises(LoadstoneError, match="TMPDIR"):
                session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")

            assert (stack.asked, kept(session)) == ([], 0)

    def test_there_is_no_third_place(self) -> None:
        """A misspelt one is refused."""
        with make_session() as session, pytest.raises(LoadstoneError, match="allocate='disk'"):
            session.load_volume("streaming:all", image_ids=["number:1"], allocate="disk")  # type: ignore[arg-type]


KINDS = (Scaling(), Scaling(1, -1024, "HU"), Scaling(0.5), Scaling(2, 3))
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"scaled": False},
    {"dtype": "f4"},
    {"dtype": "i4"},
    {"dtype": "f8"},
)
COUNT = 4


def mixed(seed: int, *, described: bool, many: bool) -> ImageLoader:
    """Return a loader of slices scaled in several ways, some of which do not fit what their headers say."""
    choice = Random(seed)
    kinds = choice.choices(KINDS, k=COUNT) if choice.random() < 0.5 else [choice.choice(KINDS)] * COUNT
    values = [choice.choice([0, 7, 65535]) for _ in range(COUNT)]
    stack = Stack(values, scaling=kinds.__getitem__, bits_stored=choice.choice([12, 16]))
    return stack.loader(described=described, many=many)


def result_of(session: Session, what: tuple[int, ...], options: dict[str, Any]) -> Any:
    """Load an image or a volume; return its dtype and values, or why there is none."""
    try:
        if len(what) == 1:
            array: npt.NDArray[Any] = session.load_image(f"slices:{what[0]}", **options).pixels
        else:
            ids = [f"slices:{each}" for each in what]
            array = session.load_volume("streaming:some", image_ids=ids, **options).array
    except CacheFullError:
        return None
    except LoadstoneError as error:
        return type(error)
    return array.dtype, array.tolist()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    described=st.booleans(),
    many=st.booleans(),
    budget=st.sampled_from([3 * SLICE, 8 * SLICE, 100 * SLICE]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2, 3)]),
            st.sampled_from(OPTIONS),
            st.sampled_from(["load", "load", "release", "keep", "purge"]),
        ),
        max_size=8,
    ),
)
def test_the_same_call_gives_the_same_whatever_is_cached(
    *, seed: int, described: bool, many: bool, budget: int, steps: list[Any]
) -> None:
    """Values and dtype of every image and volume are those that a session without a past gives."""
    loader = mixed(seed, described=described, many=many)

    @cache
    def alone(what: tuple[int, ...], at: int) -> Any:
        with make_session({"slices": loader}) as fresh:
            return result_of(fresh, what, OPTIONS[at])

    with make_session({"slices": loader}, cache_bytes=budget) as session:
        for what, options, then in steps:
            found = result_of(session, what, options)

            assert found is None or found == alone(what, OPTIONS.index(options))
            stats = session.cache.stats()
            assert stats.kept + stats.reserved <= budget
            assert (stats.reserved, stats.pinned) == (0, 0)
            if then == "purge":
                session.cache.purge()
            elif then != "load" and len(what) > 1 and found is not None and not isinstance(found, type):
                ids = [f"slices:{each}" for each in what]
                volume = session.load_volume("streaming:some", image_ids=ids, **options)
                session.release(volume, keep_images=then == "keep")


def test_sixteen_threads_over_the_same_images_get_what_they_ask_for() -> None:
    """Images, volumes over them, releases at once: every value right, the budget held, all counters exact."""
    stack = Stack(range(8))
    problems: list[object] = []
    with session_of(stack, cache_bytes=20 * SLICE) as session:

        def work(seed: int) -> None:
            choice = Random(seed)
            for _ in range(40):
                first = choice.randrange(7)
                span = range(first, choice.randrange(first + 1, 9))
                try:
                    if choice.random() < 0.5:
                        image = session.load_image(f"slices:{first}")
                        problems.extend([image] * bool(np.any(image.pixels != first)))
                    else:
                        volume = session.load_volume(f"v{span}", image_ids=[f"slices:{k}" for k in span])
                        problems.extend([volume] * (volume.array[:, 0, 0].tolist() != list(span)))
                        if choice.random() < 0.5:
                            session.release(volume, keep_images=choice.random() < 0.5)
                except CacheFullError:
                    continue
                stats = session.cache.stats()
                problems.extend([stats] * (stats.kept + stats.reserved > stats.budget))

        threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3 * WAIT)
        session.cache.purge()
        stats = session.cache.stats()

    assert problems == []
    assert (stats.kept, stats.reserved, stats.pinned, stats.entries) == (0, 0, 0, 0)
