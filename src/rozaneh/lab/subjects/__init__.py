"""Subjects as data: what is measured in a world, and how its two ends start, read from the TOML files beside this one.

A subject is somebody's own program with somebody's own configuration; nothing here knows any of them. Values in braces
are filled in when it runs (`values.py` lists them): `{server_ip} {port} {socks_port} {dir}` and more.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from rozaneh.lab.datafiles import DataFiles

if TYPE_CHECKING:
    from rozaneh.lab.subjects.prepared import Prepared
    from rozaneh.lab.world import Raised

SCHEMA = "rozaneh.lab.subject/1"

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")

_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


class SubjectError(ValueError):
    """A subject's file is not what it must be; the text names the place."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Ready(_Strict, frozen=True, kw_only=True):
    """How a program shows that it is ready: one of three signs, within `limit` seconds.

    Attributes:
        tcp: It listens on this TCP port of its node: `PORT`, or `ADDRESS:PORT` when another may have that port too.
        udp: It has this UDP port of its node, given likewise.
        output: A pattern (Python's `re`) is found in what it wrote. Named groups of it become values: `(?P<cert>\\S+)`
            gives `{cert}` to everything that starts later.
        limit: Seconds until it is given up.
    """

    tcp: str | int = ""
    udp: str | int = ""
    output: str = ""
    limit: float = 15.0


class Step(_Strict, frozen=True, kw_only=True):
    """A command that runs to its end, and must end with 0.

    Attributes:
        argv: The program and its arguments.
        stdin: A file whose content it reads.
        save: A file that gets what it wrote to standard output.
        once: Not again once it came to a good end: what it made stays for the next starts.
        limit: Seconds until it is given up.
    """

    argv: tuple[str, ...]
    stdin: str = ""
    save: str = ""
    once: bool = False
    limit: float = 30.0


class Companion(_Strict, frozen=True, kw_only=True):
    """A program that runs beside the main one and is started before it."""

    argv: tuple[str, ...]
    ready: Ready
    env: dict[str, str] = {}


class Program(_Strict, frozen=True, kw_only=True):
    """One end of a subject.

    Attributes:
        argv: The program and its arguments.
        ready: When it counts as started; by default when TCP listens: a server at `{server_host}:{port}`, a `socks`
            client at `127.0.0.1:{socks_port}`. It must not leave the foreground: the lab ends it by its id.
        env: Environment variables beyond the few every program gets (PATH, HOME, TMPDIR).
        stdin: A file whose content it reads.
        stop: The signal that ends it: `term`, and `kill` for those that do not heed it.
        before: Commands before anything else starts.
        beside: Programs that it needs, started first, in this order.
        after: Commands once it is ready.
    """

    argv: tuple[str, ...]
    ready: Ready | None = None
    env: dict[str, str] = {}
    stdin: str = ""
    stop: Literal["term", "kill"] = "term"
    before: tuple[Step, ...] = ()
    beside: tuple[Companion, ...] = ()
    after: tuple[Step, ...] = ()


class Version(_Strict, frozen=True, kw_only=True):
    """Where a report takes the version from: the first place in a command's words that `pattern` fits, or a package.

    Attributes:
        argv: A command that says it; it runs outside the world, so only ever something like `--version`.
        pattern: Its group `version`, or else the whole of it, is the version.
        package: A package of the peers environment instead.
    """

    argv: tuple[str, ...] = ()
    pattern: str = r"\d+(?:\.\d+)+[\w+.-]*"
    package: str = ""


