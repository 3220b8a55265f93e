"""The lab's data: TOML files beside the module that reads them, by name, or any file of the user's by its path."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataFiles:
    """All data of one kind: where it lies, what one is called, and the error that says what is wrong with it."""

    package: str
    what: str
    error: type[ValueError]

    def names(self) -> list[str]:
        """Those that come with the lab."""
        return sorted(e.name[:-5] for e in resources.files(self.package).iterdir() if e.name.endswith(".toml"))

    def text(self, name: str) -> str:
        """The one called `name`, or the file at that path when it ends in .toml; raises `error` where there is none."""
        if name.endswith(".toml"):
            try:
                return Path(name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise self.error(f"{name} cannot be read: {error}") from error
        if name not in self.names():
            raise self.error(f"there is no {self.what} called {name!r}; there are: {', '.join(self.names())}")
        return resources.files(self.package).joinpath(f"{name}.toml").read_text(encoding="utf-8")
