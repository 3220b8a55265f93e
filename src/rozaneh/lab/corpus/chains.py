"""Certificate chains of several shapes under one throwaway root: sites differ in them, detectors see their size."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from rozaneh.lab.corpus.service import Certificate

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = datetime.timedelta(days=1)
# Leaf key, intermediates (each with its key), and names in the leaf besides its own, which make it long.
_SHAPES: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("ec", ("ec",), 2),
    ("ec", ("ec",), 40),
    ("ec", ("rsa",), 10),
    ("ec", ("rsa", "rsa"), 2),
    ("rsa", ("rsa",), 4),
    ("rsa", ("rsa",), 60),
    ("rsa", ("rsa", "rsa"), 3),
    ("rsa", ("rsa", "rsa"), 30),
    ("rsa", ("rsa", "rsa"), 80),
)


@dataclass(frozen=True, slots=True)
class Chains:
    """The leaves, the cover's first, and the root that clients trust."""

    leaves: list[Certificate]
    authority: Path


def make_chains(folder: Path, cover: str) -> Chains:
    """A chain of each shape; the first is the cover's."""
    folder.mkdir(parents=True, exist_ok=True)
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _sign("Corpus Root", "Corpus Root", root_key, root_key, authority=True)
    authority = folder / "root.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    leaves = []
    for number, (leaf_kind, middles, more) in enumerate(_SHAPES):
        name = cover if number == 0 else f"site-{number}.example"
        issuer, issuer_key = "Corpus Root", root_key
        chain: list[x509.Certificate] = []
        for depth, kind in enumerate(middles):
            key = _key(kind)
            subject = f"Corpus Intermediate {number}.{depth}"
            chain.insert(0, _sign(subject, issuer, key, issuer_key, authority=True))
            issuer, issuer_key = subject, key  # type: ignore[assignment]
        key = _key(leaf_kind)
        alternatives = [name, *(f"alternative-{index}.{name}" for index in range(more))]
        chain.insert(0, _sign(name, issuer, key, issuer_key, names=alternatives))
        path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
        path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
        key_path.touch(mode=0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        leaves.append(Certificate(name, str(path), str(key_path)))
    return Chains(leaves, authority)


def _key(kind: str) -> Key:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2_048)


def _sign(
    subject: str, issuer: str, key: Key, issuer_key: Key, *, authority: bool = False, names: list[str] | None = None
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
