"""REALITY and VLESS with programs nobody here wrote: Xray, sing-box (with uTLS) and mihomo, in both roles.

The controls are their clients before their own servers: where one of those fails, the set-up is at fault and not we.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.interop.alone import report
from tests.interop.reality_world import COVER_PAGE, FINGERPRINTS, OTHER_LOOKS, served

X25519, HYBRID, P384 = 0x001D, 0x11EC, 0x0018
KINDS = tuple(FINGERPRINTS)
COVERS = ("nginx", "go")


@pytest.fixture(scope="module")
def world(peers: Path) -> dict[str, Any]:
    """Everything that was fetched, in one run."""
    return report("tests.interop.reality_world", str(peers))


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize("server", KINDS)
@pytest.mark.parametrize("client", KINDS)
def test_control_their_clients_and_their_servers(world: dict[str, Any], client: str, server: str, cover: str) -> None:
    case = f"{client} to {server} {cover}"
    assert world["fetched"][case] is served(case)


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize(
    ("client", "fingerprint"), [(kind, one) for kind, fingerprints in FINGERPRINTS.items() for one in fingerprints]
)
def test_their_clients_and_our_server(world: dict[str, Any], client: str, fingerprint: str, cover: str) -> None:
    assert world["fetched"][f"{client} {fingerprint} to us, {cover}"]


@pytest.mark.parametrize("server", [f"{kind} {cover}" for kind in KINDS for cover in COVERS])
def test_our_client_and_their_servers(world: dict[str, Any], server: str) -> None:
    assert world["fetched"][f"us to {server}"]


@pytest.mark.parametrize("browser", OTHER_LOOKS)
def test_every_browser_that_we_ship_is_taken_by_new_servers(world: dict[str, Any], browser: str) -> None:
    assert world["fetched"][f"us as {browser} to xray go"]


def test_both_orders_of_key_shares_and_both_groups(world: dict[str, Any]) -> None:
    """The hellos that our server met did differ as they should, and each got what the cover would choose."""
    plain, hybrid = world["shares"]["nginx"], world["shares"]["go"]
    for seen in (plain, hybrid):
        assert {offered[0] for offered, _ in seen} == {X25519, HYBRID}
        assert [X25519] in [offered for offered, _ in seen]
    # Debian's OpenSSL 3.0 does not know the hybrid group, Go does and prefers it.
    assert {chosen for _, chosen in plain} == {X25519}
    assert {(HYBRID in offered, chosen) for offered, chosen in hybrid} == {(True, HYBRID), (False, X25519)}


@pytest.mark.parametrize("case", [*(f"{kind} chrome to us, go" for kind in KINDS), *(f"us to {k} go" for k in KINDS)])
def test_a_large_page_beside_several_small_ones(world: dict[str, Any], case: str) -> None:
    assert world["loaded"][case]


@pytest.mark.parametrize(
    "case", ["xray chrome to us, go", "singbox chrome to us, go", "us to us", *(f"us to {kind} go" for kind in KINDS)]
)
def test_datagrams(world: dict[str, Any], case: str) -> None:
    """mihomo's client wraps datagrams in XUDP, which is a kind of multiplexing; the others can do without."""
    assert world["echoed"][case]


@pytest.mark.parametrize("case", ["us to us", "mihomo chrome to us, go", "us to singbox go", "us to mihomo go"])
def test_a_half_that_ends_leaves_the_other(world: dict[str, Any], case: str) -> None:
    """Xray at either end, and sing-box's local port, close both halves also among themselves."""
    assert world["halves"][case]


def test_inside_tls_with_the_servers_own_certificate(world: dict[str, Any]) -> None:
    assert world["fetched"]["us to singbox plain"]


@pytest.mark.parametrize("what", ["another short id", "another key", "another id", "another name", "a flow"])
@pytest.mark.parametrize("client", KINDS)
def test_who_knows_less_gets_nothing(world: dict[str, Any], client: str, what: str) -> None:
    assert not world["fetched"][f"{client} to us, {what}"]


def test_a_cover_that_asks_for_a_second_hello_answers_everybody_itself(world: dict[str, Any]) -> None:
    assert not any(world["fetched"][f"{kind} to us, retry"] for kind in KINDS)
    # The retry names the group it wants, and no handshake of ours ever follows.
    assert {chosen for _, chosen in world["shares"]["retry"]} == {P384}
    assert world["bytes_down"]["retry"] == 0


def test_everybody_else_meets_the_cover(world: dict[str, Any]) -> None:
    assert set(world["cover"].values()) == {COVER_PAGE}
    stages = {what: probe["stage"] for what, probe in world["probes"].items()}
    assert stages == {"right": "ok", "another short id": "cover", "another key": "cover", "another id": "auth"}


def test_what_was_fetched_was_counted(world: dict[str, Any]) -> None:
    """One person, one meter, whatever program: as many bytes for each page, and none for those who got nothing."""
    fetches = sum(len(fingerprints) for fingerprints in FINGERPRINTS.values())
    page, left = divmod(world["bytes_down"]["nginx"], fetches)
    assert left == 0
    assert 1_000 < page < 1_200


def test_mldsa65(world: dict[str, Any]) -> None:
    """Where a signature is demanded it is given and checked; who demands none is content; nobody takes another's."""
    fetched = world["fetched"]
    assert fetched["xray to us, mldsa"]
    assert fetched["xray to us, no mldsa"]
    assert not fetched["xray to us, another mldsa"]
    assert fetched["us to xray, mldsa"]
    assert fetched["us to xray long mldsa"]
    assert not fetched["us to xray, another mldsa"]
    assert fetched["us to us, mldsa"]


def test_a_tunnel_ends_with_its_user(world: dict[str, Any]) -> None:
    assert world["revoked"]


def test_nothing_else_was_served_or_refused(world: dict[str, Any]) -> None:
    """The table that `reality_table` writes has no other surprise in it."""
    assert {case for case, done in world["fetched"].items() if done is not served(case)} == set()
