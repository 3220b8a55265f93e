"""Engines on loopback, an origin to reach through them, and everything put away again."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.alone import ROOT
from tests.interop.origin import Origin
from tests.interop.rig import (
    ALICE,
    BOB,
    LOOPBACK,
    Account,
    Document,
    Identity,
    Running,
    client_document,
    edge_document,
    make_identity,
    way,
)

Start = Callable[[Document], Running]


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """The edge's own certificate."""
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """What lies behind the edge."""
    with Origin() as running:
        yield running


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts engines; all of them end with the test."""
    with ExitStack() as stack:
        yield lambda document: stack.enter_context(Running(document))


@dataclass
class Pair:
    """A reader's end and an edge that may reach loopback."""

    edge: Running
    client: Running
    identity: Identity
    account: Account = ALICE


@pytest.fixture
def edge(start: Start, identity: Identity) -> Running:
    """An edge with two accounts and the default policy."""
    return start(edge_document(identity, users=[ALICE, BOB]))


@pytest.fixture
def pair(start: Start, identity: Identity) -> Pair:
    """Client and edge; loopback is allowed, since the origin is there."""
    edge = start(edge_document(identity, users=[ALICE, BOB], allow=LOOPBACK))
    return Pair(edge, start(client_document(way(edge.address, identity, ALICE))), identity)


@pytest.fixture
def client(pair: Pair) -> Running:
    """The reader's end of ``pair``."""
    return pair.client


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where programs live that are built or fetched for tests only."""
    folder = Path(__file__).parents[2] / ".tools"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def peers(tools: Path) -> Path:
    """An environment with the pinned peers: made when it is not there, brought up to date when the pins have changed.

    Never emptied: the folder may be a link to one that others are using at this moment.
    """
    folder = tools / "peers"
    done = folder / "installed"
    wanted = (ROOT / "requirements" / "peers.txt").read_text()
    if not done.exists() or done.read_text() != wanted:
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "--require-hashes", "-r", ROOT / "requirements" / "peers.txt"],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        done.write_text(wanted)
    return folder
