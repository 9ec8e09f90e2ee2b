"""The one place where whatever a plugin raises becomes a typed error, with the cause chained."""

from __future__ import annotations

from loadstone.errors import DecodeError, FetchError, LimitError, LoadCancelled, LoadstoneError

__all__ = ["typed_error"]


def typed_error(error: BaseException, identity: str) -> LoadstoneError:
    """Return `error` itself if it is one of ours, else a `LoadstoneError` that it is the cause of."""
    if isinstance(error, LoadstoneError):
        return error
    typed = _translated(error, identity)
    typed.__cause__ = error
    return typed


def _translated(error: BaseException, identity: str) -> LoadstoneError:
    if isinstance(error, FileNotFoundError):
        return FetchError("there is no such file", source=identity, hint="Check the path.")
    if isinstance(error, OSError):
        return FetchError(f"reading failed: {error.strerror or error}", source=identity, retryable=True)
    if isinstance(error, MemoryError):
        return LimitError("not enough memory", source=identity)
    if (
        type(error).__name__ == "CancelledError"
    ):  # asyncio's and concurrent.futures', without importing either
        return LoadCancelled(source=identity)
    return DecodeError(f"the loader failed with {type(error).__name__}: {error}", source=identity)
