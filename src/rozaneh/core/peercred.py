"""Who is at the other end of a unix socket.

The file mode keeps other users out already; asking the kernel holds also where a directory was opened up by mistake.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

_SOL_LOCAL = 0  # macOS <sys/un.h>
_LOCAL_PEERCRED = 1


def peer_uid(connection: socket.socket) -> int | None:
    """The user id of the process that connected, or None where the system cannot tell."""
    try:
        if sys.platform == "linux":
            size = struct.calcsize("iII")  # struct ucred: pid, uid, gid (unix(7))
            _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
            return int(uid)
        if sys.platform == "darwin":  # pragma: no cover - not reached on the platforms tests run on
            size = 76  # struct xucred: version, uid, group count, sixteen groups
            version, uid = struct.unpack("II", connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, size)[:8])
            return int(uid) if version == 0 else None
    except (OSError, struct.error):
        return None
    return None


def is_same_user(connection: socket.socket) -> bool:
    """Whether the other end runs as this process's own user (or as root, who can read our memory anyway)."""
    return peer_uid(connection) in (os.geteuid(), 0)
