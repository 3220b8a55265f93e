"""One engine in a process of its own: `python -m rozaneh.lab.tell.standing CONFIG.json`.

It says `ready` when it accepts, writes its counters as one line of JSON when asked with SIGUSR1, and ends with SIGTERM.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path


def main(path: Path) -> int:
    """Runs the engine with the document at `path`."""
    from rozaneh.engine import _native

    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    # Before the engine's threads exist, so that they inherit it and the signals come here.
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    engine = _native.Engine(path.read_text(encoding="utf-8"))
    engine.start()
    _say("ready")
    while signal.sigwait(wanted) == signal.SIGUSR1:
        _say(engine.counters())
    engine.stop()
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
