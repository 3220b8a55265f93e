"""The few Linux calls the lab needs that Python 3.11 has no function for.

Namespaces, mounts, the parent-death signal and the offload switches of a network interface. Everything here is a thin,
checked call through libc: a failure is an `OSError` with the kernel's own reason.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

# sched.h
CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

# sys/mount.h
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_SIOCETHTOOL = 0x8946  # linux/sockios.h

# linux/ethtool.h: the "set" command of each offload, and the "get" command that tells whether it took.
_OFFLOADS = {
    "rx-checksum": (0x15, 0x14),
    "tx-checksum": (0x17, 0x16),
    "scatter-gather": (0x19, 0x18),
    "tso": (0x1F, 0x1E),
    "gso": (0x24, 0x23),
    "gro": (0x2C, 0x2B),
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Gives this process new namespaces of the kinds in `flags`."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(pid: int, *kinds: str) -> None:
    """Moves this process into the namespaces of process `pid`; `kinds` are names under /proc/PID/ns."""
    # All are opened before the first is entered: entering "mnt" may change what /proc shows.
    descriptors = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds]
    try:
        for kind, descriptor in zip(kinds, descriptors, strict=True):
            _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(0)), f"setns {kind}")
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mounts `source` on `target`; `kind` is a file system type or empty."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), os.fsencode(kind) or None, flags, os.fsencode(data) or None
    )
    _check(result, f"mount on {target}")


def bind(source: str, target: str) -> None:
    """Makes the file or folder `source` appear at `target` (through symbolic links) in this mount namespace."""
    mount(source, os.path.realpath(target), flags=MS_BIND)


def private_mounts() -> None:
    """From now on no mount of this namespace spreads to another one."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def die_with_parent() -> None:
    """The kernel kills this process when the one that made it ends, however it ends.

    Any change of credentials clears the setting (prctl(2)), so call it after entering a user namespace.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def offloads_off(interface: str) -> None:
    """Switches every checksum and segmentation offload of `interface` off.

    With them on, veth pairs hand over packets with unfinished checksums and of up to 64 KiB, which a router on
    packet sockets would forward as they are and every receiver would throw away.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        for name, (set_command, get_command) in _OFFLOADS.items():
            _ethtool(control, interface, set_command, 0)
            if _ethtool(control, interface, get_command, 0):
                raise OSError(f"{interface}: offload {name} stays on")


def offloads_on(interface: str) -> set[str]:
    """The names of the offloads that are on: empty after `offloads_off`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        return {name for name, (_, get) in _OFFLOADS.items() if _ethtool(control, interface, get, 0)}


def _ethtool(control: socket.socket, interface: str, command: int, value: int) -> int:
    """One ethtool command with a 32-bit value (struct ethtool_value); returns the value the kernel left there."""
    data = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(data))
    fcntl.ioctl(control.fileno(), _SIOCETHTOOL, request)
    answer: int = struct.unpack_from("=I", data.raw, 4)[0]
    return answer
