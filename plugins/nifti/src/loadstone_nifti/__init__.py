"""Loadstone plugin for NIfTI-1 and NIfTI-2 files, plain and compressed."""
