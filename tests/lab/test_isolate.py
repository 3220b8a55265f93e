"""What runs inside is apart from the machine, says what happened, and leaves nothing, even when it is killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rozaneh.lab import isolate, linux
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady

_DEADLINE_S = 30.0


def test_results_and_exceptions_come_back() -> None:
    assert isolate.run(lambda: {"pid": os.getpid()}) == {"pid": 1}

    def fails() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        isolate.run(fails)


def test_what_cannot_be_carried_over_comes_as_its_traceback() -> None:
    class Local(Exception):
        """Cannot be found by name outside."""

    def fails() -> None:
        raise Local("only here")

    with pytest.raises(isolate.Failed, match="only here"):
        isolate.run(fails)


def test_a_function_that_ends_the_process_is_reported() -> None:
    with pytest.raises(isolate.Failed, match="without an answer"):
        isolate.run(lambda: os._exit(7))


def test_nothing_of_the_machine_is_inside() -> None:
    def look() -> tuple[list[str], list[str], list[str]]:
        (isolate.scratch() / "mark").write_text("x")
        interfaces = [name for _, name in socket.if_nameindex()]
        processes = [entry for entry in os.listdir("/proc") if entry.isdigit()]
        return interfaces, processes, os.listdir(isolate.scratch())

    interfaces, processes, files = isolate.run(look)
    assert "lo" in interfaces
    assert not any(name.startswith(("eth", "en")) for name in interfaces)
    assert processes == ["1"]
    assert files == ["mark"]
    assert not (isolate.scratch() / "mark").exists()


_VICTIM = """
import signal, subprocess
from rozaneh.lab import isolate, worlds
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

def inside():
    with Raised(worlds.load("newsstand")) as world:
        internet = Internet(world)
        # One that would survive its parent: a daemon in a session of its own.
        world.reader.run(["sh", "-c", "setsid -f sleep 600 >/dev/null 2>&1"])
        print("ready", flush=True)
        signal.pause()

isolate.run(inside)
"""


def descendants(pid: int) -> list[int]:
    """All living processes below `pid`, as the kernel tells."""
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def machine() -> tuple[set[str], set[str], set[str]]:
    """What a world could leave behind: interfaces, named namespaces, mounts and files in shared memory."""
    named = Path("/run/netns")
    return (
        {name for _, name in socket.if_nameindex()},
        set(os.listdir(named)) if named.exists() else set(),
        {line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()},
    )


@pytest.mark.parametrize("victim", ["caller", "first child"])
def test_kill_9_leaves_nothing(victim: str) -> None:
    before = machine()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", _VICTIM], stdout=subprocess.PIPE, env=environment)
    handles: list[int] = []
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        below = descendants(process.pid)
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in below]
        # The daemon may still be on its way from setsid to sleep.
        assert len(below) >= 13
        assert names.count("nginx") == 2
        assert {"sleep", "setsid"} & set(names)
        handles = [os.pidfd_open(pid) for pid in below]
        os.kill(process.pid if victim == "caller" else below[0], signal.SIGKILL)
        for handle in handles:
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            assert poller.poll(_DEADLINE_S * 1000), "a process of the world is still there"
        assert process.wait(_DEADLINE_S) != 0
    finally:
        process.kill()
        for handle in handles:  # whatever a broken lab has left
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        process.communicate()
    assert machine() == before


def _as_user(tmp_path: Path) -> tuple[int, bytes]:
    """Runs `_user_world` in a forked child that has given up root; its exit code and what it reported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65_534)
                os.setuid(65_534)
                # A process that changes its user loses access to its own /proc (prctl(2), PR_SET_DUMPABLE), as one that
                # a user starts does not.
                assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0
            os.write(writer, repr(isolate.run(_user_world)).encode())
            os._exit(0)
        except BaseException as error:  # noqa: BLE001
            os.write(writer, repr(error).encode())
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), answer


def _user_world() -> tuple[str, list[str], int]:
    """Two nodes and a cable, as any user: the mapping, the offloads left on, a low port, a packet socket, a ping."""
    nodes = [Node(name, isolate.scratch() / name, ["185.146.21.20"]) for name in ("a", "b")]
    script = f"link add name eth0 netns {nodes[0].pid} type veth peer name eth0 netns {nodes[1].pid}\n"
    subprocess.run(["ip", "-batch", "-"], input=script, text=True, check=True)
    for node, address in zip(nodes, ("185.146.21.20", "185.146.21.21"), strict=True):
        node.call(lambda address=address: _up(address))  # type: ignore[misc]
    remaining = nodes[0].call(lambda: sorted(linux.offloads_on("eth0")))
    code, _ = nodes[0].run(["ping", "-c", "1", "-W", "5", "185.146.21.21"])
    return Path("/proc/self/uid_map").read_text().split()[0], remaining, code


def _up(address: str) -> None:
    script = f"address add {address}/24 dev eth0\nlink set eth0 up\n"
    subprocess.run(["ip", "-batch", "-"], input=script, text=True, check=True)
    linux.offloads_off("eth0")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets, socket.socket() as listener:
        packets.bind(("eth0", 0))
        listener.bind((address, 53))


def test_an_ordinary_user_raises_a_world_too(tmp_path: Path) -> None:
    assert _as_user(tmp_path) == (0, repr(("0", [], 0)).encode())


def test_programs_are_waited_for_and_ended_by_their_own_id() -> None:
    def inside() -> tuple[str, int, str, bool]:
        node = Node("a", isolate.scratch() / "a", [])
        talker = node.spawn(["sh", "-c", "echo one; echo two ready; exec sleep 600"])
        line = talker.wait_line("ready", 10)
        code = talker.stop(10)
        silent = node.spawn(["sh", "-c", "echo sorry; exit 3"])
        try:
            silent.wait_line("ready", 10)
            story = ""
        except NotReady as error:
            story = str(error)
        return line, code, story, talker.running()

    line, code, story, running = isolate.run(inside)
    assert (line, code, running) == ("two ready", -signal.SIGTERM, False)
    assert "ended before it was ready" in story
    assert "sorry" in story


def test_descriptors_input_and_environment_reach_a_program() -> None:
    def inside() -> tuple[int, str]:
        node = Node("a", isolate.scratch() / "a", [])
        reader, writer = os.pipe()
        os.write(writer, b"by descriptor\n")
        os.close(writer)
        process = node.spawn(
            ["sh", "-c", "cat; cat <&7; echo $HOME; ls /proc/self/fd"], stdin=b"by input\n", descriptors={7: reader}
        )
        os.close(reader)
        return process.finish(10)

    code, output = isolate.run(inside)
    home = str(isolate.scratch() / "a" / "home")
    # Standard streams, 7 and the folder that `ls` reads: no other descriptor, ours or our caller's, got through.
    assert (code, output.split()) == (0, ["by", "input", "by", "descriptor", home, "0", "1", "2", "3", "7"])


def test_a_nodes_resolver_is_its_own() -> None:
    def inside() -> tuple[str, str]:
        node = Node("a", isolate.scratch() / "a", ["185.146.21.20"])
        return node.run(["cat", "/etc/resolv.conf"])[1], Path("/etc/resolv.conf").read_text()

    within, outside = isolate.run(inside)
    assert within.startswith("nameserver 185.146.21.20\n")
    assert outside == Path("/etc/resolv.conf").read_text() != within
