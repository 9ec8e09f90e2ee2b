"""The session that the functions of the package use, and what becomes of sessions in a forked child."""

from __future__ import annotations

import os
import sys
import threading

from loadstone.imports_in_flight import wait_for_imports
from loadstone.permits import forget_shared_permits
from loadstone.session import Session, sessions
from loadstone.settings import Settings
from loadstone.waiting import current_load, forget_strands

__all__ = ["current_session"]

_default_lock = threading.Lock()
_default: Session | None = None


def current_session() -> Session:
    """Return the session that the calling worker works for, else the default one, made when first needed."""
    load = current_load()
    if load is not None:
        return load.desk.session
    global _default  # noqa: PLW0603 - the one default session of the process
    if _default is None or _default.closed:
        with _default_lock:
            if _default is None or _default.closed:
                _default = _new_default()
    return _default


def _new_default() -> Session:
    settings = Settings.from_environment()
    process = sys.modules.get("multiprocessing.process")
    is_worker = process is not None and process.parent_process() is not None
    return Session(settings.for_worker() if is_worker else settings)


_inherited_sessions: list[Session] = []
"""Those of the parent: kept, so that nothing of them is closed when they would be collected."""


def _start_anew() -> None:
    """Forget in a forked child what the parent's threads work on."""
    global _default, _default_lock
    _default, _default_lock = None, threading.Lock()
    forget_strands()
    forget_shared_permits()
    for session in tuple(sessions):
        _inherited_sessions.append(session)
        session.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=wait_for_imports, after_in_child=_start_anew)
