"""The edge before h2spec: every case of its generic, http2 and hpack groups, failures explained one by one.

The cover is Debian's nginx 1.22.1, and a stranger must not be able to tell the two by what they let pass. So every
failure expected below is one that nginx shows too, and is there on purpose: a case that fails without being listed, or
passes although it is listed, fails this test.
"""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.interop import cover_cases
from tests.interop.rig import ALICE, Identity, Running, edge_document

MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
CASES = 146

_NO_LARGER = (
    "the cover announces MAX_FRAME_SIZE 16,777,215, the largest that a frame header can say (RFC 9113 section 6.5.2): "
    "there is no larger frame, h2spec's is never written; nginx: the same"
)
_PSEUDO = "nginx answers with its page 400 where RFC 9113 section 8.1.1 wants a stream error"
_LETS_PASS = "nginx takes such a request for an ordinary one, against RFC 9113 section 8.2.2"

#: Section and number within it, and why the edge fails there.
EXPECTED = {
    ("http2/4.2", 2): _NO_LARGER,
    ("http2/4.2", 3): _NO_LARGER,
    ("http2/8.1.2.1", 1): f"unknown pseudo-header field: {_PSEUDO}",
    ("http2/8.1.2.1", 2): f"a response's pseudo-header field: {_PSEUDO}",
    ("http2/8.1.2.1", 4): "pseudo-header field behind regular ones: nginx does not mind the order and answers 200",
    ("http2/8.1.2.2", 1): f"connection-specific field: {_LETS_PASS}",
    ("http2/8.1.2.2", 2): f"TE other than trailers: {_LETS_PASS}",
    ("http2/8.1.2.3", 1): f"empty :path: {_PSEUDO}",
    ("http2/8.1.2.3", 2): f"no :method: {_PSEUDO}",
    ("http2/8.1.2.3", 3): f"no :scheme: {_PSEUDO}",
    ("http2/8.1.2.3", 4): f"no :path: {_PSEUDO}",
    ("http2/8.1.2.3", 5): f"two :method: {_PSEUDO}",
    ("http2/8.1.2.3", 6): f"two :scheme: {_PSEUDO}",
    ("http2/8.1.2.3", 7): f"two :path: {_PSEUDO}",
}

#: The offence is the second frame on a stream whose request is complete as the cover sees it: it answers at once,
#: without waiting for a body, and errors on a stream that was answered and reset are ignored (RFC 9113 section 5.1).
#: Where the answer overtakes h2spec's second frame the case fails; it has to pass when it does not.
RACES = {
    ("http2/5.1", 8): "DATA behind RST_STREAM",
    ("http2/5.1", 9): "HEADERS behind RST_STREAM",
    ("http2/6.9", 2): "WINDOW_UPDATE of 0 on a stream",
    ("http2/6.9.1", 3): "WINDOW_UPDATE beyond 2^31-1 on a stream",
    ("http2/8.1", 1): "a second HEADERS without END_STREAM",
    ("http2/8.1.2.1", 3): "a pseudo-header field in trailers",
    ("http2/8.1.2.6", 1): "content-length unlike the one DATA frame",
    ("http2/8.1.2.6", 2): "content-length unlike the sum of DATA frames",
}
TRIES = 20

#: What the real nginx fails beyond that and the edge passes: differences that a prober could look for.
STRICTER_THAN_NGINX = {
    ("http2/5.1", 1): "idle stream: DATA",
    ("http2/5.1", 2): "idle stream: RST_STREAM",
    ("http2/5.1", 3): "idle stream: WINDOW_UPDATE",
    ("http2/5.1", 5): "half closed (remote): DATA",
    ("http2/5.1", 8): "closed by RST_STREAM: DATA",
    ("http2/5.1", 11): "closed: DATA",
    ("http2/6.1", 2): "DATA on a stream that is not open",
    ("http2/6.4", 2): "RST_STREAM on an idle stream",
    ("http2/6.9.1", 3): "WINDOW_UPDATE beyond 2^31-1 on a stream",
    ("http2/8.1.2.6", 1): "content-length unlike the one DATA frame",
    ("http2/8.1.2.6", 2): "content-length unlike the sum of DATA frames",
    ("hpack/4.2", 1): "table size update at the end of a block",
    ("hpack/5.2", 1): "Huffman padding longer than 7 bits",
}


@pytest.fixture(scope="module")
def h2spec(tools: Path) -> Path:
    """The program; built once, when it is not there yet."""
    program = tools / "bin" / "h2spec"
    if not program.exists():
        environment = os.environ | {"GOBIN": str(program.parent)}
        subprocess.run(["go", "install", MODULE], env=environment, check=True, stdin=subprocess.DEVNULL, timeout=300)
    return program


def run(program: Path, port: int, report: Path, *sections: str) -> dict[tuple[str, int], str]:
    """Every case's outcome: empty where it passed, else what happened instead."""
    argv = [program, "-t", "-k", "--strict", "-h", "127.0.0.1", "-p", str(port), "-o", "1", "-j", report]
    finished = subprocess.run(
        [*argv, *sections],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert report.exists(), finished.stdout + finished.stderr
    outcome: dict[tuple[str, int], str] = {}
    # Written by the program that was built above from its public source.
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314
        for number, case in enumerate(suite.iter("testcase"), 1):
            assert case.find("skipped") is None, f"{suite.get('package')}/{number} was skipped"
            bad = case.find("failure") if case.find("failure") is not None else case.find("error")
            name = case.get("classname") or ""
            outcome[suite.get("package") or "", number] = "" if bad is None else f"{name}: {(bad.text or '').strip()}"
    return outcome


def test_h2spec(h2spec: Path, identity: Identity, tmp_path: Path) -> None:
    cover_cases.build_site(tmp_path / "site")
    cover = {"type": "directory", "path": str(tmp_path / "site")}
    with Running(edge_document(identity, users=[ALICE], cover=cover)) as edge:
        outcome = run(h2spec, edge.place[1], tmp_path / "report.xml", "generic", "http2", "hpack")
        for case in [case for case in RACES if outcome[case]]:
            for _ in range(TRIES):
                outcome[case] = run(h2spec, edge.place[1], tmp_path / "again.xml", case[0])[case]
                if not outcome[case]:
                    break
    assert len(outcome) == CASES
    # What is listed must be of this program's list.
    assert outcome.keys() >= EXPECTED.keys() | RACES.keys() | STRICTER_THAN_NGINX.keys()
    failed = {case: text for case, text in outcome.items() if text}
    assert {case: text for case, text in failed.items() if case not in EXPECTED} == {}, "unexpected failures"
    assert [case for case in EXPECTED if case not in failed] == [], "unexpected passes: is the cover still nginx's?"
