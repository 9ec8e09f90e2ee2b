from __future__ import annotations

from functools import partial

from loadstone_wado.server.lru import LeastRecentlyUsed


def test_the_least_recently_used_goes_first() -> None:
    """Beyond the capacity the value that was not used for longest is made again when it is wanted."""
    made: list[str] = []
    kept = LeastRecentlyUsed[str, str](5, len)

    def make(key: str) -> str:
        made.append(key)
        return key * 2

    for key in "abacb":
        assert kept.get_or_make(key, partial(make, key)) == key * 2

    assert made == ["a", "b", "c", "b"]


def test_a_value_beyond_the_capacity_is_not_kept() -> None:
    """A value heavier than all there is room for pushes nothing out."""
    kept = LeastRecentlyUsed[str, bytes](5, len)
    kept.get_or_make("small", lambda: b"123")

    assert kept.get_or_make("large", lambda: bytes(6)) == bytes(6)
    assert kept.get_or_make("small", lambda: b"made anew") == b"123"
