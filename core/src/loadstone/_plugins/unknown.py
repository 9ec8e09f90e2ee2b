"""What to tell somebody whose scheme nobody claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone._plugins.index import CORE_SCHEMES, PluginIndex
from loadstone.errors import UnknownSchemeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from loadstone._plugins.policy import PluginPolicy

__all__ = ["unknown_scheme"]

_FIRST_PARTY = {
    "dicomfile": "loadstone-wado",
    "nifti": "loadstone-nifti",
    "wadors": "loadstone-wado",
    "wadouri": "loadstone-wado",
    "web": "loadstone-web",
}


def unknown_scheme(
    scheme: str,
    known: Collection[str],
    *,
    other: Collection[str],
    index: PluginIndex,
    policy: PluginPolicy,
    group: str,
) -> UnknownSchemeError:
    """
    Build the error for a scheme that nobody claims.

    Parameters
    ----------
    scheme
        What was asked for.
    known
        The schemes of that kind (images or volumes) that can be used.
    other
        Those of the other kind.
    index, policy, group
        Say whether somebody claims it who may not be used.
    """
    from difflib import get_close_matches

    hints = []
    if scheme in CORE_SCHEMES:
        hints.append("Paths and plain URLs are resolved by their suffix: see loadstone.to_id().")
    if scheme in other:
        hints.append(f"Installed plugins know {scheme!r} only for the other kind (images or volumes).")
    hints += [
        f"{claim.claimant} claims it but is {reason}."
        for claim in index.claims(group, scheme)
        if (reason := policy.refusal(claim.distribution))
    ]
    if close := get_close_matches(scheme, sorted({*known, *_FIRST_PARTY} - {scheme}), n=3):
        hints.append(f"Did you mean {' or '.join(map(repr, close))}?")
    if scheme in _FIRST_PARTY and scheme not in other and not index.claims(group, scheme):
        hints.append(f"Install it with: pip install {_FIRST_PARTY[scheme]}")
    return UnknownSchemeError(
        scheme,
        installed=sorted(known),
        hint=" ".join(hints) or "Install the plugin that loads it, or register_image_loader/…_volume_loader.",
    )
