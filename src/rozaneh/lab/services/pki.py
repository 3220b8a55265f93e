"""The world's own certificate authority: one root that the lab's browsers trust, and leaves for its sites.

A leaf straight under the root is small (0.7 kB with the root beside it), which is enough wherever nobody looks at
sizes. Who judges traffic does: a TLS server's first flight is mostly its chain. `Shape` makes the chains that sites on
the internet show.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
# CA/Browser Forum baseline requirements 6.3.2: at most 100 days from 2027 on; browsers check leaves of their own roots.
_LEAF_DAYS = 90


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Shape:
    """What a chain is made of.

    Attributes:
        leaf: The leaf's key: `ec` (P-256) or `rsa` (2,048 bits).
        intermediates: The authorities between root and leaf, the highest first, by their keys.
        names: Names in the leaf besides its own.
    """

    leaf: Literal["ec", "rsa"]
    intermediates: tuple[Literal["ec", "rsa"], ...]
    names: int = 0


# Three kinds of chain, as sites show them: elliptic curves only (2.1 kB in DER), RSA leaf and intermediate (4.4 kB,
# where the published centroids of detectors lie: ML-02), two intermediates and many names (5.1 kB).
SHAPES = {
    "small": Shape("ec", ("ec",), 28),
    "usual": Shape("rsa", ("rsa",), 70),
    "long": Shape("rsa", ("rsa", "rsa"), 60),
}


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate (with its chain) and its key lie."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates under a root of its own; `trusted` is what a browser's store gets."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(self._name, self._name, self._key.public_key(), days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(for_signing=True), critical=True)
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.trusted = folder / "authority.pem"
        self.trusted.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, shape: Shape | None = None) -> Files:
        """A certificate for the DNS name `name`, straight under the root or with a chain of this shape."""
        chain: list[x509.Certificate] = []
        issuer: x509.Name = self._name
        issuer_key: Key = self._key
        for depth, kind in enumerate(shape.intermediates if shape else ()):
            middle, middle_key = self._intermediate(f"{name} {depth}", kind, issuer, issuer_key)
            chain.insert(0, middle)
            issuer, issuer_key = middle.subject, middle_key
        key = _key(shape.leaf if shape else "ec")
        names = [name, *(f"alternative-{number}.{name}" for number in range(shape.names if shape else 0))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, issuer, key.public_key(), days=_LEAF_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
            .add_extension(_usage(for_signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        if shape:
            builder = _identified(builder, key, issuer_key)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        files = Files(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        shown = [certificate, *chain] if shape else [certificate, self._certificate]
        files.certificate.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in shown))
        files.key.touch(mode=0o600)
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def _intermediate(
        self, name: str, kind: Literal["ec", "rsa"], issuer: x509.Name, issuer_key: Key
    ) -> tuple[x509.Certificate, Key]:
        key = _key(kind)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lab Intermediates"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Lab Intermediate for {name}"),
            ]
        )
        builder = (
            _builder(subject, issuer, key.public_key(), days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(for_signing=True), critical=True)
        )
        return _identified(builder, key, issuer_key).sign(issuer_key, hashes.SHA256()), key


def size(files: Files) -> int:
    """The certificates of a chain in bytes, without the length fields of a Certificate message."""
    chain = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    return sum(len(one.public_bytes(serialization.Encoding.DER)) for one in chain)


def _key(kind: Literal["ec", "rsa"]) -> Key:
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65_537, 2_048)


def _identified(builder: x509.CertificateBuilder, key: Key, issuer_key: Key) -> x509.CertificateBuilder:
    """With what every certificate on the internet has besides, by the baseline requirements (7.1.2)."""
    place = x509.UniformResourceIdentifier("http://authority.example/issuer")
    return (
        builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)]),
            critical=False,
        )
        .add_extension(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint(full_name=[place], relative_name=None, reasons=None, crl_issuer=None)]
            ),
            critical=False,
        )
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _usage(*, for_signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=for_signing,
        crl_sign=for_signing,
        encipher_only=False,
        decipher_only=False,
    )
