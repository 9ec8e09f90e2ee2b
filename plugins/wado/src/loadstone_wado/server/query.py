"""Searches: QIDO-RS (PS3.18 section 10.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from loadstone_wado.server.attributes import (
    COMPUTED,
    INDEXED_TAGS,
    LEVEL_TAGS,
    Level,
    parse_attribute,
    value_representation,
)
from loadstone_wado.server.errors import BadRequestError, NotFoundError
from loadstone_wado.server.index import Instance, Series, Study
from loadstone_wado.server.matching import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loadstone_wado.server.dicomjson import JsonDataset
    from loadstone_wado.server.index import Archive
    from loadstone_wado.server.links import Links
    from loadstone_wado.server.metadata import Documents

__all__ = ["Answer", "Query", "parse_query", "search"]

Entity: TypeAlias = Study | Series | Instance
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a search asks for."""

    level: Level
    """What is searched: studies, series or instances."""
    study_uid: str | None = None
    """The study to stay in."""
    series_uid: str | None = None
    """The series to stay in."""
    filters: tuple[tuple[tuple[str, ...], str], ...] = ()
    """Attribute (its tags from the outermost sequence inwards) and what it must match."""
    included: frozenset[str] = frozenset()
    """Tags to return besides the usual ones."""
    includes_all: bool = False
    """Whether all attributes are returned."""
    offset: int = 0
    """How many matches to leave out at the beginning."""
    limit: int | None = None
    """How many to return."""
    fuzzy: bool = False
    """Whether names should match by their sound, which this server cannot do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found."""

    datasets: tuple[JsonDataset, ...]
    """The attributes of each match."""
    remaining: int
    """How many more there are behind the limit."""


def parse_query(
    level: Level,
    parameters: Iterable[tuple[str, str]],
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
) -> Query:
    """Make a query of the parameters of an address.

    Parameters
    ----------
    level
        What is searched.
    parameters
        Names and values, decoded, as often as they were given.
    study_uid, series_uid
        What the path restricts the search to.

    Raises
    ------
    BadRequestError
        If a parameter is no attribute, or a number is none.
    """
    filters: list[tuple[tuple[str, ...], str]] = []
    included: set[str] = set()
    plain = {"offset": "0", "limit": "", "fuzzymatching": "false"}
    for name, value in parameters:
        if name == "includefield":
            included.update(value.split(","))
        elif name in plain:
            plain[name] = value
        elif name != "accept":
            filters.append((parse_attribute(name), value))
    return Query(
        level=level,
        study_uid=study_uid,
        series_uid=series_uid,
        filters=tuple(filters),
        included=frozenset(parse_attribute(name)[0] for name in included - {"all", ""}),
        includes_all="all" in included,
        offset=_count("offset", plain["offset"]),
        limit=_count("limit", plain["limit"]) if plain["limit"] else None,
        fuzzy=plain["fuzzymatching"] == "true",
    )


def search(archive: Archive, query: Query, documents: Documents) -> Answer:
    """Find what `query` asks for, in the order in which it was indexed.

    Parameters
    ----------
    archive
        Where to look.
    query
        What to look for.
    documents
        The attributes that the index does not hold.

    Raises
    ------
    DamagedObjectError
        If a file that must be read is gone or was changed.
    NotFoundError
        If the study or series to stay in is not here.
    """
    describe = _Description(archive, query, documents)
    found = [entity for entity in _candidates(archive, query) if describe.matches(entity)]
    stop = len(found) if query.limit is None else query.offset + query.limit
    chosen = found[query.offset : stop]
    return Answer(tuple(describe.attributes(entity) for entity in chosen), max(len(found) - stop, 0))


