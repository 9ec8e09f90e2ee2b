"""Loadstone plugin for DICOM: files and folders, WADO-RS, WADO-URI; searches of DICOMweb services."""

from __future__ import annotations

from loadstone_wado.dicomweb.client import DicomWeb
from loadstone_wado.dicomweb.rows import InstanceRow, SeriesRow, StudyRow

__all__ = ["DicomWeb", "InstanceRow", "SeriesRow", "StudyRow"]
