"""The provider's router: takes packets off one side, asks the censors, puts them out on the other. Its own process.

It reads whole frames from packet sockets on two veth interfaces (an ordinary user's namespace allows those even where
/dev/net/tun is closed). The two kernels beside it send to a hardware address that is not the interface's own, so the
kernel it runs on looks at no packet twice. There is no ARP: neighbours are fixed (see `world`). It takes one from the
TTL as routers do and lets packets at their end die silently; packets for link-local and multicast addresses stay
where they are.

Two clocks: the lab's clock (monotonic time plus an offset that only jumps forward) drives what censors remember; raw
monotonic time drives delays, as a kernel's would.

Run as `python -m rozaneh.lab.router CONFIG.json DESCRIPTOR`; the descriptor is one end of a SOCK_SEQPACKET pair on
which JSON commands are answered (`middlebox` is the other end). It ends when that pair closes.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import msgspec

from rozaneh.lab import censors
from rozaneh.lab.chain import Act, Chain, Outcome, Rule, seeded
from rozaneh.lab.packet import one_hop_less, parse
from rozaneh.lab.pcap import Writer

# linux/if_packet.h and linux/if_ether.h
_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_ETH_P_ALL = 3
_ETHER = 14
_FRAME = 65_536
_IPV4, _IPV6 = b"\x08\x00", b"\x86\xdd"

_BATCH = 64  # packets from one side before the other gets its turn
_TIMER_S = 0.05
_RECEIVE_BUFFER = 8 << 20


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the router's two interfaces: the address it answers for, and the kernel at the cable's other end."""

    interface: str
    gateway_mac: str
    peer_mac: str
    capture: str | None = None


class RuleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One censor of the chain."""

    kind: str
    id: str
    params: dict[str, Any] = {}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All the router is told. `acts` is the file that gets one JSON line for each thing a rule does."""

    inside: Side
    outside: Side
    rules: list[RuleConfig] = []
    acts: str | None = None
    seed: int = 0


class Port:
    """A packet socket on one interface, with the frame head its packets leave with."""

    def __init__(self, side: Side) -> None:
        peer, own = (bytes.fromhex(mac.replace(":", "")) for mac in (side.peer_mac, side.gateway_mac))
        self.heads = {4: peer + own + _IPV4, 6: peer + own + _IPV6}
        self.own = own
        self.capture = Writer(Path(side.capture)) if side.capture else None
        self.lost = 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:  # an ordinary user gets what the kernel's limit allows
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.socket.bind((side.interface, _ETH_P_ALL))

    def send(self, frame: bytearray | memoryview | bytes, wall: float) -> None:
        """Puts a frame out; a full queue loses it, as a router's would."""
        try:
            self.socket.send(frame)
        except OSError:
            self.lost += 1
            return
        if self.capture:
            self.capture.write(bytes(frame[_ETHER:]), wall)

    def send_packet(self, raw: bytes, wall: float) -> None:
        """Puts a packet out that starts at its IP header."""
        self.send(self.heads[6 if raw[0] >> 4 == 6 else 4] + raw, wall)


