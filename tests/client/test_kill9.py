"""``kill -9`` at every write while a client persists a roster: the old one whole, or the new one whole."""

from __future__ import annotations

import sys
from pathlib import Path

from rozaneh.client import memory as mem
from rozaneh.core.files import private_dir
from rozaneh.fleet.roster import Highest
from tests.fleet.builders import invite
from tests.kills import deaths

OLD, NEW = (Highest(5, "old"), b"old document"), (Highest(6, "new"), b"new document" * 1000)

DRIVER = """
import sys
from pathlib import Path
from rozaneh.client import memory as mem
from rozaneh.fleet.invites import decode
from rozaneh.fleet.roster import Highest
where = Path(sys.argv[1])
invite = mem.stored_invite(where)
mem.remember_roster(where, mem.load(where), invite, Highest(6, "new"), b"new document" * 1000)
print("persisted", flush=True)
"""


def test_a_roster_is_persisted_whole_or_not_at_all(tmp_path: Path) -> None:
    where = private_dir(tmp_path / "state")
    mem.store_invite(where, invite())
    mem.remember_roster(where, mem.Memory(port=7), invite(), *OLD)
    kills = before = after = 0
    for death in deaths(where, tmp_path, lambda d: [sys.executable, "-c", DRIVER, str(d)]):
        kills += death.killed
        memory = mem.load(death.directory)
        seen = memory.seen[mem.key_of(invite())]
        assert (seen.highest(), seen.bytes()) in (OLD, NEW), death
        assert memory.port == 7, death
        before += seen.highest() == OLD[0]
        after += seen.highest() == NEW[0]
        if "persisted" in death.stdout:
            assert seen.highest() == NEW[0], death
    assert kills >= 4
    assert before >= 1
    assert after >= 1
