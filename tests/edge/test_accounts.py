"""Accounts: only digests stay, a revocation is final, and an expired account is not served."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge import accounts as a
from rozaneh.edge.database import Database
from rozaneh.fleet.invites import decode
from tests.edge.conftest import MadeEdge
from tests.programs import answer, run


def new(edge: MadeEdge, db: Database, **more: object) -> a.NewInvite:
    return a.create(edge.directory, edge.settings, db, edge.clock, **more)  # type: ignore[arg-type]


def everything_on_disk(edge: MadeEdge) -> bytes:
    return b"".join(path.read_bytes() for path in edge.directory.iterdir() if path.is_file())


def test_an_invite_leads_to_this_edge_and_its_user_is_known(edge: MadeEdge, db: Database) -> None:
    made = new(edge, db, note="aunt")
    invite = decode(made.link.reveal())
    assert invite.ways == (a.edge_way(edge.directory, edge.settings),)
    assert invite.words() == made.words == edge.made.words
    assert not invite.local
    (user,) = a.active_users(db, edge.clock.now())
    assert (user.user_sha256, user.password_sha256) == invite.credentials().digests()
    assert (user.id, user.compartment) == (made.account.id, invite.compartment)
    assert made.account.id.startswith("inv_")
    assert len(made.account.id) == 12


def test_neither_secret_nor_credentials_are_on_disk(edge: MadeEdge, db: Database) -> None:
    invite = decode(new(edge, db).link.reveal())
    disk = everything_on_disk(edge)
    mine = invite.credentials()
    for secret in (invite.secret.reveal(), invite.secret.reveal().hex().encode()):
        assert secret not in disk
    for text in (mine.user.reveal(), mine.password.reveal()):
        assert text.encode() not in disk
    assert mine.digests()[0].encode() in disk  # or this test would look in the wrong place


def test_a_link_does_not_show_itself(edge: MadeEdge, db: Database) -> None:
    made = new(edge, db)
    assert made.link.reveal() not in repr(made)


def test_revoking_is_final_repeatable_and_forgets_the_digests(edge: MadeEdge, db: Database) -> None:
    kept, lost = new(edge, db), new(edge, db)
    digest = decode(lost.link.reveal()).credentials().digests()[0].encode()
    assert a.revoke(db, edge.clock, lost.account.id)
    assert not a.revoke(db, edge.clock, lost.account.id)
    assert [user.id for user in a.active_users(db, edge.clock.now())] == [kept.account.id]
    states = {account.id: account.state(edge.clock.now()) for account in a.list_accounts(db)}
    assert states == {kept.account.id: "active", lost.account.id: "revoked"}
    db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    assert digest not in everything_on_disk(edge)


def test_nobody_else_can_be_revoked(edge: MadeEdge, db: Database) -> None:
    new(edge, db)
    for wrong in ("inv_aaaaaaaa", "", "%", "' OR 1=1 --"):
        with pytest.raises(Fault) as caught:
            a.revoke(db, edge.clock, wrong)
        assert caught.value.kind is FaultKind.USAGE
    assert len(a.active_users(db, edge.clock.now())) == 1


def test_expiry(edge: MadeEdge, db: Database) -> None:
    made = new(edge, db, lifetime=100)
    now = edge.clock.now()
    assert a.next_expiry(db, now) == now + 100
    assert len(a.active_users(db, now + 99)) == 1
    assert a.active_users(db, now + 100) == []
    assert a.next_expiry(db, now + 100) is None
    assert made.account.state(now + 100) == "expired"


def test_a_thousand_invites_are_a_thousand_users(edge: MadeEdge, db: Database) -> None:
    links = {new(edge, db).link.reveal() for _ in range(100)}
    users = a.active_users(db, edge.clock.now())
    assert len(links) == len(users) == len({user.user_sha256 for user in users}) == 100


def test_invites_made_at_the_same_moment_all_exist(edge: MadeEdge, db: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: run("invite", "new", "--dir", str(edge.directory), "--json"), range(8)))
    ids = {answer(done)["id"] for done in made}
    assert len(ids) == 8
    assert {account.id for account in a.list_accounts(db)} == ids


def test_the_schema_refuses_half_an_account(edge: MadeEdge, db: Database) -> None:
    new(edge, db)
    with pytest.raises(Fault), db.transaction() as write:
        write.execute("UPDATE accounts SET user_sha256 = NULL")
    with pytest.raises(Fault), db.transaction() as write:
        write.execute("UPDATE accounts SET revoked = 1")
    assert len(a.active_users(db, edge.clock.now())) == 1


def test_without_the_issuers_key_nothing_is_made(edge: MadeEdge, db: Database) -> None:
    (edge.directory / "issuer.key").unlink()
    with pytest.raises(Fault) as caught:
        new(edge, db)
    assert caught.value.kind is FaultKind.KEY
    assert a.list_accounts(db) == []


def test_local_edges_mark_their_invites(edge: MadeEdge, db: Database) -> None:
    from dataclasses import replace

    from rozaneh.core.addresses import parse_address

    edge.settings = replace(edge.settings, address=parse_address("10.0.0.1"))
    assert decode(new(edge, db).link.reveal()).local


def test_sqlite_is_new_enough_for_strict_tables() -> None:
    assert sqlite3.sqlite_version_info >= (3, 37)
