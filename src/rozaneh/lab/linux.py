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

# linux/ethtool.h
_GSTRINGS, _GSSET_INFO, _GFEATURES, _SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
_FEATURE_NAMES = 4  # ETH_SS_FEATURES
_NAME_BYTES = 32  # ETH_GSTRING_LEN

# Every feature that lets a packet cross a cable unfinished or larger than it would be on a wire: checksums left to the
# hardware, segmentation left to it (which needs scatter-gather), and received packets joined.
_OFFLOADS = ("tx-checksum-", "rx-checksum", "tx-scatter-gather", "tx-gso-", "rx-gro", "rx-lro", "rx-udp-gro-")
_SEGMENTATION = "-segmentation"

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
    """Switches every checksum, segmentation and receive offload of `interface` off.

    With them on, veth pairs hand over packets with unfinished checksums and of up to 64 KiB, which a router on
    packet sockets would forward as they are and every receiver would throw away.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        names = _features(control, interface)
        blocks = -(-len(names) // 32)
        wanted = [0] * (2 * blocks)  # pairs of (which bits are meant, what they become)
        for number, name in enumerate(names):
            if _is_offload(name):
                wanted[2 * (number // 32)] |= 1 << number % 32
        _ethtool(control, interface, struct.pack(f"=II{2 * blocks}I", _SFEATURES, blocks, *wanted))
    left = offloads_on(interface)
    if left:
        raise OSError(f"{interface}: offloads stay on: {', '.join(sorted(left))}")


def offloads_on(interface: str) -> set[str]:
    """The names of the offloads that are on: empty after `offloads_off`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        names = _features(control, interface)
        blocks = -(-len(names) // 32)
        answer = _ethtool(control, interface, struct.pack(f"=II{4 * blocks}I", _GFEATURES, blocks, *[0] * (4 * blocks)))
        # Blocks of four words: available, requested, active, never changed.
        words = struct.unpack_from(f"={4 * blocks}I", answer, 8)
        active = {name for number, name in enumerate(names) if words[4 * (number // 32) + 2] >> number % 32 & 1}
    return {name for name in active if _is_offload(name)}


def _is_offload(name: str) -> bool:
    return name.startswith(_OFFLOADS) or name.endswith(_SEGMENTATION)


def _features(control: socket.socket, interface: str) -> list[str]:
    """The names of all features this kernel knows, in the order of their bits."""
    answer = _ethtool(control, interface, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURE_NAMES, 0))
    count = struct.unpack_from("=I", answer, 16)[0]
    head = struct.pack("=III", _GSTRINGS, _FEATURE_NAMES, count)
    answer = _ethtool(control, interface, head + bytes(count * _NAME_BYTES))
    places = range(12, 12 + count * _NAME_BYTES, _NAME_BYTES)
    return [answer[at : at + _NAME_BYTES].partition(b"\0")[0].decode() for at in places]


def _ethtool(control: socket.socket, interface: str, command: bytes) -> bytes:
    """One ethtool command: its struct, and what the kernel made of it."""
    data = ctypes.create_string_buffer(command, len(command))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(data))
    fcntl.ioctl(control.fileno(), _SIOCETHTOOL, request)
    return data.raw
