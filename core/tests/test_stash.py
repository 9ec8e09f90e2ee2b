from __future__ import annotations

import pytest

from loadstone.stash import Stash, StashKey


def test_values_are_kept_under_keys_of_their_own_identity() -> None:
    """Two keys never meet, however much alike they are."""
    stash = Stash()
    first, second = StashKey[int](), StashKey[int]()
    stash[first] = 1

    assert stash[first] == 1
    assert second not in stash
    with pytest.raises(KeyError):
        stash[second]


def test_a_default_is_made_once() -> None:
    """Later callers get what the first one made, and making one may need another."""
    stash, made = Stash(), list[int]()
    key, other = StashKey[list[int]](), StashKey[int]()

    def make() -> list[int]:
        made.append(stash.setdefault(other, lambda: 7))
        return [1]

    assert stash.setdefault(key, make) is stash.setdefault(key, make)
    assert made == [7]
    stash.clear()
    assert key not in stash
