"""Runs one subject in a world: writes its files, starts its server, then its client, fetches, stops them by their ids.

`subjects.prepare(world)` must have been called once for the world. Everything happens inside
`isolate.run`.
"""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Literal
from urllib.parse import urlsplit

from rozaneh.lab import dnsmessage
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.devtools import DevToolsError
from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady, Process
from rozaneh.lab.services import internet
from rozaneh.lab.subjects import Program, Ready, Step, Subject, fetch, fetch_dns, programs, values
from rozaneh.lab.subjects.fetch import Fetched, Meter
from rozaneh.lab.subjects.prepared import AUTHORITY, server_name
from rozaneh.lab.subjects.ready import Watch
from rozaneh.lab.world import Raised

__all__ = ["ClientNotReady", "Fetched", "NotReady", "Running"]

# Below the kernel's own range for outgoing connections (ip_local_port_range begins at 32,768).
_PORTS = (20_000, 30_000)
_PORT_NAMES = ("socks_port", "spare_port", "inner_port")
# A program gets this long to end by itself; what it closes in that time it closes as its users would see it.
_GRACE_S = 1.0
_FIRST_BYTE_S, _WHOLE_S, _SLOW_WHOLE_S = 20.0, 60.0, 300.0


class ClientNotReady(NotReady):
    """The server runs and the client does not get ready: a fault of the set-up, or what a censor does to it.

    Some clients connect before they say that they are ready (a tunnel, our own), so in a censored world this is a
    fetch that failed.
    """


