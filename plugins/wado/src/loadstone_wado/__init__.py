"""Loadstone plugin for DICOM: files and folders, WADO-RS, WADO-URI; searches of DICOMweb services."""

from __future__ import annotations

from loadstone_wado.dicomweb.client import DicomWeb
from loadstone_wado.dicomweb.rows import InstanceRow, SeriesRow, StudyRow
from loadstone_wado.sources.registered import RegisteredObject, register_object

__all__ = ["DicomWeb", "InstanceRow", "RegisteredObject", "SeriesRow", "StudyRow", "register_object"]
