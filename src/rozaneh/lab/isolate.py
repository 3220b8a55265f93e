"""Runs a function in throwaway namespaces of its own; when it ends, however it ends, nothing of it is left.

`run(function)` forks twice. The first child leaves the machine's network, mounts, process ids and (for an ordinary
user) user ids behind; the second is process 1 of the new set and calls the function. Three facts make the clean-up the
kernel's work rather than ours:

* each child is killed when its parent ends (PR_SET_PDEATHSIG), so `kill -9` of the caller reaches process 1;
* when process 1 of a process-id namespace ends, the kernel kills everything else in it, daemons included;
* network namespaces and mounts have no name anywhere, so they vanish with the last process in them, and veth pairs,
  routes and the tmpfs that holds all files (`scratch()`) vanish with those.

An ordinary user becomes root of one user namespace with a single id mapped, which is enough for interfaces, packet
sockets, mounts of tmpfs and proc, and low ports.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar, cast

from rozaneh.lab import linux

T = TypeVar("T")

_SCRATCH = "/dev/shm"  # noqa: S108 - a mount point of every Linux, where nobody keeps code

_NAMESPACES = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWPID | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS


class LabUnavailable(Exception):
    """This kernel, or what it allows this user, does not let a world be raised; the text says why and what helps."""


class Failed(Exception):
    """The function inside raised something that cannot be carried over; the text is its traceback."""


def scratch() -> Path:
    """The folder for everything a world writes: a tmpfs only this set of namespaces sees."""
    return Path(_SCRATCH)


def run(function: Callable[[], T]) -> T:
    """Calls `function` inside new namespaces and returns what it returned, or raises what it raised.

    The result must be picklable. Standard streams are inherited. Must be called from a process without threads.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _first_child(parent, writer, function)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as stream:
            answer = stream.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    return cast("T", unpack(answer, status))


def pack(function: Callable[[], object]) -> bytes:
    """What `function` returned or raised, as bytes for `unpack` in another process."""
    try:
        return pickle.dumps((True, function()))
    except BaseException as error:  # noqa: BLE001 - whatever happens inside is told outside
        text = traceback.format_exc()
        try:
            packed = pickle.dumps((False, error))
            pickle.loads(packed)  # noqa: S301 - our own child's bytes
        except Exception:  # noqa: BLE001 - whatever happens inside is told outside
            packed = pickle.dumps((False, Failed(text)))
        else:
            if os.environ.get("ROZANEH_LAB_DEBUG"):
                sys.stderr.write(text)
        return packed


def unpack(answer: bytes, status: int) -> object:
    """The result of a forked call; raises what was raised there."""
    if not answer:
        code = os.waitstatus_to_exitcode(status)
        raise Failed(f"the process in the world ended without an answer (status {code})")
    fine, value = pickle.loads(answer)  # noqa: S301 - our own child's bytes
    if fine:
        return cast("object", value)
    raise value


def _first_child(parent: int, writer: int, function: Callable[[], object]) -> NoReturn:
    """Leaves the machine's namespaces, makes process 1 and waits for it."""
    status = 1
    try:
        try:
            _leave()
        except OSError as error:
            _write_all(writer, pickle.dumps((False, LabUnavailable(_why(error)))))
            os._exit(1)
        linux.die_with_parent()
        for descriptor in os.listdir("/proc/self/fd"):
            # What our caller left open is for us, not for the programs of a world.
            if int(descriptor) > 2:
                with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
                    os.set_inheritable(int(descriptor), False)
        if os.getppid() != parent:  # it ended before the setting took
            os._exit(1)
        alive_reader, alive_writer = os.pipe()
        inner = os.fork()
        if inner == 0:
            os.close(alive_writer)
            _process_one(alive_reader, writer, function)
        os.close(alive_reader)
        os.close(writer)
        # Ctrl-C reaches the whole foreground group; process 1 decides what to do with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _, status = os.waitpid(inner, 0)
        status = os.waitstatus_to_exitcode(status)
    finally:
        os._exit(status if 0 <= status < 256 else 1)


def _leave() -> None:
    """New namespaces; with a user namespace where the plain call is not allowed."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            linux.unshare(_NAMESPACES)
        except PermissionError:  # root of a container without CAP_SYS_ADMIN
            pass
        else:
            return
    linux.unshare(_NAMESPACES | linux.CLONE_NEWUSER)
    # user_namespaces(7): a process may map its own id alone, and only after giving up setgroups.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _why(error: OSError) -> str:
    return (
        f"This machine does not allow new namespaces ({error.strerror or error}). Run it as root, or let ordinary users"
        " make user namespaces (sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces)"
    )


def _process_one(alive: int, writer: int, function: Callable[[], object]) -> NoReturn:
    """Process 1: own mounts, own /proc, then the function."""
    code = 1
    try:
        linux.die_with_parent()
        # The parent is outside this process-id namespace, so its id cannot be compared: its end of the pipe can.
        poller = select.poll()
        poller.register(alive, select.POLLIN)
        if poller.poll(0):
            os._exit(1)

        def inside() -> object:
            try:
                linux.private_mounts()
                linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
                linux.mount("tmpfs", _SCRATCH, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777")
            except OSError as error:
                raise LabUnavailable(_why(error)) from error
            return function()

        answer = pack(inside)
        sys.stdout.flush()
        sys.stderr.flush()
        _write_all(writer, answer)
        code = 0
    finally:
        os._exit(code)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
