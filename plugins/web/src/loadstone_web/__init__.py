"""Loadstone plugin for PNG and JPEG images, from files and over HTTP."""