class Router:
    """The loop: frames, commands, delayed packets."""

    def __init__(self, config: Config, control: socket.socket) -> None:
        rules = [
            Rule(rule.id, censors.make(rule.kind, rule.params, seeded(config.seed, rule.id))) for rule in config.rules
        ]
        self._chain = Chain(rules)
        self._inside = Port(config.inside)
        self._outside = Port(config.outside)
        self._control = control
        self._acts: TextIO | None = Path(config.acts).open("w", encoding="utf-8") if config.acts else None  # noqa: SIM115
        self._counts: dict[str, int] = {}
        self._forwarded = 0
        self._malformed = 0
        self._offset = 0.0
        self._waiting: list[tuple[float, int, Port, bytes]] = []
        self._order = 0
        self._stopping = False
        self._buffer = bytearray(_FRAME)

    def lab_now(self) -> float:
        """The lab's clock."""
        return time.monotonic() + self._offset

    def run(self) -> None:
        """Forwards until told to stop."""
        poller = select.epoll()
        inside, outside, control = (s.fileno() for s in (self._inside.socket, self._outside.socket, self._control))
        for descriptor in (inside, outside, control):
            poller.register(descriptor, select.EPOLLIN)
        timers = self._chain.has_timers
        next_timer = time.monotonic()
        self._answer({"ready": True})
        while not self._stopping:
            for descriptor, _ in poller.poll(self._patience(next_timer if timers else None)):
                if descriptor == inside:
                    self._drain(self._inside, self._outside, outbound=True)
                elif descriptor == outside:
                    self._drain(self._outside, self._inside, outbound=False)
                else:
                    self._command()
            now = time.monotonic()
            if self._waiting:
                self._release(now)
            if timers and now >= next_timer:
                next_timer = now + _TIMER_S
                self._carry_out(self._chain.timers(self.lab_now()))
        self._flush()

    def _patience(self, next_timer: float | None) -> float:
        """How long the loop may sleep."""
        ends = [self._waiting[0][0]] if self._waiting else []
        if next_timer is not None:
            ends.append(next_timer)
        return max(0.0, min(ends) - time.monotonic()) if ends else -1

    def _drain(self, source: Port, target: Port, *, outbound: bool) -> None:
        """Takes up to a batch of frames from one side."""
        buffer = self._buffer
        view = memoryview(buffer)
        receive = source.socket.recv_into
        own, capture, decide = source.own, source.capture, self._chain.decide
        wall = time.time()
        now = self.lab_now()
        for _ in range(_BATCH):
            try:
                size = receive(buffer)
            except BlockingIOError:
                return
            except OSError:  # the interface went down
                return
            if size < _ETHER + 20 or buffer[0:6] != own:
                continue
            raw = bytes(view[_ETHER:size])
            packet = parse(raw, outbound)
            if packet is None:
                self._malformed += 1
                continue
            if capture:
                capture.write(raw, wall)
            first = packet.ip.dst_bytes[0]
            if (first >= 224 and packet.ip.version == 4) or (packet.ip.version == 6 and first >= 0xFE):
                continue
            outcome = decide(packet, now)
            if outcome.forward is raw and not outcome.delay and not outcome.acts:
                # The common case: the same bytes, with a new head and one hop less.
                if one_hop_less(buffer, _ETHER):
                    buffer[0:_ETHER] = target.heads[packet.ip.version]
                    target.send(view[:size], wall)
                    self._forwarded += 1
                continue
            self._carry_out(outcome, target, wall)

    def _carry_out(self, outcome: Outcome, target: Port | None = None, wall: float | None = None) -> None:
        """Sends what the censors sent, then the packet if it goes on, and writes down what was done."""
        wall = time.time() if wall is None else wall
        for injection in outcome.injected:
            port = self._inside if injection.to == "in" else self._outside
            if injection.delay > 0:
                self._later(injection.delay, port, injection.raw)
            else:
                port.send_packet(injection.raw, wall)
        if outcome.forward is not None and target is not None:
            packet = bytearray(outcome.forward)
            if one_hop_less(packet, 0):
                if outcome.delay > 0:
                    self._later(outcome.delay, target, bytes(packet))
                else:
                    target.send_packet(bytes(packet), wall)
                    self._forwarded += 1
        for act in outcome.acts:
            self._note(act, wall)

    def _later(self, seconds: float, port: Port, raw: bytes) -> None:
        self._order += 1
        heapq.heappush(self._waiting, (time.monotonic() + seconds, self._order, port, raw))

    def _release(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            _, _, port, raw = heapq.heappop(self._waiting)
            port.send_packet(raw, time.time())
            self._forwarded += 1

    def _note(self, act: Act, wall: float) -> None:
        self._counts[act.rule] = self._counts.get(act.rule, 0) + 1
        if self._acts:
            line = {"time": wall, **{name: getattr(act, name) for name in Act.__slots__}}
            self._acts.write(json.dumps(line) + "\n")

    def _command(self) -> None:
        """Answers one command; the other end closing is the command to stop."""
        message = self._control.recv(65_536)
        if not message:
            self._stopping = True
            return
        match json.loads(message):
            case {"do": "stats"}:
                self._flush()
                self._answer(
                    {
                        "forwarded": self._forwarded,
                        "malformed": self._malformed,
                        "lost": self._inside.lost + self._outside.lost,
                        "errors": self._chain.errors,
                        "acts": self._counts,
                        "wall_time": time.time(),
                    }
                )
            case {"do": "jump", "seconds": (int() | float()) as seconds} if seconds >= 0:
                self._offset += seconds
                self._answer({"lab_time": self.lab_now()})
            case {"do": "stop"}:
                self._stopping = True
                self._flush()
                self._answer({"stopped": True})
            case other:
                self._answer({"error": f"unknown command {other!r}"})

    def _answer(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._control.send(json.dumps(answer).encode())

    def _flush(self) -> None:
        for port in (self._inside, self._outside):
            if port.capture:
                port.capture.flush()
        if self._acts:
            self._acts.flush()


def main(argv: list[str]) -> int:
    """The process: reads its configuration, says it is ready, forwards."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which closes the control pair
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=Config)
    with socket.socket(fileno=int(argv[2])) as control:
        Router(config, control).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
