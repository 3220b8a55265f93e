"""One congestion control for everybody: cubic, lent by the host for the length of a run.

What a namespace may use is a list of the whole host. Where cubic is not on it, a guardian process puts it there and
takes it out again when the pipe to its maker closes, which the kernel does however the maker ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind

CUBIC = "cubic"
SYSCTLS = Path("/proc/sys/net/ipv4")
_ALLOWED = "tcp_allowed_congestion_control"
_AVAILABLE = "tcp_available_congestion_control"
_DEFAULT = "tcp_congestion_control"


def names(sysctl: str, root: Path = SYSCTLS) -> list[str]:
    """The words of one setting; none where the kernel does not have it."""
    try:
        return (root / sysctl).read_text(encoding="ascii").split()
    except OSError:
        return []


def _refusal(why: str) -> Fault:
    return Fault(
        FaultKind.UNSUPPORTED,
        "Figures would not be comparable: every socket must use the congestion control cubic",
        why=why,
        hint="run it as root on a kernel that has cubic",
    )


@contextmanager
def lent(root: Path = SYSCTLS) -> Iterator[None]:
    """A block in which namespaces may use cubic; the host's list is afterwards what it was.

    Raises:
        Fault: UNSUPPORTED when cubic is not to be had. Nothing may be compared then.
    """
    if CUBIC in names(_ALLOWED, root):
        yield
        return
    if CUBIC not in names(_AVAILABLE, root):
        raise _refusal("this kernel does not offer it")
    guardian = subprocess.Popen(
        [sys.executable, "-m", "rozaneh.bench.cubic", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C ends the foreground group: the guardian must outlive it.
        start_new_session=True,
    )
    try:
        answer = guardian.stdout.readline().decode().strip() if guardian.stdout else ""
        if answer != "lent":
            raise _refusal(answer or "the host's list cannot be changed")
        yield
    finally:
        # The end of its stdin is what it waits for.
        guardian.communicate()


def use(root: Path = SYSCTLS) -> None:
    """Makes cubic the default of this network namespace.

    Raises:
        Fault: UNSUPPORTED when it does not take.
    """
    try:
        (root / _DEFAULT).write_text(CUBIC, encoding="ascii")
    except OSError as error:
        raise _refusal(error.strerror or str(error)) from error
    if names(_DEFAULT, root) != [CUBIC]:
        raise _refusal("the kernel chose another one")


def guard(root: Path) -> None:
    """The guardian: puts cubic on the list, says so, waits for the end of stdin and takes it off again."""
    allowed = root / _ALLOWED
    try:
        allowed.write_text(" ".join([*names(_ALLOWED, root), CUBIC]), encoding="ascii")
    except OSError as error:
        sys.stdout.write(f"{error.strerror}\n")
        sys.stdout.flush()
        return
    try:
        sys.stdout.write("lent\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()
    finally:
        # Only our word is taken out: somebody may have changed the list meanwhile.
        allowed.write_text(" ".join(name for name in names(_ALLOWED, root) if name != CUBIC), encoding="ascii")


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
