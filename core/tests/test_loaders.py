"""Loaders of every kind, good and bad, through the one way from an id to pixels."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core.tests.builders import SHAPE, WAIT, Paused, flat, make_session, until
from loadstone import (
    CacheFullError,
    DecodeError,
    FetchError,
    Image,
    ImageLoader,
    IntegrityError,
    LimitError,
    LoadCancelled,
    LoadCycleError,
    LoadstoneError,
    MetadataError,
    PluginContractError,
    Quality,
    RequestType,
    Session,
    UnknownSchemeError,
    UnsupportedError,
)
from loadstone.events import ImageCached, ImageEvicted, ImageLoaded, ImageLoadFailed, LoadProgress
from loadstone.files import FileState
from loadstone.pixels import scale, scale_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from loadstone import ImageId, LoadContext

ONE: dict[str, Any] = {"host_permits": 1, "compute_permits": 1, "file_permits": 1}


def load(loader: Callable[..., Any], session: Session | None = None, **options: Any) -> Image:
    """Load one image through a loader."""
    with make_session({"toy": loader}) as made:
        return (session or made).load_image("toy:1", **options)


def of(image: Image) -> Callable[[ImageId, LoadContext], Image]:
    """Return a loader of one image."""
    return lambda _, __: image


async def coroutine(image_id: ImageId, context: LoadContext) -> Image:
    await asyncio.sleep(0)
    return flat(3)


def generator(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
    yield flat(1, quality=Quality.SUBRESOLUTION)
    yield flat(3)


def future(image_id: ImageId, context: LoadContext) -> concurrent.futures.Future[Image]:
    answer: concurrent.futures.Future[Image] = concurrent.futures.Future()
    threading.Timer(0.01, answer.set_result, [flat(3)]).start()
    return answer


def job(image_id: ImageId, context: LoadContext) -> Any:
    return context.submit(flat, 3)


def handle(image_id: ImageId, context: LoadContext) -> Any:
    return context.session.request_image("number:3")


def nested(image_id: ImageId, context: LoadContext) -> Image:
    return context.load_image("number:3")


async def future_of_a_job(image_id: ImageId, context: LoadContext) -> Any:
    return context.submit(flat, 3)


class CallableLoader:
    def __call__(self, image_id: ImageId, context: LoadContext) -> Image:
        return flat(3)


KINDS = [
    lambda _, __: flat(3),
    coroutine,
    generator,
    future,
    job,
    handle,
    nested,
    future_of_a_job,
    CallableLoader(),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("settings", [{}, ONE], ids=["wide", "one"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "__name__", type(kind).__name__))
def test_every_kind_of_loader_goes_one_way(kind: Callable[..., Any], settings: dict[str, Any]) -> None:
    """Whatever kind its answer is of, the image is the same, read-only, and says who made it."""
    with make_session({"toy": kind}, **settings) as session:
        image = session.load_image("toy:1")

        assert image.pixels.tolist() == np.full(SHAPE, 3).tolist()
        assert not image.pixels.flags.writeable
        assert image.image_id == "toy:1"
        assert "test_loaders:" in image.loader.plugin
        assert image.timings.total > 0


class BadTextError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


ERRORS: list[tuple[BaseException, type[LoadstoneError]]] = [
    (StopIteration(), DecodeError),
    (StopAsyncIteration(), DecodeError),
    (GeneratorExit(), DecodeError),
    (RecursionError("too deep"), DecodeError),
    (struct.error("unpack"), DecodeError),
    (KeyError("x"), DecodeError),
    (AssertionError(), DecodeError),
    (UnicodeDecodeError("ascii", b"\xff", 0, 1, "bad"), DecodeError),
    (ExceptionGroup("two", [ValueError("a"), ValueError("b")]), DecodeError),
    (SystemExit(1), DecodeError),
    (KeyboardInterrupt(), DecodeError),
    (BadTextError(), DecodeError),
    (MemoryError(), LimitError),
    (FileNotFoundError(2, "No such file", "x"), FetchError),
    (PermissionError(13, "Permission denied", "x"), FetchError),
    (OSError("disk"), FetchError),
    (ConnectionResetError(), FetchError),
    (asyncio.CancelledError(), LoadCancelled),
    (concurrent.futures.CancelledError(), LoadCancelled),
    (IntegrityError("short"), IntegrityError),
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("way", ["function", "generator", "coroutine", "future", "job", "nested"])
@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda each: repr(each)[:20])
def test_whatever_is_raised_becomes_one_typed_error(
    way: str, error: BaseException, expected: type[LoadstoneError]
) -> None:
    """Every error of a loader arrives typed, has its cause chained, and leaves nothing behind."""

    def fail(image_id: ImageId, context: LoadContext) -> Image:
        context.allocate((10, 10), "u1")
        raise error

    def in_generator(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
        yield flat(1, quality=Quality.SUBRESOLUTION)
        raise error

    async def in_coroutine(image_id: ImageId, context: LoadContext) -> Image:
        await asyncio.sleep(0)
        raise error

    class FutureLike:
        def result(self) -> Image:
            raise error

    loaders: dict[str, Callable[..., Any]] = {
        "function": fail,
        "generator": in_generator,
        "coroutine": in_coroutine,
        "future": lambda _, __: FutureLike(),
        "job": lambda image_id, context: context.submit(fail, image_id, context),
        "nested": lambda _, context: context.load_image("fails:1"),
    }
    with make_session({"toy": loaders[way], "fails": fail}) as session:
        handle = session.request_image("toy:1")
        caught = handle.exception(WAIT)

        # What a generator raises as StopIteration, Python itself has turned into a RuntimeError.
        assert type(caught) is expected
        assert caught is not None
        assert caught is error or caught.__cause__ is not None
        stats = session.cache.stats()
        assert (stats.kept, stats.reserved, stats.entries) == (0, 0, 0)
        assert session.permits.gate("compute").inside == 0
        assert session.desk._loads == {}
        assert session.load_image("number:1").pixels[0, 0] == 1


def test_an_error_of_the_system_says_which_and_whether_to_try_again() -> None:
    """A missing file is told from a disk that fails."""

    def missing(image_id: ImageId, context: LoadContext) -> Image:
        raise FileNotFoundError(2, "No such file or directory", "/data/x")

    def failing(image_id: ImageId, context: LoadContext) -> Image:
        raise OSError(5, "Input/output error")

    with pytest.raises(FetchError, match="no such file") as gone:
        load(missing)
    with pytest.raises(FetchError, match="Input/output error") as broken:
        load(failing)

    assert (gone.value.retryable, broken.value.retryable) == (False, True)


NONSENSE: list[object] = [
    None,
    7,
    "text",
    [flat(1)],
    np.zeros(SHAPE),
    Image,
    iter([]),
    iter([None]),
    Image(None),  # type: ignore[arg-type] # what a careless plugin does
    Image([[1, 2]]),  # type: ignore[arg-type] # the same
    Image(np.zeros((2, 2), object)),
    Image(np.zeros((2, 2), "U3")),
    Image(np.zeros((2, 2), "M8[s]")),
    Image(np.zeros((2, 2), ">u2")),
    Image(np.zeros(4, "u2")),
    Image(np.zeros((), "u2")),
    Image(np.zeros((2, 2, 2), "u2")),
    Image(np.zeros((2, 2, 5), "u2")),
    Image(np.zeros((2, 2, 3, 1), "u2")),
    Image(np.zeros((0, 4), "u2")),
    iter([flat(1, quality=Quality.SUBRESOLUTION), flat(1, quality=Quality.ADJACENT_REPLICATE)]),
]


@pytest.mark.parametrize("number", range(len(NONSENSE)))
def test_nonsense_is_the_plugins_fault(number: int) -> None:
    """An answer that is no image breaks the contract, and the error says how."""
    answer = NONSENSE[number]
    with pytest.raises(PluginContractError, match="toy:1: the loader"):
        load(lambda _, __: answer)


@pytest.mark.parametrize(
    "fields", [{"slope": 0.0}, {"slope": float("nan")}, {"intercept": float("inf")}, {"bits_stored": 0}]
)
def test_senseless_scaling_is_an_error_of_the_metadata(fields: dict[str, Any]) -> None:
    """What cannot be applied is refused, but the stored values can be had."""
    with pytest.raises(MetadataError):
        load(of(flat(1, **{"intercept": 1.0, **fields})))

    assert load(of(flat(1, **fields)), scaled=False).pixels[0, 0] == 1


def test_complex_values_can_be_had_as_they_are_stored() -> None:
    """Nothing is applied to complex values; asking for it is an error that says so."""
    image = Image(np.full(SHAPE, 1 + 2j))
    with pytest.raises(UnsupportedError, match="scaled=False"):
        load(of(Image(image.pixels, slope=2)))

    assert load(of(image), scaled=False).pixels[0, 0] == 1 + 2j


@given(
    pixels=npst.arrays(
        st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]),
        npst.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ),
    slope=st.sampled_from([1.0, 2.0, 0.5]),
    intercept=st.sampled_from([0.0, -1024.0, 0.25]),
    how=st.sampled_from(["own", "allocated", "transposed"]),
)
def test_pixels_are_scaled_as_planned_however_they_come(
    pixels: npt.NDArray[Any], slope: float, intercept: float, how: str
) -> None:
    """In place or not, the result is that of the arithmetic, C-contiguous, in memory of the core."""

    def loader(image_id: ImageId, context: LoadContext) -> Image:
        if how == "own":
            return Image(pixels, slope=slope, intercept=intercept)
        out = context.allocate(pixels.shape if how == "allocated" else pixels.shape[::-1], pixels.dtype)
        out = out if how == "allocated" else out.T
        out[:] = pixels
        return Image(out, slope=slope, intercept=intercept)

    plan = scale_plan(pixels.dtype, slope, intercept)
    with np.errstate(all="ignore"):
        before = pixels.copy()
        try:
            expected = scale(plan, pixels)
        except (LoadstoneError, OverflowError):
            return
        image = load(loader)

    np.testing.assert_array_equal(image.pixels, expected)
    np.testing.assert_array_equal(pixels, before)
    assert image.pixels.dtype == expected.dtype
    assert image.pixels.flags.c_contiguous
    assert not np.shares_memory(image.pixels, pixels)


def test_a_frame_that_does_not_fit_is_widened() -> None:
    """A 16-bit CT whose values leave int16 gets the next wider type."""

    def ct(image_id: ImageId, context: LoadContext) -> Image:
        out = context.allocate(SHAPE, "u2")
        out[0, 0] = 65535
        return Image(out, intercept=-1024.0, bits_stored=16)

    image = load(ct)

    assert image.pixels.dtype == np.dtype("i4")
    assert (image.min_value, image.max_value) == (-1024, 64511)


def test_pixels_are_read_only_for_good() -> None:
    """Nobody can make them writable again, so what is cached stays what was loaded."""
    with make_session() as session:
        image = session.load_image("number:3")
        for array in (image.pixels, image.pixels.view(), np.asarray(image)):
            with pytest.raises(ValueError, match=r"WRITEABLE|read-only"):
                array.setflags(write=True)
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0] = 1

        assert session.load_image("number:3").pixels[0, 0] == 3


def test_units_say_what_was_done() -> None:
    """Stored values have no unit."""
    image = flat(1, slope=2.0, units="HU")

    assert load(of(image)).units == "HU"
    assert (load(of(image), scaled=False).units, load(of(image), scaled=False).pixels[0, 0]) == ("", 1)


class TestMemory:
    def test_what_is_allocated_is_charged_and_the_rest_given_back(self) -> None:
        """In the end the cache is charged for the result alone."""
        during = list[int]()

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            context.allocate((100, 100), "u1")
            during.append(context.session.cache.stats().reserved)
            return Image(context.allocate((10, 10), "u2"))

        with make_session({"toy": loader}) as session:
            session.load_image("toy:1")
            stats = session.cache.stats()

        assert during == [10_000]
        assert (stats.kept, stats.reserved) == (200, 0)

    def test_a_full_cache_is_told_to_the_caller_and_evicts_nothing(self) -> None:
        """`CacheFullError` comes from `allocate` as well as for arrays of the loader's own."""
        with make_session({"big": of(flat(1, (100, 100)))}, cache_bytes=100) as session:
            session.load_image("number:1")
            with pytest.raises(CacheFullError) as caught:
                session.load_image("big:1")

            assert caught.value.needed == 20_000
            assert session.cache.stats().entries == 1
            assert session.load_image("big:1", cache=False).nbytes == 20_000

    def test_the_budget_holds_at_every_event(self) -> None:
        """Whatever 16 threads load: kept and reserved bytes are within the budget."""
        worst, failures = [0], list[BaseException]()
        with make_session(cache_bytes=400) as session:

            def look(_: object) -> None:
                stats = session.cache.stats()
                worst[0] = max(worst[0], stats.kept + stats.reserved)

            for kind in (ImageLoaded, ImageCached, ImageEvicted):
                session.subscribe(kind, look)

            def work(seed: int) -> None:
                for step in range(25):
                    try:
                        session.load_image(f"number:{(seed * 7 + step * 3) % 30}")
                    except CacheFullError:
                        continue
                    except BaseException as error:  # noqa: BLE001 - shown at the end
                        failures.append(error)

            threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(WAIT)
            stats = session.cache.stats()

        assert not failures
        assert 0 < worst[0] <= 400
        assert (stats.reserved, stats.pinned) == (0, 0)
        assert stats.kept == stats.entries * 40

    def test_an_image_larger_than_the_limit_is_never_allocated(self) -> None:
        """A header's word allocates nothing."""
        with (
            make_session(
                {"toy": lambda _, context: Image(context.allocate((2**31, 2**31), "u2"))}
            ) as session,
            pytest.raises(LimitError, match="max_image_bytes"),
        ):
            session.load_image("toy:1")


