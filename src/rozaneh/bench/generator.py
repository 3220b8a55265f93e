"""Programs that measure, found or built from the checkout: the load generator and target, and others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind

VARIABLE = "ROZANEH_BENCH_LOAD"
_EXAMPLE = "relay_bench"
_BUILD = ("build", "--release", "--quiet", "-p")


def checkout(start: Path | None = None) -> Path | None:
    """The source tree this package lies in, or the one the command is run from."""
    for place in (start,) if start else (Path(__file__), Path.cwd()):
        for folder in (place, *place.parents):
            if (folder / "crates/net/examples" / f"{_EXAMPLE}.rs").is_file():
                return folder
    return None


def find() -> Path:
    """The load generator, as [`example`] finds it."""
    return example("rozaneh-net", _EXAMPLE, VARIABLE)


def example(package: str, name: str, variable: str) -> Path:
    """A program: what ``variable`` names, else built with cargo (at once where nothing changed).

    Raises:
        Fault: UNSUPPORTED without a checkout or cargo; FAILED when it does not build.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named)
    root, cargo = checkout(), shutil.which("cargo")
    if root is None or cargo is None:
        missing = "cargo is missing" if root else "there is no source tree here"
        hint = f"run it from a checkout with Rust installed, or set `{variable}` to the built program"
        raise Fault(FaultKind.UNSUPPORTED, f"The program `{name}` is not built", why=missing, hint=hint)
    command = [cargo, *_BUILD, package, "--example", name]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        last = built.stderr.strip().splitlines()[-1:] or ["cargo says nothing"]
        raise Fault(FaultKind.FAILED, f"The program `{name}` does not build", why=last[0])
    target = Path(os.environ.get("CARGO_TARGET_DIR") or root / "target")
    return target / "release/examples" / name
