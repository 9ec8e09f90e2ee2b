"""Settings: one frozen value; arguments win over ``LOADSTONE_*`` variables, which win over the defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from io import FileIO
from typing import TYPE_CHECKING, Any, Final, Self

from loadstone.errors import LoadstoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "cores", "memory_limit"]

MIB = 2**20


def memory_limit() -> int:
    """Return the bytes that this process may use: the cgroup's limit, else the host's memory."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * 2**30
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with FileIO(limit) as file:  # every session asks; text and buffers would take most of the time
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit():
            return min(host, int(text))
    return host


def _quarter_of_memory() -> int:
    return memory_limit() // 4


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be set, with its default.

    Each field is also read from the environment by `from_environment`: ``LOADSTONE_`` and the name in
    capitals, for example ``LOADSTONE_CACHE_BYTES=2000000000``.
    """

    cache_bytes: int = field(default_factory=_quarter_of_memory)
    """Budget for images, sources and volumes together; default a quarter of the cgroup's or host's memory."""
    worker_cache_bytes: int = 256 * MIB
    """The budget of the default session in a child of `multiprocessing`, which has many; if it is less."""
    compute_permits: int = field(default_factory=cores)
    """Decodes at a time; default the cores, which all sessions share that do not ask for another number."""
    file_permits: int = 32
    """File reads at a time, for each request type; many, because of network disks."""
    host_permits: int = 20
    """Requests in flight to one host, for each request type."""
    idle_seconds: float = 10.0
    """How long a worker thread without work waits before it ends."""
    connect_seconds: float = 10.0
    """Deadline for a connection."""
    stall_seconds: float = 30.0
    """Longest time without a byte."""
    total_seconds: float = 300.0
    """Deadline for a whole response, to which its size at 64 kB/s is added."""
    attempts: int = 4
    """How often a request is tried."""
    backoff_seconds: float = 0.2
    """First wait between attempts; doubles, with full jitter."""
    backoff_most_seconds: float = 10.0
    """Longest wait between attempts that Loadstone chooses."""
    retry_after_most_seconds: float = 60.0
    """Longest ``Retry-After`` that is honoured."""
    max_redirects: int = 5
    """Redirects followed."""
    max_response_bytes: int = 2048 * MIB
    """Largest response that is not streamed into declared memory."""
    max_json_bytes: int = 256 * MIB
    """Largest JSON document."""
    max_json_depth: int = 64
    """Deepest nesting of a JSON document or of sequences."""
    max_parts: int = 65536
    """Parts of a multipart response."""
    max_image_bytes: int = 512 * MIB
    """Largest decoded image."""
    max_pixels: int = 2**28
    """Largest rows * columns of a frame."""
    max_frames: int = 2**18
    """Most frames of an object."""
    max_ratio: int = 200
    """Highest decompression ratio past `free_ratio_bytes` where no header declared the size."""
    free_ratio_bytes: int = 64 * MIB
    """Up to here the decompression ratio does not matter."""
    ca_bundle: str = ""
    """File with certificates to trust in place of the system's."""
    client_certificate: str = ""
    """File with a client certificate and its key."""
    retrieve: str = ""
    """Built-in retrieve configuration of all volumes: ``interleaved``, ``sequential``, …; empty: none."""
    proxy: str = ""
    """Proxy URL; empty: the ``HTTP(S)_PROXY`` and ``NO_PROXY`` variables."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense, with the name of the field."""
        for name, _, kind in _FIELDS:
            value = getattr(self, name)
            fits = isinstance(value, _KINDS[kind]) and not isinstance(value, bool)
            if not fits:
                raise LoadstoneError(f"the setting {name}={value!r} is no {kind}")
            if isinstance(value, str):
                continue
            if not value >= 0 or (value == 0 and name not in _MAY_BE_ZERO):
                raise LoadstoneError(f"the setting {name}={value} is too small")

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 - fields of this class
        """Return the settings with some fields changed."""
        return replace(self, **changes)

    def for_worker(self) -> Self:
        """Return the settings of one of many processes: a small share of the memory, one decode at a time."""
        return replace(self, cache_bytes=min(self.cache_bytes, self.worker_cache_bytes), compute_permits=1)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:  # noqa: ANN401 - fields of this class
        """
        Read ``LOADSTONE_*`` variables.

        Parameters
        ----------
        environment
            In place of `os.environ`.
        **overrides
            Fields that win over the environment.

        Raises
        ------
        LoadstoneError
            If a variable is no number where one is needed.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for name, variable, kind in _FIELDS:
            text = environment.get(variable)
            if text is not None:
                values[name] = _parsed(variable, text, kind)
        return cls(**(values | overrides))


_FIELDS: Final = tuple(
    (each.name, f"LOADSTONE_{each.name.upper()}", str(each.type)) for each in fields(Settings)
)
"""Name, variable and annotation of every field, put together once: every session reads them."""

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {"str": (str,), "int": (int,), "float": (int, float)}
"""What a field may be, by its annotation."""

_MAY_BE_ZERO = frozenset(
    {
        "cache_bytes",
        "worker_cache_bytes",
        "max_redirects",
        "backoff_seconds",
        "backoff_most_seconds",
        "retry_after_most_seconds",
    }
)


def _parsed(name: str, text: str, kind: str) -> int | float | str:
    if kind == "str":
        return text
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError as error:
        raise LoadstoneError(f"{name}={text!r} is not a number") from error