class TestCaching:
    def test_a_cached_image_is_the_same_image(self) -> None:
        """The loader runs once."""
        with make_session() as session:
            assert session.load_image("number:1") is session.load_image("number:1")

    def test_without_the_cache_every_load_is_new(self) -> None:
        """`cache=False` neither keeps nor charges."""
        with make_session() as session:
            first = session.load_image("number:1", cache=False)

            assert session.load_image("number:1", cache=False) is not first
            assert session.cache.stats().entries == 0

    def test_reload_loads_anew(self) -> None:
        """`reload=True` replaces what is kept."""
        with make_session() as session:
            first = session.load_image("number:1")
            second = session.load_image("number:1", reload=True)

            assert second is not first
            assert session.load_image("number:1") is second

    def test_a_file_written_anew_is_read_anew(self, tmp_path: Path) -> None:
        """What depends on a local file is checked at every hit."""
        path = tmp_path / "value"

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            context.depends_on(path)
            return flat(int(path.read_text(encoding="ascii")))

        path.write_text("1", encoding="ascii")
        with make_session({"toy": loader}) as session:
            first = session.load_image("toy:1")
            same = session.load_image("toy:1")
            path.write_text("22", encoding="ascii")

            assert same is first
            assert session.load_image("toy:1").pixels[0, 0] == 22

    def test_a_load_looks_at_a_file_once(self, tmp_path: Path) -> None:
        """A load depends on the state in which it found a file, even if that is written anew meanwhile."""
        path = tmp_path / "value"
        path.write_text("1", encoding="ascii")
        states = []

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            assert context.noted(str(path)) is None
            states.append(context.note(FileState.of(str(path))))
            path.write_text("22", encoding="ascii")
            states.extend([context.depends_on(path), context.depends_on(path)])
            assert context.files == (states[0],)
            return flat(1)

        with make_session({"toy": loader}) as session:
            session.load_image("toy:1")

            assert states[0] is states[1] is states[2]
            assert not states[0].current()

    def test_ids_that_name_the_same_pixels_share_them(self) -> None:
        """`canonical` joins ids, and its own failure is typed."""

        def canonical(image_id: ImageId) -> str:
            return str(int(image_id.rest))

        with make_session({"toy": ImageLoader("toy", of(flat(1)), canonical=canonical)}) as session:
            assert session.load_image("toy:1") is session.load_image("toy:001")
            with pytest.raises(DecodeError, match="invalid literal"):
                session.load_image("toy:x")

    def test_an_error_of_canonical_is_not_its_own_cause(self) -> None:
        """What a plugin raises as one of our errors comes out as it is."""

        def canonical(image_id: ImageId) -> str:
            raise FetchError("no such toy", source=image_id)

        with make_session({"toy": ImageLoader("toy", of(flat(1)), canonical=canonical)}) as session:
            with pytest.raises(FetchError, match="no such toy") as caught:
                session.load_image("toy:x")

            assert caught.value.__cause__ is None

    def test_an_error_in_a_volume_without_metadata_is_not_its_own_cause(self) -> None:
        """The same for images that are loaded to learn what they are."""

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            raise FetchError("no such toy", source=image_id)

        with make_session({"toy": loader}) as session:
            with pytest.raises(FetchError, match="no such toy") as caught:
                session.load_volume("toys:1", image_ids=["toy:1"])

            assert caught.value.__cause__ is None

    def test_a_replaced_loader_does_not_answer_from_the_cache(self) -> None:
        """Another loader for the scheme means other pixels."""
        with make_session({"toy": of(flat(1))}) as session:
            before = session.load_image("toy:1").pixels[0, 0]
            with session.registry.register_image_loader("toy", of(flat(2)), replace=True):
                between = session.load_image("toy:1").pixels[0, 0]

            assert (before, between, session.load_image("toy:1").pixels[0, 0]) == (1, 2, 1)

    def test_failures_are_not_kept(self) -> None:
        """The next load of the same id runs the loader again."""
        answers: list[BaseException | Image] = [ValueError("once"), flat(1)]

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            answer = answers.pop(0)
            if isinstance(answer, Image):
                return answer
            raise answer

        with make_session({"toy": loader}) as session:
            with pytest.raises(DecodeError):
                session.load_image("toy:1")

            assert session.load_image("toy:1").pixels[0, 0] == 1

    def test_what_leaves_the_cache_is_told_to_its_loader(self) -> None:
        """`on_evict` runs once when the result leaves."""
        left = list[int]()

        def loader(image_id: ImageId, context: LoadContext) -> Image:
            context.on_evict(lambda: left.append(1))
            return flat(1)

        with make_session({"toy": loader}) as session:
            session.load_image("toy:1")
            session.cache.purge()
            session.cache.purge()

        assert left == [1]


