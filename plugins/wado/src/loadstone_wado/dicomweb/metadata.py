"""The metadata of a series or an instance, asked for once and kept while there is room."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from loadstone import DecodeError, FetchError, IntegrityError, LimitError, StashKey
from loadstone_wado.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadstone import LoadContext
    from loadstone_wado.ids import RsUrl

__all__ = ["Described", "instance_at", "series_at"]

_KNOWN: StashKey[WeakValueDictionary[str, Instance]] = StashKey()


@dataclass(slots=True, eq=False, weakref_slot=True)
class Described:
    """Instances that a server described; a source."""

    instances: dict[str, Instance]
    """By SOP Instance UID, in the order of the answer."""
    nbytes: int
    """About how much memory they take: parsed JSON is several times larger than its text."""

    def close(self) -> None:
        """Forget them."""
        self.instances.clear()


def series_at(url: RsUrl, context: LoadContext) -> dict[str, Instance]:
    """
    Return the instances of a series.

    Raises
    ------
    FetchError
        If the server does not give its metadata.
    DecodeError, IntegrityError, LimitError
        If the answer is not what it should be.
    """
    known = _known(context)

    def fetch() -> Described:
        described = _described(f"{url.series_url}/metadata{url.query}", context)
        for uid, instance in described.instances.items():
            known[f"{url.series_url}/instances/{uid}{url.query}"] = instance
        return described

    return dict(context.source(("wadors", url.series_url, url.query), fetch).instances)


def instance_at(url: RsUrl, context: LoadContext) -> Instance:
    """Return one instance, from the metadata of its series if that is known; errors as `series_at`."""
    known = _known(context)
    name = f"{url.instance_url}{url.query}"
    instance = known.get(name)
    if instance is not None:
        return instance

    def fetch() -> Described:
        return _described(f"{url.instance_url}/metadata{url.query}", context)

    instances = context.source(("wadors", url.instance_url, url.query), fetch).instances
    if url.instance not in instances:
        raise IntegrityError(
            f"the server described {len(instances)} other instances", source=url.instance_url
        )
    known[name] = instances[url.instance]
    return instances[url.instance]


def _known(context: LoadContext) -> WeakValueDictionary[str, Instance]:
    return context.session.stash.setdefault(_KNOWN, WeakValueDictionary)


def _described(url: str, context: LoadContext) -> Described:
    answer = context.fetch(
        url,
        headers={"Accept": "application/dicom+json"},
        max_bytes=context.settings.max_json_bytes,
        accept_gzip=True,
    )
    objects = _objects(answer.body, answer.url)
    instances = {}
    for attributes in objects:
        instance = Instance.from_json(attributes, context.settings, source=answer.url)
        instances[instance.sop_instance_uid] = instance
    if not instances:
        raise FetchError(
            "the server knows no such series or instance", source=answer.url, status=answer.status
        )
    return Described(instances, 4 * len(answer.body))


def _objects(body: bytes, source: str) -> list[Mapping[str, Any]]:
    try:
        objects = json.loads(body)
    except RecursionError as error:
        raise LimitError("the metadata are nested too deeply", source=source) from error
    except ValueError as error:
        raise DecodeError(
            "the metadata are no JSON", source=source, hint="Is this the URL of a DICOMweb service?"
        ) from error
    if isinstance(objects, dict):
        objects = [objects]
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise DecodeError("the metadata are no list of DICOM JSON objects", source=source)
    return objects
