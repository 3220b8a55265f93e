"""Asks the engine for the hellos it would write by a profile: the example program `hellos` of `crates/tls`.

The engine draws and writes them, nothing here does; so what is compared with a browser is what readers would send.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import rozaneh
from rozaneh.data import browsers
from rozaneh.data.browsers.schema import Browser
from rozaneh.lab import processes
from rozaneh.lab.isolate import LabUnavailable

__all__ = ["find", "written"]

VARIABLE = "ROZANEH_HELLOS"
_BUILD = "cargo build --release -p rozaneh-tls --example hellos"
_PLACES = tuple(Path(kind) / "examples" / "hellos" for kind in ("release", "debug"))
_START_S = 60.0
_EACH_S = 0.05  # an unoptimised build takes 0.3 ms for one


def find() -> Path:
    """The program: what `ROZANEH_HELLOS` says, else that of the checkout's build; `LabUnavailable` without it."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    root = Path(rozaneh.__file__).parents[2]
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    for place in _PLACES:
        if (target / place).is_file():
            return target / place
    raise LabUnavailable(f"the program that writes hellos is not built: `{_BUILD}`, or name it in {VARIABLE}")


def written(browser: Browser, count: int) -> list[bytes]:
    """The first flights of `count` connections by this profile, for the names of `capture.name`.

    Raises:
        LabUnavailable: The program is not there.
        NotReady: It failed.
    """
    program = find()
    with tempfile.TemporaryDirectory(prefix="hellos-") as folder:
        path = Path(folder) / "profile.json"
        path.write_bytes(browsers.encode(browser))
        process = processes.spawn(
            [str(program), str(path), str(count)], name="hellos", env={"PATH": os.environ.get("PATH", "")}
        )
        try:
            code, output = process.finish(_START_S + _EACH_S * count)
        finally:
            process.kill()
    lines = output.split()
    if code or len(lines) != count:
        raise processes.NotReady(f"hellos failed: {output[-300:].strip() or 'it wrote nothing'}")
    return [bytes.fromhex(line) for line in lines]
