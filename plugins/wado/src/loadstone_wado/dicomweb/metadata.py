"""The metadata of a series or an instance, asked for once and kept while there is room."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from loadstone import FetchError, IntegrityError, LimitError, LoadstoneError, MetadataError, StashKey
from loadstone.transport import redact
from loadstone_wado.dicomweb.bulkdata import BULK_DATA_POLICIES, bulk_data_urls, fetch_bulk_data
from loadstone_wado.dicomweb.json_objects import fetch_objects, texts_of
from loadstone_wado.dicomweb.search import search
from loadstone_wado.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loadstone import LoadContext, Session
    from loadstone_wado.ids import RsUrl

__all__ = ["Described", "instance_at", "series_at", "series_of"]

_REFUSED: Final = frozenset({400, 404, 405, 406, 413, 415, 500, 501})
"""Statuses with which servers refuse the metadata of a whole series."""
_PARSED: Final = 4
"""How much more memory parsed JSON takes than its text."""
_UID: Final = "00080018"
_SERIES_UID: Final = "0020000E"

_Name = tuple[str, str, str]
"""URL of an instance, query, policy for bulk data."""

_KNOWN: StashKey[WeakValueDictionary[_Name, Instance]] = StashKey()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Described:
    """Instances that a server described; a source."""

    instances: dict[str, Instance]
    """By SOP Instance UID, in the order of the answer."""
    nbytes: int
    """About how much memory they take."""

    def close(self) -> None:
        """Forget them."""
        self.instances.clear()


def series_at(url: RsUrl, context: LoadContext) -> dict[str, Instance]:
    """
    Return the instances of a series: with one request, or one by one where a server refuses that.

    Raises
    ------
    FetchError
        If the server does not give its metadata.
    DecodeError, IntegrityError, MetadataError, LimitError
        If the answer is not what it should be.
    """

    def fetch() -> Described:
        try:
            described = _described(url.series_url, url, context)
        except (FetchError, LimitError) as error:
            if isinstance(error, FetchError) and error.status not in _REFUSED:
                raise
            described = _one_by_one(url, context, error)
        known = _known(context)
        for uid, instance in described.instances.items():
            known[_name(replace(url, instance=uid), context)] = instance
        return described

    key = ("wadors", url.series_url, url.query, _policy(context))
    return dict(context.source(key, fetch).instances)


def instance_at(url: RsUrl, context: LoadContext) -> Instance:
    """
    Return one instance, from the metadata of its series if these are known; errors as `series_at`.

    Raises
    ------
    IntegrityError
        If the server describes another instance.
    """
    known = _known(context)
    name = _name(url, context)
    instance = known.get(name)
    if instance is None:
        key = ("wadors", *name)
        found = context.source(key, lambda: _described(url.instance_url, url, context)).instances
        if url.instance not in found:
            raise IntegrityError("the server described another instance", source=redact(url.instance_url))
        instance = known[name] = found[url.instance]
    return instance


def series_of(url: RsUrl, context: LoadContext) -> list[str]:
    """
    Return the UIDs of the series of a study.

    Raises
    ------
    FetchError
        If the server does not know the study, or does not search.
    DecodeError, LimitError
        If an answer is not what it should be.
    """
    asked = f"{url.study_url}/series{url.query}"
    found = [
        _series_uid(each)
        for each in search(asked, url.root, context.session, context.fetch, identity=_series_uid)
    ]
    if not found:
        raise FetchError("the server knows no such study", source=redact(url.study_url), status=404)
    return found


def _known(context: LoadContext) -> WeakValueDictionary[_Name, Instance]:
    return context.session.stash.setdefault(_KNOWN, WeakValueDictionary)


def _name(url: RsUrl, context: LoadContext) -> _Name:
    return url.instance_url, url.query, _policy(context)


def _policy(context: LoadContext) -> str:
    """Return what to do about bulk data elsewhere; it goes into names, because descriptions do it."""
    policy = context.options.get("bulkdata", BULK_DATA_POLICIES[0])
    if policy not in BULK_DATA_POLICIES:
        allowed = " or ".join(map(repr, BULK_DATA_POLICIES))
        raise LoadstoneError(f"bulkdata={policy!r} is no such policy", hint=f"Use {allowed}.")
    return str(policy)


def _described(target: str, url: RsUrl, context: LoadContext) -> Described:
    metadata_url = f"{target}/metadata"
    answer = fetch_objects(metadata_url + url.query, url.root, context.session, context.fetch)
    if not answer.objects:
        raise FetchError("the server knows no such series or instance", source=redact(target), status=404)
    fetch = _bulk_data(metadata_url, url.root, context.session, _policy(context))
    instances = {}
    for attributes in answer.objects:
        uid = _uid(attributes)
        if not uid:
            raise MetadataError("the server described an instance without UID", source=redact(target))
        source = redact(replace(url, instance=uid).instance_url)
        instances[uid] = Instance.from_json(attributes, context.settings, fetch=fetch, source=source)
    return Described(instances, _PARSED * answer.nbytes)


def _bulk_data(metadata_url: str, root: str, session: Session, policy: str) -> Callable[[str], bytes]:
    """Return what fetches bulk data when it is first needed."""

    def fetch(uri: str) -> bytes:
        return fetch_bulk_data(bulk_data_urls(uri, metadata_url, root, policy=policy), root, session)

    return fetch


def _one_by_one(url: RsUrl, context: LoadContext, refusal: FetchError | LimitError) -> Described:
    """Search for the instances of a series and ask for each by itself, several at a time."""
    try:
        uids = list(dict.fromkeys(_searched(url, context)))
    except FetchError:
        raise refusal from None
    if not uids:
        raise refusal
    jobs = [context.submit(instance_at, replace(url, instance=uid), context, computes=False) for uid in uids]
    instances = {uid: job.result() for uid, job in zip(uids, jobs, strict=True)}
    return Described(instances, sum(instance.nbytes for instance in instances.values()))


def _searched(url: RsUrl, context: LoadContext) -> Iterator[str]:
    """Yield the UIDs of a series."""
    asked = f"{url.series_url}/instances{url.query}"
    for attributes in search(asked, url.root, context.session, context.fetch, identity=_uid):
        yield _uid(attributes)


def _uid(attributes: Mapping[str, Any]) -> str:
    return next(iter(texts_of(attributes, _UID)), "")


def _series_uid(attributes: Mapping[str, Any]) -> str:
    return next(iter(texts_of(attributes, _SERIES_UID)), "")