class Running:
    """One subject between the world's reader and its server at `server_label`, ready inside the `with` block.

    Args:
        subject: What runs.
        world: The raised world, prepared.
        server_label: Which of the server's addresses is used; empty for its first one.
        folder: A new folder for this run's files and logs, seen from every node (under `world.folder`).
        version: The family of the server's address, 4 or 6.
        seed: Secrets and ports are made from it.
        resolver: Whom a `fetch = "dns"` subject asks; by default the reader's first resolver of that family.
    """

    def __init__(
        self,
        subject: Subject,
        world: Raised,
        server_label: str,
        folder: Path,
        *,
        version: Literal[4, 6] = 4,
        seed: int = 0,
        resolver: str = "",
    ) -> None:
        self.subject = subject
        self.folder = folder
        self._world = world
        self._label = server_label
        self._authority = world.folder / AUTHORITY / "authority.pem"
        self._rng = Random(f"ports/{subject.name}/{seed}")  # noqa: S311 - repeatability is the point
        self._ports = range(*_PORTS)
        self._resolver = resolver or _of_family(world.data.resolver_addresses(), version)
        self.server_ip = _server_address(world, server_label, version)
        self.values = self._first_values(seed)
        self._processes: list[tuple[Process, str]] = []
        self._browser: chromium.Chromium | None = None
        self._started = 0
        # Commands that need not run again: those that came to a good end.
        self._once: set[tuple[str, tuple[str, ...]]] = set()

    def __enter__(self) -> Running:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server, then the client; returns when both are ready.

        `NotReady` tells what the one that is not ready said; `ClientNotReady` that it is the client.
        """
        subject, world = self.subject, self._world
        self._started += 1
        if self._started == 1:
            self.folder.mkdir(parents=True, mode=0o700)
            internet.point(world, self._label)
        self._new_ports()
        if subject.server and subject.client:
            self._write_files()
            self._start("server", world.edge, subject.server)
            try:
                self._start("client", world.reader, subject.client)
            except NotReady as error:
                raise ClientNotReady(str(error)) from error
        elif subject.fetch == "chromium":
            if not (world.reader.home / ".pki" / "nssdb").exists():
                chromium.trust(world.reader, self._authority)
            name = f"{subject.name}-{self.folder.name}-{self._started}"
            try:
                self._browser = chromium.Chromium(world.reader, name)
            except LabUnavailable as error:
                raise NotReady(str(error)) from error

    def serve(self) -> None:
        """Starts the server's end alone; `reader` gives clients of it."""
        if self.subject.server is None:
            raise ValueError(f"{self.subject.name} has no server")
        self.folder.mkdir(parents=True, mode=0o700)
        self._new_ports()
        self._write_files()
        self._start("server", self._world.edge, self.subject.server)

    def reader(self, folder: Path, number: int) -> Running:
        """Another client of the server that `serve` started, in a folder of its own; `connect` starts it.

        The folder holds what the server's commands saved. Readers may be used at the same time, each by one thread:
        those of different numbers (up to three thousand) have no port in common.
        """
        other = copy.copy(self)
        other.folder = folder
        other.values = self.values | {"dir": str(folder)}
        first = _PORTS[0] + number * len(_PORT_NAMES) % (_PORTS[1] - _PORTS[0] - len(_PORT_NAMES))
        other._ports = range(first, first + len(_PORT_NAMES))
        other._processes, other._browser, other._once = [], None, set()
        folder.mkdir(parents=True, mode=0o700)
        for step in (*self.subject.server.before, *self.subject.server.after) if self.subject.server else ():
            if step.save:
                (saved, place) = (values.fill(step.save, known) for known in (self.values, other.values))
                Path(place).write_bytes(Path(saved).read_bytes())
        return other

    def connect(self) -> None:
        """Starts the client's end alone, at a local port of its own; `NotReady` when it does not get ready."""
        if self.subject.client is None:
            raise ValueError(f"{self.subject.name} has no client")
        self._new_ports()
        self._write_files()
        self._start("client", self._world.reader, self.subject.client)

    def stop(self) -> None:
        """Ends everything it started, the last first."""
        if self._browser:
            self._browser.close()
            self._browser = None
        going, self._processes = self._processes[::-1], []
        for process, how in going:
            if how == "term" and process.running():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE_S
        for process, how in going:
            if how == "term":
                with contextlib.suppress(TimeoutError):
                    process.wait(end - time.monotonic())
            process.kill()

    def restart(self) -> None:
        """A fresh start of both ends with the same keys and files; commands marked `once` are not run again."""
        self.stop()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def alive(self) -> bool:
        """Whether every program it started still runs."""
        return all(process.running() for process, _ in self._processes)

    def fetch(
        self, url: str, size: int, sha256: str, first_byte_s: float = _FIRST_BYTE_S, whole_s: float | None = None
    ) -> Fetched:
        """Fetches `url` as this subject's user would and checks it by its hash.

        Without `whole_s` the whole may take 60 s, and 300 s for a slow subject. A `fetch = "dns"` subject resolves the
        URL's name instead.
        """
        whole = whole_s if whole_s is not None else (_SLOW_WHOLE_S if self.subject.slow else _WHOLE_S)
        reader = self._world.reader
        host = urlsplit(url).hostname or ""
        if self.subject.fetch == "dns":
            wanted = self._world.data.zone(self._label).get(host, [])
            return fetch_dns.resolve(reader, host, self._resolver, wanted, min(first_byte_s, whole))
        meter = Meter(sha256, size, first_byte_s, whole)
        if self.subject.fetch == "chromium":
            return self._load(url, meter)
        extra: list[str] = []
        if self.subject.kind == "tun":
            extra = ["--ipv4"]
            addresses = self._through_tunnel(host, min(first_byte_s, whole))
            if not addresses:
                return meter.over() if meter.left() <= 0 else meter.done("no answer from the tunnel's resolver")
            extra += ["--resolve", f"{host}:{urlsplit(url).port or 443}:{','.join(addresses)}"]
        port = int(self.values["socks_port"]) if self.subject.kind == "socks" else 0
        errors = self.folder / "curl.log"
        return fetch.curl(reader, url, meter, authority=self._authority, errors=errors, socks_port=port, extra=extra)

    def logs(self, size: int = 2000) -> dict[str, str]:
        """The end of every log of this run, by name."""
        return {
            path.stem: path.read_text(errors="replace")[-size:]
            for path in sorted(self.folder.glob("*.log"))
            if path.stat().st_size
        }

    # ---- starting ----

    def _first_values(self, seed: int) -> dict[str, str]:
        world = self._world
        name = server_name(world)
        v6 = ":" in self.server_ip
        zones = [delegation.zone for delegation in world.data.delegations]
        return {
            "server_ip": self.server_ip,
            "server_ipv4": _server_address(world, self._label, 4),
            "server_host": f"[{self.server_ip}]" if v6 else self.server_ip,
            "server_name": name,
            "port": str(self.subject.port),
            "dir": str(self.folder),
            "ca": str(self._authority),
            "cert": str(self._authority.with_name(f"{name}.pem")),
            "key": str(self._authority.with_name(f"{name}.key")),
            "cover_port": str(values.COVER_PORT),
            "resolver_ip": self._resolver,
            "zone": zones[0] if zones else f"t.{name}",
            "gateway": "fe80::1" if v6 else "169.254.1.1",
            "device": "eth0",
            "tunnel_server": values.TUNNEL_SERVER,
            "tunnel_client": values.TUNNEL_CLIENT,
            "tunnel_resolver": values.TUNNEL_RESOLVER,
            **values.secrets(seed),
            **programs.paths(),
        }

    def _new_ports(self) -> None:
        """Fresh local ports, so that nothing of the start before (a port in TIME-WAIT) is in the way."""
        ports = self._rng.sample(self._ports, len(_PORT_NAMES))
        self.values.update({name: str(port) for name, port in zip(_PORT_NAMES, ports, strict=True)})

    def _write_files(self) -> None:
        for name, text in self.subject.files.items():
            path = self.folder / values.fill(name, self.values)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(values.fill(text, self.values), encoding="utf-8")

    def _start(self, end: str, node: Node, program: Program) -> None:
        for step in program.before:
            self._step(end, node, step)
        for number, companion in enumerate(program.beside, 1):
            env = {**self.subject.env, **companion.env}
            self._spawn(f"{end}-{number}", node, companion.argv, env, companion.ready)
        usual = Ready(tcp="{server_host}:{port}" if end == "server" else "127.0.0.1:{socks_port}")
        wanted = program.ready or self.subject.ready or usual
        env = {**self.subject.env, **program.env}
        self._spawn(end, node, program.argv, env, wanted, stdin=program.stdin, stop=program.stop)
        for step in program.after:
            self._step(end, node, step)

    def _spawn(
        self,
        name: str,
        node: Node,
        argv: Sequence[str],
        env: Mapping[str, str],
        ready: Ready,
        *,
        stdin: str = "",
        stop: str = "term",
    ) -> None:
        log = self.folder / f"{name}.log"
        # A restarted program's words are told from those of the start before by the file's length.
        before = log.stat().st_size if log.exists() else 0
        filled = {key: values.fill(value, self.values) for key, value in env.items()}
        process = node.spawn(self._argv(argv), env=filled, log=log, stdin=self._input(stdin))
        self._processes.append((process, stop))
        watch = Watch(node, process, log, before)
        if ready.output:
            self.values.update(watch.output(ready.output, ready.limit))
            # What it said may be named by files that only the next program reads.
            self._write_files()
        elif ready.tcp:
            watch.port("tcp", values.fill(str(ready.tcp), self.values), ready.limit)
        else:
            watch.port("udp", values.fill(str(ready.udp), self.values), ready.limit)

    def _step(self, end: str, node: Node, step: Step) -> None:
        if step.once and (end, step.argv) in self._once:
            return
        errors = self.folder / f"{end}-commands.log"
        argv = self._argv(step.argv)
        given = self._input(step.stdin)
        try:
            code, output = node.run(argv, timeout=step.limit, stdin=given, errors=errors)
        except TimeoutError as error:
            raise NotReady(f"`{' '.join(step.argv)}`: {error}") from error
        if code:
            said = (errors.read_text(errors="replace") + output).strip()[-1000:]
            raise NotReady(f"`{' '.join(step.argv)}` ended with {code}: {said or 'it wrote nothing'}")
        if step.save:
            path = Path(values.fill(step.save, self.values))
            path.touch(mode=0o600)
            path.write_text(output, encoding="utf-8")
        if step.once:
            self._once.add((end, step.argv))

    def _argv(self, argv: Sequence[str]) -> list[str]:
        filled = [values.fill(word, self.values) for word in argv]
        if os.sep not in filled[0]:
            filled[0] = str(programs.which(filled[0]) or filled[0])
        return filled

    def _input(self, path: str) -> bytes | None:
        if not path:
            return None
        try:
            return Path(values.fill(path, self.values)).read_bytes()
        except OSError as error:
            raise NotReady(f"nothing to read at {path}: {error.strerror}") from error

    # ---- fetching ----

    def _load(self, url: str, meter: Meter) -> Fetched:
        if self._browser is None:
            return meter.done("Chromium does not run")
        try:
            said = self._browser.load(url, meter.add, meter.left)
        except DevToolsError as error:
            return meter.done(str(error))
        return meter.over() if said is None else meter.done(said)

    def _through_tunnel(self, host: str, limit_s: float) -> list[str]:
        """The addresses of `host` as the resolver behind the tunnel has them."""
        question = dnsmessage.A
        answer = self._world.reader.call(lambda: fetch_dns.ask(host, question, values.TUNNEL_RESOLVER, limit_s))
        return fetch_dns.read(answer)[1] if answer else []


def _of_family(addresses: Sequence[str], version: int) -> str:
    return next((address for address in addresses if (":" in address) == (version == 6)), addresses[0])


def _server_address(world: Raised, label: str, version: Literal[4, 6]) -> str:
    if label:
        return world.data.address_at(label, version, world.data.edge)
    return _of_family(world.data.addresses(world.data.edge), version)
