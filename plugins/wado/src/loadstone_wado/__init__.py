"""Loadstone plugin for DICOM: files and folders, WADO-RS, WADO-URI."""
