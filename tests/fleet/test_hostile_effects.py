"""Reading hostile invites does nothing but read: no program, no socket, no file, little memory."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.programs import environment

# Audit events (PEP 578) that mean something left the parser. Imports open files for reading, so they are done before.
DRIVER = """
import json, resource, sys
from rozaneh.core.errors import Fault
from rozaneh.core.keys import words
from rozaneh.fleet.invites import decode
from tests.fleet import hostile
from tests.fleet.builders import invite
words(); invite().words()
rows = [(row.name, row.full()) for row in hostile.rows()]
seen, watching = [], True
WATCHED = ("open", "socket", "subprocess", "os", "exec", "compile", "import", "ctypes", "shutil")
def watch(event, args):
    if watching and event.split(".")[0] in WATCHED:
        seen.append([event, repr(args)[:80]])
sys.addaudithook(watch)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
accepted = []
for name, text in rows:
    try:
        decode(text)
        accepted.append(name)
    except Fault:
        pass
watching = False
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"seen": seen, "accepted": accepted, "rows": len(rows), "grown_kib": grown}))
"""


def test_nothing_happens() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], capture_output=True, text=True, env=environment(), timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rows"] >= 300
    assert found["accepted"] == []
    assert found["seen"] == []
    assert found["grown_kib"] <= 10 * 1024
