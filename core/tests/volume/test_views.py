"""Images that are views of volumes: the same call gives the same whatever is cached."""

from __future__ import annotations

import threading
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tests.builders import WAIT, Stack, flat, make_session, plane, until
from loadstone import CacheFullError, Image, ImageLoader, LoadstoneError, Session
from loadstone.metadata import Scaling

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from loadstone import ImageId, LoadContext

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