class Subject(_Strict, frozen=True, kw_only=True):
    """A whole subject.

    Attributes:
        kind: `direct` fetches itself; `socks` listens on `{socks_port}`; `tun` gives the reader a network interface.
        fetch: Who fetches for a `direct` one: curl, Chromium, or a plain DNS question.
        port: The server's port on the address it is given.
        server: The end on the rented server; not for `direct`.
        client: The reader's end; not for `direct`.
        ready: For both ends that say nothing of their own.
        env: For both ends.
        files: Templates, by their path under `{dir}`, written before anything starts.
        needs: What must be there besides the programs: `root`.
        packages: Packages of the peers environment it needs.
        install: The command that brings what is missing.
        slow: It is given 300 s for 64 KB and no more.
        replay_window_s: How old a first flight its server takes by its own clock; without it there is no such limit.
            The lab's clock jumps and the server's does not: replays beyond the limit are reported, not made.
        version: Where a report takes its version from.
    """

    schema_: str = msgspec.field(name="schema", default=SCHEMA)
    name: str
    summary: str = ""
    kind: Literal["direct", "socks", "tun"]
    fetch: Literal["curl", "chromium", "dns"] = "curl"
    port: int = 443
    server: Program | None = None
    client: Program | None = None
    ready: Ready | None = None
    env: dict[str, str] = {}
    files: dict[str, str] = {}
    needs: tuple[Literal["root"], ...] = ()
    packages: tuple[str, ...] = ()
    install: str = ""
    slow: bool = False
    replay_window_s: float | None = None
    version: Version = Version()

    def texts(self) -> Iterator[str]:
        """Every text of it in which a value may stand."""
        yield from self.files
        yield from self.files.values()
        yield from self.env.values()
        yield from self.version.argv
        for ready in (self.ready, *(program.ready for program in (self.server, self.client) if program)):
            if ready:
                yield from (str(ready.tcp), str(ready.udp))
        for program in (self.server, self.client):
            if program is None:
                continue
            yield from (*program.argv, *program.env.values(), program.stdin)
            for step in (*program.before, *program.after):
                yield from (*step.argv, step.stdin, step.save)
            for companion in program.beside:
                yield from (*companion.argv, *companion.env.values(), str(companion.ready.tcp))
                yield str(companion.ready.udp)

    def readies(self) -> Iterator[Ready]:
        """Every sign of readiness in it."""
        for found in (self.ready, *(program.ready for program in (self.server, self.client) if program)):
            if found:
                yield found
        for program in (self.server, self.client):
            yield from (companion.ready for companion in (program.beside if program else ()))


_FILES = DataFiles(__name__, "subject", SubjectError)


def names() -> list[str]:
    """The subjects that come with the lab."""
    return _FILES.names()


def load(name: str) -> Subject:
    """The subject called `name`, or the one in the file at that path when it ends in .toml."""
    return parse(_FILES.text(name))


def parse(text: str) -> Subject:
    """Reads and checks a subject."""
    try:
        subject = msgspec.convert(tomllib.loads(text), Subject)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SubjectError(str(error)) from error
    _check(subject)
    return subject


def missing(subject: Subject) -> str:
    """Why `subject` cannot run on this machine, with the command that helps; empty when it can."""
    from rozaneh.lab.subjects import programs

    return programs.missing(subject)


def version(subject: Subject) -> str:
    """What a report calls the version of its programs; empty when nothing says it."""
    from rozaneh.lab.subjects import programs

    return programs.version(subject)


def prepare(world: Raised, *, chains: bool = False) -> Prepared:
    """Starts what subjects need in a world, once a world, and returns when all of it answers; keep what it returns.

    `chains` gives the sites' certificates chains as long as those of the internet.
    """
    from rozaneh.lab.subjects.prepared import Prepared

    return Prepared(world, chains=chains)


def _check(subject: Subject) -> None:
    """Refuses what could not run: missing ends, signs that are none, values nobody gives."""
    from rozaneh.lab.subjects import values

    if subject.schema_ != SCHEMA:
        raise SubjectError(f"schema is {subject.schema_!r}, expected {SCHEMA!r}")
    if not _NAME.fullmatch(subject.name):
        raise SubjectError(f"name {subject.name!r}: lower-case letters, digits, dots, dashes and plus signs")
    if not 1 <= subject.port <= 65_535:
        raise SubjectError(f"port {subject.port} is none")
    if subject.kind == "direct":
        if subject.server or subject.client:
            raise SubjectError("a direct subject has neither server nor client")
    else:
        if subject.fetch != "curl":
            raise SubjectError(f"fetch = {subject.fetch!r} is for kind = 'direct'")
        if subject.server is None or subject.client is None:
            raise SubjectError(f"a {subject.kind} subject needs [server] and [client]")
        if not subject.server.argv or not subject.client.argv:
            raise SubjectError("argv is empty")
        if subject.kind == "tun" and not (subject.client.ready or subject.ready):
            raise SubjectError("the client of a tun subject needs `ready`: no port of it listens")
    known = set(values.NAMES)
    for ready in subject.readies():
        if sum(bool(sign) for sign in (ready.tcp, ready.udp, ready.output)) != 1:
            raise SubjectError("ready: exactly one of tcp, udp and output")
        try:
            known |= set(re.compile(ready.output).groupindex)
        except re.error as error:
            raise SubjectError(f"ready: output is no pattern: {error}") from error
    for path in subject.files:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise SubjectError(f"file {path!r} lies outside {{dir}}")
    for text in subject.texts():
        for name in PLACEHOLDER.findall(text):
            if name not in known:
                raise SubjectError(f"nobody gives the value {{{name}}}; there are: {', '.join(sorted(known))}")
