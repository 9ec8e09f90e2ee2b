"""Which of several claims counts: never the order of installation, never first-party before others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone._plugins.index import IMAGES, VOLUMES, Candidate, PluginIndex
from loadstone.errors import LoadstoneError, PluginContractError, SchemeConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone._plugins.policy import PluginPolicy

__all__ = ["allowed_claims", "allowed_names", "choose"]


def allowed_claims(index: PluginIndex, policy: PluginPolicy, group: str, name: str) -> tuple[Candidate, ...]:
    """Return the claims of distributions that may be used."""
    return tuple(each for each in index.claims(group, name) if not policy.refusal(each.distribution))


def allowed_names(index: PluginIndex, policy: PluginPolicy, group: str) -> tuple[str, ...]:
    """Return the names in a group that a distribution claims which may be used, sorted."""
    return tuple(name for name in index.names(group) if allowed_claims(index, policy, group, name))


def choose(index: PluginIndex, policy: PluginPolicy, group: str, scheme: str) -> Candidate | None:
    """
    Return the claim that counts for a scheme, or None if there is none.

    The preferred distribution counts; without a preference the sole claimant.

    Raises
    ------
    SchemeConflictError
        If several distributions claim it and none is preferred.
    LoadstoneError
        If a distribution is preferred that does not claim the scheme: with medical data another reader than
        the one that was asked for is worse than an error.
    PluginContractError
        If one distribution claims it twice.
    """
    claims = allowed_claims(index, policy, group, scheme)
    preferred = policy.prefer.get(scheme)
    if claims and preferred is not None:
        claims = _of_preferred(index, claims, preferred)
    if len(claims) <= 1:
        return claims[0] if claims else None
    if len({each.distribution for each in claims}) == 1:
        values = " and ".join(each.value for each in claims)
        raise PluginContractError(
            f"it claims the scheme {scheme!r} with {values}",
            source=claims[0].claimant,
            hint="One entry point a scheme.",
        )
    raise SchemeConflictError(scheme, [each.claimant for each in claims])


def _of_preferred(index: PluginIndex, claims: Sequence[Candidate], preferred: str) -> tuple[Candidate, ...]:
    """Narrow the claims; a preferred distribution that loads only images has no say about volumes."""
    scheme = claims[0].name
    chosen = tuple(each for each in claims if each.distribution == preferred)
    everywhere = index.claims(IMAGES, scheme) + index.claims(VOLUMES, scheme)
    if chosen or any(each.distribution == preferred for each in everywhere):
        return chosen or tuple(claims)
    raise LoadstoneError(
        f"LOADSTONE_PREFER or the session's policy wants {preferred} for {scheme!r}, which does not claim it",
        hint=f"Install {preferred}, or prefer one of: {', '.join(each.claimant for each in claims)}.",
    )
