"""A DICOMweb service to be searched: what is there, and how it looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from loadstone import ImageId, InvalidIdError, default_session
from loadstone.transport import HttpUrl
from loadstone_wado.dicomweb.json_objects import texts_of
from loadstone_wado.dicomweb.preview import preview
from loadstone_wado.dicomweb.rows import InstanceRow, SeriesRow, StudyRow
from loadstone_wado.dicomweb.search import parameters, search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loadstone import Image, Session, Window
    from loadstone_wado.dicomweb.search import Filter

__all__ = ["DicomWeb"]

_UID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"


class DicomWeb:
    """
    A DICOMweb service.

    Parameters
    ----------
    url
        Its root, under which there is ``/studies``.
    session
        Whose credentials, limits and cache are used; default: the default session, whichever that is at the
        time of a call.

    Raises
    ------
    InvalidIdError
        If that is no http(s) URL.

    Examples
    --------
    >>> web = DicomWeb("https://pacs.example.org/dicom-web")
    >>> for series in web.series({"Modality": "CT", "StudyDate": "20240101-20241231"}):  # doctest: +SKIP
    ...     print(series.description, series.id)
    """

    def __init__(self, url: str, session: Session | None = None) -> None:
        parsed = HttpUrl.parse(url)
        if "?" in url or "#" in url:
            raise InvalidIdError("the root of a service has no query", source=parsed.origin)
        self.url = url.rstrip("/")
        self._session = session

    @property
    def session(self) -> Session:
        """The session that is used."""
        return self._session or default_session()

    def __repr__(self) -> str:
        """Say which service it is, without credentials."""
        return f"DicomWeb({HttpUrl.parse(self.url).origin!r})"

    def studies(
        self,
        filters: Mapping[str, Filter] | None = None,
        *,
        limit: int | None = None,
        offset: int = 0,
        fuzzy: bool = False,
        include: Sequence[str] = (),
    ) -> list[StudyRow]:
        """
        Search for studies.

        Parameters
        ----------
        filters
            What attributes must be, by keyword (``PatientID``), by tag (``00100020``) or by a path of
            them with dots between. Text may have ``*`` and ``?``, days may be ranges:
            ``{"PatientName": "Doe*", "StudyDate": "20240101-20240131", "ModalitiesInStudy": "CT"}``.
        limit
            Most rows that are wanted; None: all, however few the server gives at a time.
        offset
            How many to leave out at the beginning.
        fuzzy
            Whether names may be matched by their sound; a server that cannot is warned about.
        include
            Attributes that `StudyRow.json` is to have beside the usual ones; ``["all"]`` for all.

        Raises
        ------
        InvalidIdError
            If there is no such attribute.
        FetchError
            If the server refuses, or is not there.
        DecodeError, LimitError
            If an answer is no DICOM JSON, or beyond the limits.
        """
        found = self._found(
            "/studies", _STUDY, limit, offset, parameters(filters or {}, include, fuzzy=fuzzy)
        )
        return [StudyRow.of(each, self.url) for each in found]

    def series(
        self,
        filters: Mapping[str, Filter] | None = None,
        *,
        study: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        fuzzy: bool = False,
        include: Sequence[str] = (),
    ) -> list[SeriesRow]:
        """
        Search for series, in one study if its UID is given; otherwise as `studies`.

        Not every server searches for series in all studies.
        """
        place = "" if study is None else f"/studies/{_checked(study)}"
        found = self._found(
            f"{place}/series", _SERIES, limit, offset, parameters(filters or {}, include, fuzzy=fuzzy)
        )
        return [SeriesRow.of(each, self.url, study or "") for each in found]

    def instances(
        self,
        filters: Mapping[str, Filter] | None = None,
        *,
        study: str | None = None,
        series: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        fuzzy: bool = False,
        include: Sequence[str] = (),
    ) -> list[InstanceRow]:
        """
        Search for instances, in a study or a series if their UIDs are given; otherwise as `studies`.

        Raises
        ------
        InvalidIdError
            Also if a series is given without its study.
        """
        if series is not None and study is None:
            raise InvalidIdError("a series is found by its study", hint="Give the UID of the study as well.")
        place = "" if study is None else f"/studies/{_checked(study)}"
        place += "" if series is None else f"/series/{_checked(series)}"
        found = self._found(
            f"{place}/instances", _INSTANCE, limit, offset, parameters(filters or {}, include, fuzzy=fuzzy)
        )
        return [InstanceRow.of(each, self.url, study or "", series or "") for each in found]

    def image_ids(self, study: str, series: str) -> list[str]:
        """
        Return the ids of the images of a series, sorted volume by volume.

        That is one request, for the metadata of the series; they are kept, so that loading one of the images
        asks for its pixels only.

        Raises
        ------
        LoadstoneError
            As `Session.image_ids`.
        """
        return self.session.image_ids(
            f"wadors:{self.url}/studies/{_checked(study)}/series/{_checked(series)}"
        )

    def rendered(
        self,
        image_id: str,
        *,
        thumbnail: bool = False,
        window: Window | tuple[float, float] | None = None,
        size: tuple[int, int] | None = None,
    ) -> Image:
        """
        Return a picture of a frame, for people to look at: 8 bits, grey or RGB, made by the server.

        It is no measurement: it may be lossy and smaller than the frame, and its values mean nothing. It is
        kept apart from what `load_image` gives, and not cached. A server that makes no pictures is asked for
        the frame itself, which is then shown as `Image.display` does.

        Parameters
        ----------
        image_id
            Of the frame, or `InstanceRow.id`.
        thumbnail
            Whether a small one will do.
        window
            A `Window`, or (center, width) of a LINEAR one; default: that of the object.
        size
            Most columns and rows that are wanted; servers may give another size.

        Raises
        ------
        InvalidIdError
            If the id is no frame of a DICOMweb service.
        LoadstoneError
            If window or size are impossible, or there is neither a picture nor the frame.
        """
        return preview(ImageId(image_id), self.session, thumbnail=thumbnail, window=window, size=size)

    def _found(
        self, path: str, identity: str, limit: int | None, offset: int, asked: list[tuple[str, str]]
    ) -> list[Mapping[str, Any]]:
        session = self.session
        return list(
            search(
                self.url + path,
                self.url,
                session,
                session.transport.fetch,
                identity=_value_of(identity),
                asked=asked,
                limit=limit,
                offset=offset,
            )
        )


def _value_of(tag: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda attributes: next(iter(texts_of(attributes, tag)), "")


def _checked(uid: str) -> str:
    """Refuse what would lead out of its place in a URL."""
    if not _UID.fullmatch(uid):
        raise InvalidIdError(f"{uid!r} is no UID", hint="UIDs are digits and dots, at most 64.")
    return uid
