"""One engine in a process of its own: ``python -m rozaneh.bench.subject CONFIG.json``.

The interpreter sleeps in the kernel once the engine runs, so the process's CPU time is the engine's. It says ``ready``
on stdout when it accepts and ends when it is told to.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main(path: Path) -> None:
    """Run the engine with the document at ``path`` until SIGTERM."""
    from rozaneh.engine import _native

    stop = {signal.SIGTERM, signal.SIGINT}
    # Before the engine's threads exist, so that they inherit it and the signals come here.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    engine = _native.Engine(path.read_text(encoding="utf-8"))
    engine.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.sigwait(stop)
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
