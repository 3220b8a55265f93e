"""The provider's router: takes packets off one side, asks the censors, puts them out on the other. Its own process.

It reads whole frames from packet sockets on two veth interfaces (an ordinary user's namespace allows those even where
/dev/net/tun is closed). The two kernels beside it send to a hardware address that is not the interface's own, so the
kernel it runs on looks at no packet twice. There is no ARP: neighbours are fixed (see `world`). It takes one from the
TTL as routers do and lets packets at their end die silently; packets for link-local and multicast addresses stay
where they are.

Two clocks (see `clock`): the lab's drives what censors remember; raw monotonic time drives delays and lines, as a
kernel's would.

Run as `python -m rozaneh.lab.router CONFIG.json DESCRIPTOR [PROBER]`; the descriptor is one end of a SOCK_SEQPACKET
pair on which JSON commands are answered (`middlebox` is the other end), PROBER one end of the pair to the active
prober (see `probing`). It ends when the first pair closes.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from rozaneh.lab.chain import MALFORMED, Act, Chain, Outcome
from rozaneh.lab.clock import LabClock
from rozaneh.lab.fragments import FragmentPolicy
from rozaneh.lab.links import Link, LinkModel
from rozaneh.lab.packet import one_hop_less
from rozaneh.lab.ports import ETHER, Port, Side
from rozaneh.lab.probing import Probing
from rozaneh.lab.rules import RuleConfig, build, seeded

__all__ = ["TIMER_S", "Config", "Router", "RuleConfig", "Side"]

_BATCH = 64  # packets from one side before the other gets its turn
TIMER_S = 0.05  # raw seconds between two calls of the censors' timers
_MAX_WAITING = 65_536  # packets held back by delays and lines
_MAX_ACTS = 200_000  # lines of the acts' file; further acts are counted only

_SHORTHAND = {
    "ignore": FragmentPolicy(mode="ignore"),
    "drop": FragmentPolicy(mode="drop"),
    "reassemble": FragmentPolicy(mode="reassemble"),
}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All the router is told.

    Attributes:
        inside: The readers' side.
        outside: The far side.
        rules: The chain, in order.
        acts: The file that gets one JSON line for each thing a rule does.
        seed: What everything drawn at random comes from.
        link_in: The line packets take towards the inside.
        link_out: The line packets take towards the outside.
        time_of_day: The hour of the lab's day when it starts.
        fragments: What becomes of IP fragments.
        replay_window_s: How old a first flight the probed server takes; None when it has no such limit.
    """

    inside: Side
    outside: Side
    rules: list[RuleConfig] = []
    acts: str | None = None
    seed: int = 0
    link_in: LinkModel = LinkModel()
    link_out: LinkModel = LinkModel()
    time_of_day: float = 12.0
    fragments: Literal["ignore", "drop", "reassemble"] | FragmentPolicy = "ignore"
    replay_window_s: float | None = None

    def fragment_policy(self) -> FragmentPolicy:
        """`fragments` without its short forms."""
        return _SHORTHAND[self.fragments] if isinstance(self.fragments, str) else self.fragments


