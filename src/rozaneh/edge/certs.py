"""The edge's certificate: the operator's own files, or one the edge makes for itself and pins in its invites.

A self-made certificate looks like what `openssl req -x509` gives a small site: P-256, one name, the usual four
extensions, a random 20-byte serial number, a start some days ago and a life that people really type. Nothing in it is
shared between two edges.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import reason, write_private
from rozaneh.edge.layout import CERT, KEY, EdgeSettings
from rozaneh.ways.catalogue import encode_pin

_LIVES = (365, 730, 1095, 1825, 3650)  # days people give to `-days`
_AGE_DAYS = 40
_FILE_LIMIT = 256 * 1024  # a chain of ten certificates is 20 KiB


def make_certificate(directory: Path, host: str, now: int) -> None:
    """Write ``key.pem`` and then ``cert.pem`` for ``host``; what is there already stays.

    Raises:
        Fault: PERMISSION when they cannot be written.
    """
    if (directory / CERT).exists() and (directory / KEY).exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])  # RFC 5280: ub-common-name is 64
    start = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0) - datetime.timedelta(
        seconds=secrets.randbelow(_AGE_DAYS * 86400)
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=secrets.choice(_LIVES)))
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    write_private(directory / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(directory / CERT, certificate.public_bytes(Encoding.PEM))


def certificate_files(directory: Path, settings: EdgeSettings) -> tuple[Path, Path]:
    """The certificate chain and key the engine should load."""
    return settings.cert or directory / CERT, settings.key or directory / KEY


def load_chain(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file, the edge's own first.

    Raises:
        Fault: CONFIG when it cannot be read or holds none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
        if len(content) > _FILE_LIMIT:
            raise ValueError("it is far too large")
        return x509.load_pem_x509_certificates(content)
    except OSError as error:
        raise Fault(FaultKind.CONFIG, f"Could not read the certificate `{path}`", why=reason(error)) from error
    except ValueError as error:
        raise Fault(FaultKind.CONFIG, f"`{path}` holds no certificate in PEM") from error


def pin_of(directory: Path, settings: EdgeSettings) -> str | None:
    """The pin invites carry, or None where readers check the certificate by their systems' authorities.

    A certificate that signed itself can only be pinned. One from an authority is renewed with new keys, so a pin
    would cut readers off.
    """
    cert, _ = certificate_files(directory, settings)
    leaf = load_chain(cert)[0]
    if leaf.issuer != leaf.subject:
        return None
    return encode_pin(
        hashlib.sha256(leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    )


def check_pair(cert: Path, key: Path, host: str) -> None:
    """Refuse a certificate and key that cannot serve ``host`` before the edge is made.

    Raises:
        Fault: CONFIG when they do not belong together, or the certificate is for other names.
    """
    leaf = load_chain(cert)[0]
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except OSError as error:
        raise Fault(FaultKind.CONFIG, f"Could not read the key `{key}`", why=reason(error)) from error
    except (ValueError, TypeError) as error:
        raise Fault(
            FaultKind.CONFIG, f"`{key}` holds no usable key in PEM", hint="an encrypted key cannot be used"
        ) from error
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*spki) != leaf.public_key().public_bytes(*spki):
        raise Fault(FaultKind.CONFIG, "The certificate and the key do not belong together")
    if leaf.issuer != leaf.subject and not covers(leaf, host):
        raise Fault(FaultKind.CONFIG, "The certificate is not for the name given with `--host`")


def covers(leaf: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for ``host``: by its alternative names, the only ones browsers look at."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        return False
    return any(_fits(pattern.lower(), host) for pattern in names)


def _fits(pattern: str, host: str) -> bool:
    # RFC 6125 section 6.4.3: a star stands for the leftmost label alone.
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return pattern == host