def test_each_event_comes_once() -> None:
    """A load is announced once, with its end; a cache hit announces nothing."""
    seen = list[str]()

    def fail(image_id: ImageId, context: LoadContext) -> Image:
        raise ValueError("broken")

    def talk(image_id: ImageId, context: LoadContext) -> Image:
        context.progress(5, 10)
        return flat(1)

    with make_session({"bad": fail, "talk": talk}) as session:
        for kind in (ImageLoaded, ImageLoadFailed, ImageCached, ImageEvicted, LoadProgress):
            session.subscribe(kind, lambda event: seen.append(type(event).__name__))
        session.load_image("talk:1")
        session.load_image("talk:1")
        with pytest.raises(DecodeError):
            session.load_image("bad:1")

    assert sorted(seen) == ["ImageCached", "ImageEvicted", "ImageLoadFailed", "ImageLoaded", "LoadProgress"]


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"dtype": "nonsense"},
            {"dtype": "c8"},
            {"dtype": "U3"},
            {"dtype": object()},
            {"values": "suvbw", "scaled": False},
        ],
    )
    def test_senseless_options_are_refused_at_once(self, options: dict[str, Any]) -> None:
        """Nothing is queued for an option that cannot be met."""
        with make_session() as session, pytest.raises(LoadstoneError):
            _ = session.request_image("number:1", **options)

    def test_a_dtype_is_honoured_and_native(self) -> None:
        """`dtype=` overrides what follows from the headers."""
        with make_session() as session:
            assert session.load_image("number:3", dtype=">f4").pixels.dtype == np.dtype("f4")
            assert session.load_image("number:3", dtype="f4") is session.load_image(
                "number:3", dtype=np.float32
            )

    def test_options_that_a_loader_does_not_know_are_refused(self) -> None:
        """A misspelt option would silently give other pixels."""
        known = ImageLoader(
            "toy", lambda _, context: flat(context.options.get("level", 0)), options=frozenset({"level"})
        )
        with make_session({"toy": known}) as session:
            with pytest.raises(UnsupportedError, match="lvl"):
                session.load_image("toy:1", options={"lvl": 3})

            assert session.load_image("toy:1", options={"level": 3}).pixels[0, 0] == 3
            assert session.load_image("toy:1").pixels[0, 0] == 0
            with pytest.raises(LoadstoneError, match="hashable"):
                session.load_image("toy:1", options={"level": [3]})  # type: ignore[dict-item] # what is tested


