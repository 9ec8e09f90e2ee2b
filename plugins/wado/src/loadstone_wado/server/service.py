"""Which address answers what."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from loadstone_wado.server.attributes import Level
from loadstone_wado.server.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotAcceptableError,
    NotFoundError,
    RequestRefusedError,
)
from loadstone_wado.server.frames import FrameReader
from loadstone_wado.server.metadata import Documents, compress
from loadstone_wado.server.negotiation import DICOM, accepts, parse_accept
from loadstone_wado.server.query import parse_query, search
from loadstone_wado.server.rendering import render_png
from loadstone_wado.server.retrieval import Retrieval
from loadstone_wado.server.wire import Request, Response, narrow

if TYPE_CHECKING:
    from loadstone_wado.server.behaviour import ServerBehaviour
    from loadstone_wado.server.index import Archive, Instance, Series, Study
    from loadstone_wado.server.links import Links

__all__ = ["DicomWebService"]

JSON_TYPES = ("application/dicom+json", "application/json")
PNG = "image/png"
SMALL_BYTES = 1024
"""Documents up to this size are not worth compressing."""
SEARCHES = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}


class DicomWebService:
    """Answers requests; knows nothing of sockets.

    Parameters
    ----------
    archive
        What is served.
    behaviour
        What is done differently from the standard.
    links
        The addresses to name in answers.
    """

    def __init__(self, archive: Archive, behaviour: ServerBehaviour, links: Links) -> None:
        self._archive = archive
        self._behaviour = behaviour
        self._documents = Documents(links)
        self._retrieval = Retrieval(behaviour, links, FrameReader())
        self._failed: set[str] = set()

    def respond(self, request: Request) -> Response:
        """Answer a request.

        Raises
        ------
        RequestRefusedError
            Whatever the answer is that is not data.
        """
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowedError(request.method)
        if self._behaviour.fails_first and request.target not in self._failed:
            self._failed.add(request.target)
            raise RequestRefusedError("this server fails first: ask again")
        # Pieces of the path are only ever looked up among known UIDs: none becomes part of a file name.
        match request.path:
            case ("dicomweb", *rest):
                return self._dicomweb(request, tuple(rest))
            case ("wado",):
                return self._wado_uri(request)
            case ("files", name) if name.endswith(".dcm"):
                return self._narrowed(request, self._retrieval.part10(self._any_instance(name[:-4]), ""))
        raise NotFoundError(
            "nothing is served here: see /dicomweb/studies, /wado and /files/<SOPInstanceUID>.dcm"
        )

    def _dicomweb(self, request: Request, path: tuple[str, ...]) -> Response:
        match path:
            case ("studies", study, "series", series, "instances", instance, *rest) if rest:
                return self._instance_resource(request, self._instance(study, series, instance), tuple(rest))
            case ("studies" | "series" | "instances" as kind,):
                return self._search(request, SEARCHES[kind])
            case ("studies", study, "series" | "instances" as kind):
                return self._search(request, SEARCHES[kind], study)
            case ("studies", study, "series", series, "instances"):
                return self._search(request, Level.INSTANCE, study, series)
            case ("studies", study, "metadata"):
                return self._metadata(request, (study,), list(self._study(study).instances()))
            case ("studies", study, "series", series, "metadata"):
                found = list(self._series(study, series).instances.values())
                return self._metadata(request, (study, series), found)
            case ("studies", study):
                return self._instances(request, list(self._study(study).instances()))
            case ("studies", study, "series", series):
                return self._instances(request, list(self._series(study, series).instances.values()))
            case ("studies", study, "series", series, "instances", instance):
                return self._instances(request, [self._instance(study, series, instance)], single=True)
        raise NotFoundError(f"there is no resource of DICOMweb at /{'/'.join(path)}")

    def _instance_resource(self, request: Request, instance: Instance, path: tuple[str, ...]) -> Response:
        match path:
            case ("frames", numbers):
                return self._narrowed(request, self._retrieval.frames(instance, numbers, _accept(request)))
            case ("metadata",):
                return self._metadata(
                    request, (instance.study_uid, instance.series_uid, instance.uid), [instance]
                )
            case ("bulkdata", *tags) if tags:
                return self._narrowed(
                    request, self._retrieval.bulkdata(instance, tuple(tags), _accept(request))
                )
            case ("rendered" | "thumbnail",):
                return _rendered(request, instance, "1")
            case ("frames", number, "rendered" | "thumbnail"):
                return _rendered(request, instance, number)
        raise NotFoundError(f"an instance has no resource {'/'.join(path)}")

    def _search(
        self, request: Request, level: Level, study_uid: str | None = None, series_uid: str | None = None
    ) -> Response:
        content_type = accepts(parse_accept(_accept(request)), JSON_TYPES)
        query = parse_query(level, request.parameters, study_uid=study_uid, series_uid=series_uid)
        if not self._behaviour.pages:
            query = replace(query, offset=0, limit=None)
        answer = search(self._archive, query, self._documents)
        warnings = [
            '299 loadstone "fuzzymatching is not supported: only literal matching was done"'
        ] * query.fuzzy
        if answer.remaining:
            warnings.append(
                f'299 loadstone "there are {answer.remaining} more results that can be requested"'
            )
        headers = tuple(("Warning", warning) for warning in warnings)
        if not answer.datasets:
            return Response(204, content_type, headers=headers)
        document = json.dumps(answer.datasets, separators=(",", ":")).encode("ascii")
        zipped = len(document) > SMALL_BYTES and self._zips(request)
        return _json(content_type, compress(document) if zipped else document, zipped=zipped, headers=headers)

    def _metadata(self, request: Request, uids: tuple[str, ...], instances: list[Instance]) -> Response:
        if len(uids) < 3 and self._behaviour.refuses_series_metadata:
            raise BadRequestError("this server sends the metadata of one instance at a time")
        content_type = accepts(parse_accept(_accept(request)), JSON_TYPES)
        zipped = self._zips(request)
        return _json(
            content_type, self._documents.document(uids, instances, compressed=zipped), zipped=zipped
        )

    def _zips(self, request: Request) -> bool:
        return self._behaviour.compresses and _takes_gzip(request)

    def _instances(self, request: Request, instances: list[Instance], *, single: bool = False) -> Response:
        response = self._retrieval.instances(instances, _accept(request), single=single)
        return self._narrowed(request, response) if single else response

    def _wado_uri(self, request: Request) -> Response:
        given = {name.lower(): value for name, value in request.parameters}
        if given.get("requesttype") != "WADO":
            raise BadRequestError("requestType=WADO is missing")
        missing = [name for name in ("studyUID", "seriesUID", "objectUID") if not given.get(name.lower())]
        if missing:
            raise BadRequestError(f"{' and '.join(missing)} must be given")
        instance = self._instance(given["studyuid"], given["seriesuid"], given["objectuid"])
        wanted = given.get("contenttype", DICOM)
        chosen = accepts(parse_accept(wanted), (DICOM, PNG) if instance.pixels else (DICOM,))
        if chosen == PNG:
            return _png(instance, given.get("framenumber", "1"))
        if "framenumber" in given:
            raise BadRequestError(f"frameNumber is for pictures: {DICOM} is the whole instance")
        response = self._retrieval.part10(instance, given.get("transfersyntax", ""))
        return self._narrowed(request, response)

    def _narrowed(self, request: Request, response: Response) -> Response:
        if self._behaviour.ignores_ranges or response.content_type.startswith("multipart/"):
            return response
        return narrow(response, request.headers.get("range"), later=int(self._behaviour.misplaces_ranges))

    def _study(self, study_uid: str) -> Study:
        study = self._archive.studies.get(study_uid)
        if study is None:
            raise NotFoundError(f"there is no study {study_uid} here")
        return study

    def _series(self, study_uid: str, series_uid: str) -> Series:
        series = self._study(study_uid).series.get(series_uid)
        if series is None:
            raise NotFoundError(f"there is no series {series_uid} in this study")
        return series

    def _instance(self, study_uid: str, series_uid: str, uid: str) -> Instance:
        instance = self._series(study_uid, series_uid).instances.get(uid)
        if instance is None:
            raise NotFoundError(f"there is no instance {uid} in this series")
        return instance

    def _any_instance(self, uid: str) -> Instance:
        instance = self._archive.instances.get(uid)
        if instance is None:
            raise NotFoundError(f"there is no instance {uid} here")
        return instance


def _accept(request: Request) -> str:
    # A query may say what is accepted where no header can be set (PS3.18 8.3.3.1).
    if "accept=" in request.target:
        return ",".join(value for name, value in request.parameters if name == "accept")
    return request.headers.get("accept", "")


def _takes_gzip(request: Request) -> bool:
    for coding in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = coding.replace(" ", "").partition(";")
        if name in ("gzip", "*"):
            return quality not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _json(
    content_type: str, document: bytes, *, zipped: bool, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    coding = (("Content-Encoding", "gzip"),) if zipped else ()
    return Response.of(
        200, content_type, (document,), (*coding, ("Vary", "Accept, Accept-Encoding"), *headers)
    )


def _rendered(request: Request, instance: Instance, number: str) -> Response:
    try:
        accepts(parse_accept(_accept(request)), (PNG,))
    except NotAcceptableError as error:
        raise NotAcceptableError(f"pictures are sent only as {PNG}") from error
    return _png(instance, number)


def _png(instance: Instance, number: str) -> Response:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise BadRequestError(f"{number} is no number of a frame")
    return Response.of(200, PNG, (render_png(instance, int(number)),))
