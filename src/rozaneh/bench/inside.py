"""The part that runs in the namespace: ``python -m rozaneh.bench.inside``, a plan on stdin, messages on stdout.

It is process 1 there, and when it ends the kernel ends everything it started.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from rozaneh.bench import cases, cubic
from rozaneh.bench.plan import Measurement, Message, Plan
from rozaneh.bench.subjects import CLIENT, EDGE, SUBJECTS, TARGET, Files, make_certificate
from rozaneh.core.errors import Fault

_READY_S = 20.0
_STOP_S = 10.0
# A mount point every Linux has; what is mounted there in the namespace vanishes with it, also when it is killed.
_SCRATCH = "/dev/shm"  # noqa: S108
# linux/sockios.h and linux/if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def say(message: Message) -> None:
    """One line for whoever started us."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()


def prepare(plan: Plan) -> None:
    """Loopback up, one congestion control, enough ports and open files, and files of our own.

    Raises:
        Fault: UNSUPPORTED when the congestion control does not take: nothing may be compared then.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack_from("H", request, 16)[0] | _IFF_UP
        fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags))
    if plan.congestion == cubic.CUBIC:
        cubic.use()
    # Thousands of tunnels a second leave as many ports in TIME_WAIT, on three legs.
    (cubic.SYSCTLS / "ip_local_port_range").write_text("16384 65535", encoding="ascii")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", _SCRATCH], check=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def accepts(address: str) -> bool:
    """Whether somebody listens there."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


@contextmanager
def process(command: list[str], address: str, log: Path) -> Iterator[int]:
    """A program that listens at ``address``, for the length of a block; its process id."""
    with log.open("wb") as stream:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + _READY_S
        while not accepts(address):
            if child.poll() is not None or time.monotonic() > deadline:
                last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["no word"]
                raise cases.CaseFailed(f"{Path(command[0]).name} does not start: {last[0]}")
            time.sleep(0.01)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def measure(name: str, turn: int, plan: Plan, files: Files) -> Measurement:
    """One subject in one round; every case has processes of its own, so that none inherits another one's memory."""
    figures: dict[str, float] = {}
    errors: dict[str, str] = {}
    chain = SUBJECTS[name](plan.tools, files)
    for case in plan.cases:
        try:
            with ExitStack() as stack:
                pids = [
                    stack.enter_context(process(command, address, files.folder / f"{end}.log")) if command else 0
                    for end, command, address in (("edge", chain.edge, EDGE), ("client", chain.client, CLIENT))
                ]
                figures |= cases.RUN[case](cases.Running(chain, client=pids[1], edge=pids[0]), plan)
        except (cases.CaseFailed, OSError, ValueError) as error:
            errors[case] = str(error)
    return Measurement(subject=name, round=turn, figures=figures, errors=errors)


def rounds(plan: Plan) -> Iterator[Message]:
    """Every subject once, then every subject again: what changes on the machine meanwhile changes for all."""
    with ExitStack() as stack:
        files = make_certificate(Path(_SCRATCH))
        target = [plan.tools.load, "target", TARGET]
        stack.enter_context(process(target, TARGET, files.folder / "target.log"))
        for turn in range(plan.rounds):
            for name in plan.subjects:
                yield Message(note=f"round {turn + 1} of {plan.rounds}: {name}")
                yield Message(measurement=measure(name, turn, plan, files))


def main() -> None:
    """Run the plan on stdin."""
    # Whoever asked for the run may have stopped reading; the next line then ends us.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    os.umask(0o077)
    try:
        prepare(plan)
        for message in rounds(plan):
            say(message)
    except (Fault, cases.CaseFailed) as error:
        say(Message(fault=str(error)))


if __name__ == "__main__":
    main()