@pytest.mark.timeout(30)
class TestCoroutines:
    @pytest.mark.parametrize("settings", [{}, ONE], ids=["wide", "one"])
    def test_they_may_await_nested_loads(self, settings: dict[str, Any]) -> None:
        """The worker that waits for a coroutine runs what the coroutine waits for."""

        async def parent(image_id: ImageId, context: LoadContext) -> Image:
            depth = int(image_id.rest)
            if not depth:
                return flat(1)
            below = await asyncio.gather(
                *(wait(context, f"parent:{depth - 1}") for _ in range(2)), wait(context, f"number:{depth}")
            )
            return flat(sum(int(image.pixels[0, 0]) for image in below))

        async def wait(context: LoadContext, image_id: str) -> Image:
            return await context.session.request_image(image_id)

        with make_session({"parent": parent}, **settings) as session:
            assert session.load_image("parent:3").pixels[0, 0] == 19

    def test_a_blocking_wait_inside_one_raises(self) -> None:
        """The loop never stands still."""

        async def blocking(image_id: ImageId, context: LoadContext) -> Image:
            return context.load_image("number:1")

        async def blocking_job(image_id: ImageId, context: LoadContext) -> Image:
            return context.submit(flat, 1).result()

        for loader in (blocking, blocking_job):
            with pytest.raises(LoadCycleError, match="Await"):
                load(loader)

    def test_one_that_awaits_itself_is_told(self) -> None:
        """A ring over coroutines is found like any other."""

        async def ring(image_id: ImageId, context: LoadContext) -> Image:
            return await context.session.request_image("toy:1")

        with pytest.raises(LoadCycleError, match=r"toy:1 → toy:1"):
            load(ring)

    def test_the_functions_of_the_package_use_its_session(self) -> None:
        """Inside a coroutine loader `default_session` is the session that it works for."""
        import loadstone

        async def loader(image_id: ImageId, context: LoadContext) -> Image:
            await asyncio.sleep(0)
            return flat(loadstone.default_session() is context.session)

        assert load(loader).pixels[0, 0] == 1

    def test_cancelling_the_load_cancels_the_coroutine(self) -> None:
        """A coroutine hears of it as asyncio has it."""
        started, cancelled = threading.Event(), threading.Event()

        async def loader(image_id: ImageId, context: LoadContext) -> Image:
            started.set()
            try:
                await asyncio.sleep(WAIT)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return flat(1)

        with make_session({"toy": loader}) as session:
            handle = session.request_image("toy:1")
            assert started.wait(WAIT)
            handle.cancel()

            assert cancelled.wait(WAIT)

    def test_closing_ends_those_that_run(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing is pending when the loop is gone."""
        ended, started = threading.Event(), threading.Event()

        async def loader(image_id: ImageId, context: LoadContext) -> Image:
            started.set()
            try:
                await asyncio.sleep(WAIT)
            finally:
                ended.set()
            return flat(1)

        with caplog.at_level(logging.WARNING):
            session = make_session({"toy": loader})
            handle = session.request_image("toy:1")
            assert started.wait(WAIT)
            session.close()

        assert ended.is_set()
        assert isinstance(handle.exception(), LoadCancelled)
        assert "destroyed" not in caplog.text
        assert not [thread for thread in threading.enumerate() if thread is session.loop._thread]


def test_a_future_that_can_be_cancelled_is() -> None:
    """Cancelling a load cancels the future that it waits for, which frees the worker."""
    answer: concurrent.futures.Future[Image] = concurrent.futures.Future()
    asked = threading.Event()

    def loader(image_id: ImageId, context: LoadContext) -> Any:
        asked.set()
        return answer

    with make_session({"toy": loader}) as session:
        handle = session.request_image("toy:1")
        assert asked.wait(WAIT)
        handle.cancel()
        until(answer.cancelled)

        assert handle.cancelled()


def test_who_is_to_load_is_clear_before_anything_is_queued() -> None:
    """An unknown scheme is an error of the request itself."""
    with make_session() as session, pytest.raises(UnknownSchemeError, match="nobody-knows"):
        _ = session.request_image("nobody-knows:1")


def test_a_late_end_does_not_touch_a_newer_entry() -> None:
    """A load that was deserted keeps its image to itself."""
    paused = Paused()
    with make_session({"toy": paused}) as session:
        late = session.request_image("toy:1")
        assert paused.started.wait(WAIT)
        late.cancel()
        paused.go.set()
        newer = session.load_image("toy:1")
        until(lambda: session.pool.stats().running[RequestType.INTERACTION] == 0)

        assert session.load_image("toy:1") is newer
        assert session.cache.stats().entries == 1
