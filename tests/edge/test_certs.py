"""Certificates: ours look like a small site's and like nobody else's; the operator's are checked before they serve."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge import certs
from rozaneh.ways.catalogue import decode_pin
from tests.edge.conftest import MadeEdge

NOW = 1_800_000_000


def made(tmp_path: Path, host: str = "news.example") -> x509.Certificate:
    certs.make_certificate(tmp_path, host, NOW)
    return certs.load_chain(tmp_path / "cert.pem")[0]


def test_it_looks_like_an_ordinary_self_made_one(tmp_path: Path) -> None:
    leaf = made(tmp_path)
    assert leaf.subject == leaf.issuer
    assert [a.value for a in leaf.subject] == ["news.example"]
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.serial_number.bit_length() > 100
    assert leaf.version is x509.Version.v3
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert life.days in (365, 730, 1095, 1825, 3650)
    begin = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    assert datetime.timedelta() <= begin - leaf.not_valid_before_utc < datetime.timedelta(days=41)
    assert [extension.oid.dotted_string for extension in leaf.extensions] == [
        "2.5.29.14",
        "2.5.29.35",
        "2.5.29.19",
        "2.5.29.17",
    ]


def test_no_product_name_anywhere(tmp_path: Path) -> None:
    der = made(tmp_path).public_bytes(Encoding.DER).lower()
    for word in (b"rozaneh", b"python", b"cryptography", b"edge", b"proxy", b"localhost"):
        assert word not in der


def test_no_two_are_alike(tmp_path: Path) -> None:
    seen = []
    for number in range(12):
        where = tmp_path / str(number)
        where.mkdir()
        seen.append(made(where))
    assert len({leaf.serial_number for leaf in seen}) == 12
    assert len({leaf.not_valid_before_utc for leaf in seen}) > 6
    assert len({leaf.not_valid_after_utc - leaf.not_valid_before_utc for leaf in seen}) > 1


def test_a_long_name_fits_the_common_name(tmp_path: Path) -> None:
    host = "a" * 60 + "." + "b" * 39
    names = made(tmp_path, host).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]


def test_what_is_there_stays(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert made(tmp_path) == first
    (tmp_path / "cert.pem").unlink()
    assert made(tmp_path) != first


def test_the_pin_is_of_the_public_key(edge: MadeEdge) -> None:
    leaf = certs.load_chain(edge.directory / "cert.pem")[0]
    spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = certs.pin_of(edge.directory, edge.settings)
    assert pin is not None
    assert decode_pin(pin) == hashlib.sha256(spki).digest()


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.key = ec.generate_private_key(ec.SECP256R1())

    def issue(self, names: list[str], password: bytes | None = None) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Some Authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=90))
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
            )
        cert_path, key_path = self.where / "given.pem", self.where / "given.key"
        cert_path.write_bytes(builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return cert_path, key_path


@pytest.mark.parametrize("names", [["news.example"], ["*.example"], ["other.example", "News.Example"]])
def test_an_authoritys_certificate_is_taken_and_not_pinned(tmp_path: Path, edge: MadeEdge, names: list[str]) -> None:
    cert, key = Authority(tmp_path).issue(names)
    certs.check_pair(cert, key, "news.example")
    settings = replace(edge.settings, cert=cert, key=key)
    assert certs.certificate_files(edge.directory, settings) == (cert, key)
    assert certs.pin_of(edge.directory, settings) is None


@pytest.mark.parametrize("names", [["other.example"], ["*.news.example"], ["*.a.example"], []])
def test_a_certificate_for_other_names_is_refused(tmp_path: Path, names: list[str]) -> None:
    cert, key = Authority(tmp_path).issue(names)
    refused(cert, key)


def test_pairs_that_are_none(tmp_path: Path, edge: MadeEdge) -> None:
    cert, key = Authority(tmp_path).issue(["news.example"])
    refused(cert, edge.directory / "key.pem")
    refused(key, key)
    refused(cert, cert)
    refused(tmp_path / "missing", key)
    refused(cert, tmp_path / "missing")
    refused(*Authority(tmp_path).issue(["news.example"], password=b"secret"))


def refused(cert: Path, key: Path) -> None:
    with pytest.raises(Fault) as caught:
        certs.check_pair(cert, key, "news.example")
    assert caught.value.kind is FaultKind.CONFIG
