"""One run: tools, cubic, a namespace without a route, every round, and what came out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from rozaneh.bench import cubic, generator, peers
from rozaneh.bench.plan import CASES, Measurement, Message, Plan, Tools
from rozaneh.bench.subjects import SUBJECTS, available
from rozaneh.core.errors import Fault, FaultKind

Note = Callable[[str], None]
REQUIREMENTS = "requirements/peers.txt"


def tools(wanted: Sequence[str], folder: Path, note: Note) -> Tools:
    """The programs the wanted subjects need; a peer that cannot be had is left out, with a word.

    Raises:
        Fault: UNSUPPORTED or FAILED when the load generator is not to be had: nothing can be measured without it.
    """
    load = generator.find()
    sing_box = ""
    if any(name.startswith("sing-box") for name in wanted):
        root = generator.checkout()
        try:
            if root is None:
                raise Fault(FaultKind.UNSUPPORTED, "Peers are installed from a checkout's locked list only")
            sing_box = peers.sing_box(root / REQUIREMENTS, folder)
        except Fault as fault:
            note(f"left out: sing-box ({fault.what})")
    haproxy = peers.haproxy()
    if not haproxy and any(name.startswith("haproxy") for name in wanted):
        note("left out: haproxy (it is not installed)")
    return Tools(python=sys.executable, load=str(load), haproxy=haproxy, sing_box=sing_box)


def plan(cases: Sequence[str], wanted: Sequence[str], found: Tools, **sizes: int | float) -> Plan:
    """What to do with what there is.

    Raises:
        Fault: USAGE for a case or a subject that does not exist.
    """
    for given, known in ((cases, CASES), (wanted, SUBJECTS)):
        for name in given:
            if name not in known:
                raise Fault(FaultKind.USAGE, f"`{name}` is not known", hint=f"there are: {', '.join(known)}")
    subjects = [name for name in SUBJECTS if (not wanted or name in wanted) and available(name, found)]
    document = {"tools": found, "subjects": subjects, "cases": list(cases or CASES), **sizes}
    return msgspec.convert(document, Plan)


def enclosure() -> list[str]:
    """The words that run a command in network and process namespaces of its own, which end with us however we end."""
    words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return words if os.geteuid() == 0 else [*words, "--user", "--map-root-user"]


def measure(work: Plan, note: Note) -> list[Measurement]:
    """Every round, in the namespace.

    Raises:
        Fault: UNSUPPORTED where there is no cubic or no namespace to be had; FAILED when the inside ends early.
    """
    missing = [word for word in ("setpriv", "unshare", "mount", "openssl") if shutil.which(word) is None]
    if missing:
        raise Fault(FaultKind.UNSUPPORTED, f"The bench needs the programs {', '.join(missing)}")
    if work.congestion != cubic.CUBIC:
        return _inside(work, note)
    with cubic.lent():
        return _inside(work, note)


def _inside(work: Plan, note: Note) -> list[Measurement]:
    command = [*enclosure(), sys.executable, "-m", "rozaneh.bench.inside"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            if child.stdin is not None:
                child.stdin.write(msgspec.json.encode(work))
                child.stdin.close()
            measurements = _collect(child.stdout or (), note)
        except BrokenPipeError:
            measurements = []
        except BaseException:
            child.kill()
            raise
    if len(measurements) < work.rounds * len(work.subjects):
        raise Fault(FaultKind.FAILED, "The run ended early", why=f"status {child.returncode}")
    return measurements


def _collect(lines: Iterable[bytes], note: Note) -> list[Measurement]:
    measurements: list[Measurement] = []
    for line in lines:
        message = msgspec.json.decode(line, type=Message)
        if message.fault:
            raise Fault(FaultKind.UNSUPPORTED, message.fault)
        if message.note:
            note(message.note)
        if message.measurement is not None:
            measurements.append(message.measurement)
            for case, why in message.measurement.errors.items():
                note(f"failed: {message.measurement.subject}, {case}: {why}")
    return measurements