@dataclass(frozen=True, slots=True)
class _Description:
    """What is said about a match."""

    archive: Archive
    query: Query
    documents: Documents

    def matches(self, entity: Entity) -> bool:
        """Return whether `entity` matches: itself in what is computed, any of its instances in the rest."""
        own = [item for item in self.query.filters if item[0][0] in COMPUTED]
        others = [item for item in self.query.filters if item[0][0] not in COMPUTED]
        if own:
            computed = self._computed(entity)
            if not all(matches(computed, path, wanted) for path, wanted in own):
                return False
        return not others or any(self._instance_matches(instance, others) for instance in _instances(entity))

    def attributes(self, entity: Entity) -> JsonDataset:
        """Return what is said about `entity`, in the order of the tags."""
        first = next(_instances(entity))
        available = self._all(first) if self._needs_header(self.query.included) else first.attributes
        everything = {**available, **self._computed(entity)}
        if self.query.includes_all:
            return dict(sorted(everything.items()))
        wanted = self._usual_tags() | self.query.included
        empty: JsonDataset = {tag: {"vr": value_representation(tag)} for tag in self.query.included}
        chosen = {tag: element for tag, element in everything.items() if tag in wanted}
        return dict(sorted({**empty, **chosen}.items()))

    def _usual_tags(self) -> frozenset[str]:
        query = self.query
        known = [query.study_uid is not None, query.series_uid is not None, False]
        levels = [
            one for one, is_known in zip(Level, known, strict=True) if one <= query.level and not is_known
        ]
        tags = {tag for one in levels for tag in LEVEL_TAGS[one]}
        uids = ("0020000D", "0020000E", "00080018")[: query.level]
        return frozenset(tags.union(uids, COMPUTED, ["00080005"]))

    def _instance_matches(self, instance: Instance, filters: Sequence[tuple[tuple[str, ...], str]]) -> bool:
        for path, wanted in filters:
            known = instance.attributes if path[0] in INDEXED_TAGS else self._all(instance)
            if not matches(known, path, wanted):
                return False
        return True

    def _needs_header(self, tags: frozenset[str]) -> bool:
        return self.query.includes_all or not tags <= (INDEXED_TAGS | COMPUTED.keys())

    def _all(self, instance: Instance) -> JsonDataset:
        return self.documents.attributes(instance)

    def _computed(self, entity: Entity) -> JsonDataset:
        first = next(_instances(entity))
        study = self.archive.studies[first.study_uid]
        values: dict[str, list[object]] = {
            "00080056": ["ONLINE"],
            "00081190": [_address(self.documents.links, entity)],
        }
        if self.query.level is Level.STUDY or self.query.study_uid is None:
            values["00080061"] = list(_modalities(study))
            values["00201206"] = [len(study.series)]
            values["00201208"] = [sum(len(series.instances) for series in study.series.values())]
        if self.query.level is not Level.STUDY:
            values["00201209"] = [len(study.series[first.series_uid].instances)]
        if isinstance(entity, Instance):
            values["00083002"] = [entity.transfer_syntax_uid]
        return {tag: {"vr": COMPUTED[tag], "Value": value} for tag, value in values.items()}


def _modalities(study: Study) -> Iterator[str]:
    found = (
        value
        for instance in study.instances()
        for value in instance.attributes.get("00080060", {}).get("Value", [])
    )
    return iter(dict.fromkeys(found))


def _address(links: Links, entity: Entity) -> str:
    if isinstance(entity, Study):
        return links.study(entity.uid)
    if isinstance(entity, Series):
        return links.series(entity.study_uid, entity.uid)
    return links.instance(entity)


def _instances(entity: Entity) -> Iterator[Instance]:
    if isinstance(entity, Study):
        return entity.instances()
    if isinstance(entity, Series):
        return iter(entity.instances.values())
    return iter((entity,))


def _candidates(archive: Archive, query: Query) -> Iterator[Entity]:
    studies = _one_or_all(archive.studies, query.study_uid, "study")
    if query.level is Level.STUDY:
        yield from studies
        return
    for study in studies:
        for series in _one_or_all(study.series, query.series_uid, "series"):
            if query.level is Level.SERIES:
                yield series
            else:
                yield from series.instances.values()


def _one_or_all(known: dict[str, Found], uid: str | None, what: str) -> list[Found]:
    if uid is None:
        return list(known.values())
    if uid not in known:
        raise NotFoundError(f"there is no {what} {uid} here")
    return [known[uid]]


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequestError(f"{name}={text} is no number of matches")
    return int(text)
