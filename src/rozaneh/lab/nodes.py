"""One machine of a world: a network and a mount namespace without a name, held open by one sleeping child process.

Programs are put inside with `nsenter` by the child's process id; small jobs of ours run in a forked child (`call`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

from rozaneh.lab import isolate, linux, processes

T = TypeVar("T")

_NSSWITCH = "hosts: files dns\npasswd: files\ngroup: files\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


class Node:
    """A raised node: its folder (`home` inside it is every program's HOME) and ways to run things there."""

    def __init__(self, name: str, folder: Path, nameservers: Sequence[str]) -> None:
        self.name = name
        self.folder = folder
        self.home = folder / "home"
        for path in (self.home, folder / "tmp", folder / "run"):
            path.mkdir(parents=True, mode=0o700)
        resolv = "".join(f"nameserver {address}\n" for address in nameservers) + "options timeout:2 attempts:2\n"
        files = {"resolv.conf": resolv, "hosts": _HOSTS, "nsswitch.conf": _NSSWITCH}
        for file, text in files.items():
            (folder / file).write_text(text)
        self.pid = self._hold(list(files))

    def _hold(self, files: list[str]) -> int:
        """Forks the child that holds the namespaces; returns when they are ready."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                # Ctrl-C is for the lab, which then ends us all.
                signal.signal(signal.SIGINT, signal.SIG_IGN)

                def settle() -> None:
                    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS)
                    linux.private_mounts()
                    for file in files:
                        if os.path.exists(f"/etc/{file}"):
                            linux.bind(str(self.folder / file), f"/etc/{file}")

                os.write(writer, isolate.pack(settle))
                os.close(writer)
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            isolate.unpack(stream.read(), 0)
        return pid

    def call(self, function: Callable[[], T]) -> T:
        """Runs `function` in a forked child inside the node and returns its (picklable) result."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)

                def inside() -> object:
                    linux.enter(self.pid, "net", "mnt")
                    return function()

                with os.fdopen(writer, "wb") as answers:
                    answers.write(isolate.pack(inside))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            answer = stream.read()
        _, status = os.waitpid(pid, 0)
        return cast("T", isolate.unpack(answer, status))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A clean environment with this node's own HOME and temporary folder."""
        env = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TERM") if key in os.environ}
        if "PYTHONPATH" in os.environ:  # made absolute: programs here start in `/`
            folders = os.environ["PYTHONPATH"].split(os.pathsep)
            env["PYTHONPATH"] = os.pathsep.join(os.path.abspath(folder) for folder in folders)
        env.update(
            HOME=str(self.home),
            TMPDIR=str(self.folder / "tmp"),
            XDG_RUNTIME_DIR=str(self.folder / "run"),
            USER="root",
            LOGNAME="root",
        )
        env.update(extra or {})
        return env

    def enter_argv(self, argv: Sequence[str]) -> list[str]:
        """`argv` with what puts it inside this node; nsenter execs it, so the process id is the program's own.

        Its working folder is `/`.
        """
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "--", *argv]

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        errors: Path | None = None,
        stdin: bytes | None = None,
        descriptors: Mapping[int, int] | None = None,
    ) -> processes.Process:
        """Starts a program in this node; the arguments are those of `processes.spawn`."""
        return processes.spawn(
            self.enter_argv(argv),
            name=Path(argv[0]).name,
            env=self.environment(env),
            log=log,
            errors=errors,
            stdin=stdin,
            descriptors=descriptors,
        )

    def run(
        self, argv: Sequence[str], *, timeout: float = 30, stdin: bytes | None = None, errors: Path | None = None
    ) -> tuple[int, str]:
        """Runs a program to its end: its exit code and what it wrote (standard error too, unless `errors` takes it)."""
        process = self.spawn(argv, stdin=stdin, errors=errors)
        try:
            return process.finish(timeout)
        finally:
            process.kill()
