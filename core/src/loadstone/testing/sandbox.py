"""Try the discovery of plugins without installing them."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Self

from loadstone._plugins.index import forget_folders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["PluginSandbox"]


class PluginSandbox:
    """
    A folder in front of `sys.path` with distributions that look installed.

    Use it as a context manager; at its end the folder leaves `sys.path`, and every module that was imported
    from it leaves `sys.modules`. A `loadstone.Session` or registry that is made (or refreshed) inside sees
    the distributions.

    Parameters
    ----------
    folder
        An empty folder, for example pytest's ``tmp_path``.

    Examples
    --------
    >>> with PluginSandbox(tmp_path) as sandbox:  # doctest: +SKIP
    ...     sandbox.install(
    ...         "acme-loader",
    ...         entry_points={"loadstone.image_loaders": {"acme": "acme_loader"}},
    ...         modules={"acme_loader": "import loadstone ..."},
    ...     )
    ...     loadstone.refresh_plugins()
    ...     loadstone.load_image("acme:1")
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writes_bytecode = True

    def install(
        self,
        distribution: str,
        *,
        version: str = "1.0",
        entry_points: Mapping[str, Mapping[str, str]] | None = None,
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """
        Make a distribution look installed; another version of it is replaced.

        Parameters
        ----------
        distribution
            Its name.
        version
            Its version.
        entry_points
            Group to name to value, as the tables ``[project.entry-points."group"]`` of its
            ``pyproject.toml``.
        modules
            Dotted module name to source; common indentation is taken off. A module of a package needs the
            package (its ``__init__``) to be there under its own name.
        """
        self.uninstall(distribution)
        metadata = self.folder / f"{_file_name(distribution)}-{version}.dist-info"
        metadata.mkdir()
        header = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (metadata / "METADATA").write_text(header, encoding="utf-8")
        (metadata / "entry_points.txt").write_text(_ini(entry_points or {}), encoding="utf-8")
        packages = {name.rpartition(".")[0] for name in modules or {}}
        for name, source in (modules or {}).items():
            self._write(name, source, is_package=name in packages)
        forget_folders()

    def uninstall(self, distribution: str) -> None:
        """Take a distribution away, if it is there; its modules stay, as nothing names them any more."""
        for metadata in self.folder.glob(f"{_file_name(distribution)}-*.dist-info"):
            shutil.rmtree(metadata)
        forget_folders()

    def forget_modules(self) -> None:
        """Take every module of the sandbox out of `sys.modules`, as if a new process had started."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and Path(file).is_relative_to(self.folder):
                del sys.modules[name]
        forget_folders()

    def __enter__(self) -> Self:
        # A rewritten module of the same size and second would be taken from its stale bytecode.
        self._writes_bytecode = not sys.dont_write_bytecode
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(self.folder))
        forget_folders()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.path.remove(str(self.folder))
        sys.path_importer_cache.pop(str(self.folder), None)
        sys.dont_write_bytecode = not self._writes_bytecode
        self.forget_modules()

    def _write(self, name: str, source: str, *, is_package: bool) -> None:
        place = self.folder.joinpath(*name.split("."))
        file = place / "__init__.py" if is_package else place.with_name(f"{place.name}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")


def _file_name(distribution: str) -> str:
    """Return the name as it stands in file names."""
    return re.sub(r"[-_.]+", "_", distribution).lower()


def _ini(entry_points: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for group, names in entry_points.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items()), ""]
    return "\n".join(lines)
