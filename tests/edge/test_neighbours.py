"""Web servers beside the edge are found by the kernel's table and one visit each."""

from __future__ import annotations

from pathlib import Path

from rozaneh.core.addresses import Endpoint
from rozaneh.edge.neighbours import _address, listening, neighbours
from tests.edge.sites import silent, site

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
TCP = """\
   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0ED7B85D:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0100007F:9C40 0100007F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
"""
TCP6 = """\
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 0 0
"""


def test_the_kernels_table(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(HEAD + TCP)
    assert {str(one) for one in listening(tmp_path)} == {"127.0.0.1:8443", "0.0.0.0:443"}
    (tmp_path / "tcp6").write_text(HEAD + TCP6)
    assert {str(one) for one in listening(tmp_path)} == {"127.0.0.1:8443", "0.0.0.0:443", "[::]:443", "[::1]:8080"}
    assert listening(tmp_path / "missing") == set()


def test_addresses_are_read_as_the_kernel_prints_them() -> None:
    # Little-endian machines, which is all we test on; the code asks the machine.
    assert str(_address("0100007F")) == "127.0.0.1"
    assert str(_address("B80D0120000000000000000001000000")) == "2001:db8::1"


def test_a_server_with_a_certificate_for_the_name_is_found_among_others(tmp_path: Path) -> None:
    mine = "only-here-for-this-test.example"
    with site(tmp_path, mine) as at, site(tmp_path, "news.example") as other, silent(b"220 mail\r\n") as mail:
        assert {at, other, mail} <= listening()
        (found,) = neighbours(mine)
        assert (found.bound, found.at, found.found.software) == (at, at, "nginx")
    assert neighbours(mine) == []
    assert isinstance(at, Endpoint)
