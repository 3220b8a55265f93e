"""A reader's real visits to its edge: `python -m rozaneh.lab.tell.visiting CONFIG.json COUNT`.

Each is a connection of its own, to the end of authentication; what the engine says of it is written as a line of JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

_SECONDS = 10.0
_TAG = "way"


def main(path: Path, count: int) -> int:
    """Visits so many times."""
    from rozaneh.engine import _native

    engine = _native.Engine(path.read_text(encoding="utf-8"))
    engine.start()
    try:
        for _ in range(count):
            sys.stdout.write(engine.probe(_TAG, _SECONDS) + "\n")
    finally:
        engine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
