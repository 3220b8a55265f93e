"""nDPI 5 with both modern heuristics switched on: free software that catches tunnels, run as a program of others.

It comes as PyPI's nfstream in the peers' environment (`make .tools/peers`), where `ndpi_script` runs; nothing of it is
ever loaded here. Flagged are flows that nDPI calls "obfuscated traffic": its TLS-in-TLS heuristic (after Xue et al.,
USENIX Security 2024) and its fully-encrypted one (after Wu et al., USENIX Security 2023). nDPI's JA4 differs from
others' in the third part (reliability.md 2.3), so it is shown beside ours and never compared.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rozaneh.lab import processes
from rozaneh.lab.judges.base import Flagged

BASIS = "nDPI's own (nfstream), heuristics tls/dpi.heuristics=0x07 and fully_encrypted_heuristic=1"

# 21 of 502 benign flows of the lab's test corpus, most of them real Chromium's; what host verdicts reckon with.
FALSE_POSITIVE = 0.05

_SCRIPT = Path(__file__).with_name("ndpi_script.py")
_SECONDS = 600.0


class NoNdpi(Exception):
    """There is no nfstream here, or it did not work; the text says what helps."""


def python() -> Path | None:
    """The Python that has nfstream: `ROZANEH_PEERS` (its environment), else the checkout's `.tools/peers`."""
    folders = [Path(os.environ["ROZANEH_PEERS"])] if os.environ.get("ROZANEH_PEERS") else []
    folders += [parent / ".tools" / "peers" for parent in Path(__file__).resolve().parents]
    for folder in folders:
        if (folder / "bin" / "python").exists() and any(folder.glob("lib/python3*/site-packages/nfstream")):
            return folder / "bin" / "python"
    return None


def missing() -> str:
    """Why this judge cannot run here; empty when it can."""
    if python() is None:
        return (
            "nfstream is not installed: `make .tools/peers/.ready` in a checkout installs it,"
            " or name an environment that has it in ROZANEH_PEERS"
        )
    return ""


def judge(capture: Path, mask: int = 0x07) -> list[Flagged]:
    """The verdicts on a capture's flows; `mask` 0 switches the heuristics off, as nDPI has them by default."""
    return judge_with_version(capture, mask)[0]


def judge_with_version(capture: Path, mask: int = 0x07) -> tuple[list[Flagged], str]:
    """The verdicts, and which nDPI and nfstream gave them."""
    head, *lines = run(capture, mask)
    return [_verdict(line) for line in lines], f"nDPI {head['ndpi']}, nfstream {head['nfstream']}"


def run(capture: Path, mask: int) -> list[dict[str, Any]]:
    """The program's lines: one about itself, then one for each flow."""
    program = python()
    if program is None:
        raise NoNdpi(missing())
    argv = [str(program), "-I", str(_SCRIPT), str(capture), f"{mask:#04x}"]
    process = processes.spawn(argv, name="nDPI", env={"PATH": os.defpath, "HOME": "/nonexistent"})
    try:
        code, output = process.finish(_SECONDS)
    except processes.NotReady as error:
        raise NoNdpi(str(error)) from error
    finally:
        process.kill()
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if code or not lines:
        raise NoNdpi(f"nDPI ended with {code}: {output.strip()[-2000:]}")
    return [json.loads(line) for line in lines]


def _verdict(line: dict[str, Any]) -> Flagged:
    client, server = (_place(*line[end]) for end in ("client", "server"))
    flagged = bool(line["obfuscated"])
    application = str(line["application"])
    why = f"{application}, obfuscated" if flagged else application
    return Flagged(
        flow=f"{line['protocol']} {client} > {server}",
        host=server,
        flagged=flagged,
        why=why,
        judged=line["protocol"] in ("tcp", "udp"),
        began=float(line["began"]),
        details={"application": application, "packets": line["packets"], "ndpi_ja4": line["ja4"] or None},
    )


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