class Router:
    """The loop: frames, commands, delayed packets, the prober."""

    def __init__(self, config: Config, control: socket.socket, prober: socket.socket | None = None) -> None:
        self._clock = LabClock(config.time_of_day)
        self._chain = Chain([build(rule, config.seed) for rule in config.rules], self._clock, config.fragment_policy())
        self._inside = Port(config.inside, _link(config.link_in, config.seed, "link_in"))
        self._outside = Port(config.outside, _link(config.link_out, config.seed, "link_out"))
        self._control = control
        self._probing = Probing(prober, config.replay_window_s)
        self._acts: TextIO | None = Path(config.acts).open("w", encoding="utf-8") if config.acts else None  # noqa: SIM115
        self._acts_written = 0
        self._phase = ""
        self._counts: dict[str, int] = {}
        self._forwarded = 0
        self._malformed = 0
        self._waiting: list[tuple[float, int, Port, bytes, bool]] = []
        self._order = 0
        self._overflow = 0
        self._overrun = 0
        self._stopping = False

    def run(self) -> None:
        """Forwards until told to stop."""
        poller = select.epoll()
        inside, outside, control = (s.fileno() for s in (self._inside.socket, self._outside.socket, self._control))
        for descriptor in (inside, outside, control):
            poller.register(descriptor, select.EPOLLIN)
        prober = self._probing.channel.fileno() if self._probing.channel is not None else -1
        if prober >= 0:
            poller.register(prober, select.EPOLLIN)
        timers = self._chain.has_timers
        next_timer = time.monotonic()
        self._answer({"ready": True})
        while not self._stopping:
            for descriptor, events in poller.poll(self._patience(next_timer if timers else None)):
                if events & select.EPOLLERR:
                    self._clear_errors()
                if descriptor == inside:
                    self._drain(self._inside, self._outside, outbound=True)
                elif descriptor == outside:
                    self._drain(self._outside, self._inside, outbound=False)
                elif descriptor == control:
                    self._command()
                elif not self._hear_prober():
                    poller.unregister(prober)
            now = time.monotonic()
            if self._waiting:
                self._release(now)
            if self._probing.due is not None:
                self._probing.send(self._clock.now(), self._clock.raw())
            if timers and now >= next_timer:
                next_timer = now + TIMER_S
                self._carry_out(self._chain.timers(self._clock.now()))
        self._flush()

    def _clear_errors(self) -> None:
        """Takes note that an interface went down, which the kernel would otherwise tell again and again."""
        for port in (self._inside, self._outside):
            port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _patience(self, next_timer: float | None) -> float:
        """How long the loop may sleep."""
        now = time.monotonic()
        sleeps = [self._waiting[0][0] - now] if self._waiting else []
        if next_timer is not None:
            sleeps.append(next_timer - now)
        if self._probing.due is not None:
            sleeps.append(self._probing.due - self._clock.now())
        return max(0.0, min(sleeps)) if sleeps else -1

    def _drain(self, source: Port, target: Port, *, outbound: bool) -> None:
        """Takes up to a batch of frames from one side."""
        ring = source.ring
        data, words, halves, step, count = ring.data, ring.words, ring.halves, ring.frame, ring.count
        own, capture, judge = source.own, source.capture, self._chain.judge
        send, head4, head6 = target.socket.send, target.head4, target.head6
        direct = target.link is None and target.capture is None
        wall = time.time()
        raw_time = time.monotonic()
        now = self._clock.now()
        forwarded = 0
        index = ring.next
        for _ in range(_BATCH):
            at = index * step
            word = at >> 2
            if not words[word] & 1:  # still the kernel's
                break
            at += halves[(at >> 1) + 6]
            end = at + words[word + 2]
            index = index + 1 if index + 1 < count else 0
            if end - at < ETHER + 20 or data[at : at + 6] != own:
                words[word] = 0
                continue
            begin = at + ETHER
            raw = bytes(data[begin:end])
            six = raw[0] >> 4 == 6
            if raw[24:25] >= b"\xfe" if six else raw[16] >= 224:  # link-local, multicast
                words[word] = 0
                continue
            outcome = judge(raw, outbound, now, raw_time)
            if outcome is None and direct:
                if capture:
                    capture.write(raw, wall)
                # The common case: the same bytes from where they lie, with a new head and one hop less.
                if one_hop_less(data, begin):
                    data[at:begin] = head6 if six else head4
                    try:
                        send(data[at:end])
                        forwarded += 1
                    except OSError:
                        target.lost += 1
                words[word] = 0
                continue
            words[word] = 0
            if outcome is MALFORMED:
                self._malformed += 1
                continue
            if capture:
                capture.write(raw, wall)
            if outcome is None:
                self._forward(raw, target, wall)
            else:
                self._carry_out(outcome, target, wall)
        ring.next = index
        self._forwarded += forwarded

    def _carry_out(self, outcome: Outcome, target: Port | None = None, wall: float | None = None) -> None:
        """Sends what the censors sent, then the packet if it goes on, and writes down what was done."""
        wall = time.time() if wall is None else wall
        for injection in outcome.injected:
            port = self._inside if injection.to == "in" else self._outside
            if injection.delay > 0:
                self._later(time.monotonic() + injection.delay, port, injection.raw, linked=False)
            else:
                self._emit(port, injection.raw, wall)
        if target is not None:
            for raw in [outcome.forward, *outcome.more] if outcome.forward is not None else outcome.more:
                self._forward(raw, target, wall, outcome.delay)
        for act in outcome.acts:
            self._note(act, wall)
        if outcome.probes:
            now = self._clock.now()
            for asked in outcome.probes:
                self._probing.ask(asked, now, self._clock.raw())

    def _forward(self, raw: bytes, target: Port, wall: float, delay: float = 0.0) -> None:
        """Sends a packet on with one hop less; one whose hops have run out dies here."""
        packet = bytearray(raw)
        if not one_hop_less(packet, 0):
            return
        self._forwarded += 1
        if delay > 0:
            self._later(time.monotonic() + delay, target, bytes(packet), linked=False)
        else:
            self._emit(target, bytes(packet), wall)

    def _emit(self, port: Port, raw: bytes, wall: float) -> None:
        """Puts a packet on the line behind `port`."""
        if port.link is None:
            port.send_packet(raw, wall)
            return
        arrival = port.link.arrival(len(raw), time.monotonic())
        if arrival is not None:
            # Through the heap even when it has arrived: others that arrived before it may still be there.
            self._later(arrival, port, raw, linked=True)

    def _later(self, when: float, port: Port, raw: bytes, *, linked: bool) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._overflow += 1
            return
        self._order += 1
        heapq.heappush(self._waiting, (when, self._order, port, raw, linked))

    def _release(self, now: float) -> None:
        wall = time.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, port, raw, linked = heapq.heappop(self._waiting)
            if linked:
                port.send_packet(raw, wall)
            else:
                self._emit(port, raw, wall)

    def _hear_prober(self) -> bool:
        """Hands the prober's answers to the rules that asked; False when there is no prober any more."""
        answers = self._probing.receive()
        for rule, result in answers or ():
            self._carry_out(self._chain.probed(rule, result, self._clock.now()))
        return self._probing.channel is not None

    def _note(self, act: Act, wall: float) -> None:
        self._counts[act.rule] = self._counts.get(act.rule, 0) + 1
        if self._acts and self._acts_written < _MAX_ACTS:
            self._acts_written += 1
            line = {"time": wall, "lab_time": round(self._clock.now(), 6), "phase": self._phase}
            line.update((name, getattr(act, name)) for name in Act.__slots__)
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
                self._answer(self._stats())
            case {"do": "jump", "seconds": (int() | float()) as seconds} if seconds >= 0:
                self._clock.jump(seconds)
                if self._chain.has_timers:
                    self._carry_out(self._chain.timers(self._clock.now()))
                self._answer({"lab_time": self._clock.now()})
            case {"do": "phase", "name": str() as name}:
                self._phase = name
                self._answer({"phase": name})
            case {"do": "stop"}:
                self._stopping = True
                self._flush()
                self._answer({"stopped": True})
            case other:
                self._answer({"error": f"unknown command {other!r}"})

    def _stats(self) -> dict[str, Any]:
        overrun = self._inside.overrun() + self._outside.overrun()
        self._overrun += overrun
        links = [port.link for port in (self._inside, self._outside) if port.link is not None]
        now = self._clock.now()
        return {
            "forwarded": self._forwarded,
            "malformed": self._malformed,
            "overrun": self._overrun,
            "lost": self._inside.lost + self._outside.lost + self._overflow,
            "lost_on_links": sum(link.lost for link in links),
            "waiting": len(self._waiting),
            "errors": self._chain.errors,
            "acts": self._counts,
            "acts_unwritten": max(0, sum(self._counts.values()) - self._acts_written) if self._acts else 0,
            "probes_unsent": self._probing.unsent,
            "replays_not_simulated": self._probing.not_simulated,
            "flows": self._chain.flows,
            "wall_time": time.time(),
            "lab_time": now,
            "hour": self._clock.hour(now),
            "cpu_s": time.process_time(),
        }

    def _answer(self, answer: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._control.send(json.dumps(answer).encode())

    def _flush(self) -> None:
        for port in (self._inside, self._outside):
            if port.capture:
                port.capture.flush()
        if self._acts:
            self._acts.flush()


def _link(model: LinkModel, seed: int, name: str) -> Link | None:
    link = Link(model, seeded(seed, name))
    return None if link.perfect else link


def main(argv: list[str]) -> int:
    """The process: reads its configuration, says it is ready, forwards."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which closes the control pair
    config = msgspec.json.decode(Path(argv[1]).read_bytes(), type=Config)
    with socket.socket(fileno=int(argv[2])) as control:
        prober = socket.socket(fileno=int(argv[3])) if len(argv) > 3 else None
        try:
            router = Router(config, control, prober)
        except ValueError as error:
            control.send(json.dumps({"error": str(error)}).encode())
            return 1
        gc.collect()
        gc.freeze()  # what is there by now stays: the collector need not walk it again and again
        router.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
