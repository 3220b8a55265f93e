"""A reader's real visits to its edge: `python -m rozaneh.lab.tell.visiting CONFIG.json COUNT`.

Each is a connection of its own, to the end of authentication, by a process of its own: our client keeps a browser's
manners, and a browser neither connects anew for every visit nor more than twice a minute. What the engine says of each
is written as a line of JSON.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SECONDS = 10.0
_TAG = "way"


def visit(document: str, *, quiet: bool = False) -> int:
    """Forks a process whose engine visits once and, unless `quiet`, writes what came of it. Returns its id.

    Only for a process without threads: a fork takes none of them along.
    """
    from rozaneh.engine import _native

    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        engine = _native.Engine(document)
        engine.start()
        found = engine.probe(_TAG, SECONDS)
        engine.stop()
        if not quiet:
            sys.stdout.write(found + "\n")
            sys.stdout.flush()
        code = 0
    finally:
        os._exit(code)


def main(path: Path, count: int) -> int:
    """Visits so many times, one after the other."""
    document = path.read_text(encoding="utf-8")
    for _ in range(count):
        _, status = os.waitpid(visit(document), 0)
        if status:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
