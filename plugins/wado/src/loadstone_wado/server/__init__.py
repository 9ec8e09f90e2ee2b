"""An embedded DICOMweb server for demos, tests and authors of plugins.

It serves DICOM files over QIDO-RS, WADO-RS, WADO-URI and plain addresses, by the standard or, as its
`ServerBehaviour` says, with the quirks of others.
"""

from loadstone_wado.server.behaviour import AcceptKind, ServerBehaviour
from loadstone_wado.server.connection import RequestRecord
from loadstone_wado.server.errors import ServerNotRunningError
from loadstone_wado.server.index import Counts
from loadstone_wado.server.server import DicomWebServer

__all__ = [
    "AcceptKind",
    "Counts",
    "DicomWebServer",
    "RequestRecord",
    "ServerBehaviour",
    "ServerNotRunningError",
]
