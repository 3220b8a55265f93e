"""Who may use the edge: one account for each invite, of whose credentials only SHA-256 digests are kept.

The order of things is the promise: an account is on disk before its link exists anywhere else, and a revocation is on
disk before anybody is told. Revoking deletes the digests, so no mistake can bring an account back.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.clock import Clock
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey
from rozaneh.core.redact import Sensitive
from rozaneh.edge.certs import pin_of
from rozaneh.edge.database import Database, as_int, as_text
from rozaneh.edge.layout import ISSUER_KEY, EdgeSettings
from rozaneh.edge.reality import load_keys
from rozaneh.engine.config import User
from rozaneh.fleet.credentials import SECRET_BYTES, derive
from rozaneh.fleet.invites import Invite, encode
from rozaneh.ways.grammar import Way, make

DEFAULT_COMPARTMENT = "default"
_ID_BYTES = 5  # 40 bits: eight characters, never guessed because it opens nothing


@dataclass(frozen=True, slots=True)
class Account:
    """What the operator can know about an invite."""

    id: str
    note: str
    compartment: str
    created: int
    expires: int | None
    revoked: int | None

    def state(self, now: int) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


@dataclass(frozen=True, slots=True)
class NewInvite:
    """An account that is on disk, and the only copy of its link."""

    account: Account
    link: Sensitive[str]
    words: str


def edge_way(directory: Path, settings: EdgeSettings, *, invite: bool = False) -> Way:
    """The way by which readers reach this edge, as rosters say it, or as an invite has room for it.

    Raises:
        Fault: KEY when the REALITY keys are missing or damaged; CONFIG when the certificate is.
    """
    at = {"address": str(settings.public), "name": settings.host}
    if not settings.reality:
        return make("h2+tls", **at, pin=pin_of(directory, settings))
    keys = load_keys(directory)
    mldsa = None if invite else keys.mldsa65_key()
    return make("h2+reality", **at, key=keys.public_key(), short=keys.short_ids[0], mldsa=mldsa)


def create(
    directory: Path, settings: EdgeSettings, db: Database, clock: Clock, *, note: str = "", lifetime: int | None = None
) -> NewInvite:
    """A new account and its link; on disk before this returns.

    Raises:
        Fault: KEY when the issuer's key is missing; CONFIG when the link would be too long; FAILED when it cannot be
        stored.
    """
    issuer = SigningKey.load(directory / ISSUER_KEY).public()
    secret = secrets.token_bytes(SECRET_BYTES)
    invite = Invite(
        issuer=issuer,
        secret=Sensitive(secret),
        compartments=(DEFAULT_COMPARTMENT,),
        ways=(edge_way(directory, settings, invite=True),),
        local=settings.is_local,
    )
    link = encode(invite)
    credentials = derive(secret, issuer)
    user, password = credentials.digests()
    now = clock.now()
    account = Account(
        id="inv_" + base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode("ascii").lower(),
        note=note,
        compartment=DEFAULT_COMPARTMENT,
        created=now,
        expires=None if lifetime is None else now + lifetime,
        revoked=None,
    )
    with db.transaction() as write:
        write.execute(
            "INSERT INTO accounts (id, user_sha256, password_sha256, vless_sha256, compartment, note, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account.id,
                user,
                password,
                credentials.vless_digest(),
                account.compartment,
                account.note,
                account.created,
                account.expires,
            ),
        )
    return NewInvite(account, Sensitive(link), invite.words())


def revoke(db: Database, clock: Clock, account_id: str) -> bool:
    """Revoke an account, on disk before this returns; False when it was revoked before.

    Raises:
        Fault: USAGE when there is no such account; FAILED when it cannot be stored.
    """
    with db.transaction() as write:
        row = write.execute("SELECT revoked FROM accounts WHERE id = ?", (account_id,)).fetchone()
        if row is None:
            raise Fault(FaultKind.USAGE, "There is no invite with that id", hint="run `rozaneh invite list`")
        if row[0] is not None:
            return False
        write.execute(
            "UPDATE accounts SET revoked = ?, user_sha256 = NULL, password_sha256 = NULL, vless_sha256 = NULL"
            " WHERE id = ?",
            (clock.now(), account_id),
        )
    return True


def list_accounts(db: Database) -> list[Account]:
    """Every account, oldest first."""
    return [
        Account(
            id=as_text(row[0]),
            note=as_text(row[1]),
            compartment=as_text(row[2]),
            created=as_int(row[3]),
            expires=None if row[4] is None else as_int(row[4]),
            revoked=None if row[5] is None else as_int(row[5]),
        )
        for row in db.rows("SELECT id, note, compartment, created, expires, revoked FROM accounts ORDER BY created, id")
    ]


def active_users(db: Database, now: int) -> list[User]:
    """The accounts the engine should know right now."""
    rows = db.rows(
        "SELECT id, user_sha256, password_sha256, compartment, vless_sha256 FROM accounts"
        " WHERE revoked IS NULL AND (expires IS NULL OR expires > ?) ORDER BY id",
        (now,),
    )
    return [
        User(
            id=as_text(row[0]),
            user_sha256=as_text(row[1]),
            password_sha256=as_text(row[2]),
            compartment=as_text(row[3]),
            vless_sha256=None if row[4] is None else as_text(row[4]),
        )
        for row in rows
    ]


def next_expiry(db: Database, now: int) -> int | None:
    """When the next account expires, or None."""
    (row,) = db.rows("SELECT min(expires) FROM accounts WHERE revoked IS NULL AND expires > ?", (now,))
    return None if row[0] is None else as_int(row[0])
