"""Addresses have one spelling, and only those of the open internet count as global."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.core import addresses as a

GLOBAL = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1"]
NOT_GLOBAL = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.5",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("text", GLOBAL)
def test_global(text: str) -> None:
    assert a.is_global(a.parse_address(text))


@pytest.mark.parametrize("text", NOT_GLOBAL)
def test_not_global(text: str) -> None:
    assert not a.is_global(ipaddress.ip_address(text))


def test_mapped_is_not_global() -> None:
    assert not a.is_global(ipaddress.ip_address("::ffff:8.8.8.8"))


@pytest.mark.parametrize(
    "text",
    [
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4.",
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        "::0:1",
        "0:0::1",
        "2A00:1450::1",
        "fe80::1%eth0",
        "::ffff:1.2.3.4",
        "[::1]",
        "",
        "localhost",
        "１.2.3.4",  # noqa: RUF001
    ],
)
def test_only_the_canonical_spelling_of_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="address") as caught:
        a.parse_address(text)
    assert not text.strip() or text.strip() not in str(caught.value)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_endpoints_round_trip(address: a.Address, port: int) -> None:
    endpoint = a.Endpoint(address, port)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        with pytest.raises(ValueError, match="address"):
            a.Endpoint.parse(str(endpoint))
    else:
        assert a.Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:080",
        "1.2.3.4:+80",
        "::1:80",
        "[1.2.3.4]:80",
        ":80",
        "host:80",
    ],
)
def test_endpoints_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"ADDRESS:PORT|address"):
        a.Endpoint.parse(text)


@pytest.mark.parametrize("text", ["news.example", "a", "xn--80ak6aa92e.com", "a-b.c_d.e1", "x" * 63 + ".com", "1x.com"])
def test_hosts(text: str) -> None:
    assert a.check_host(text) == text


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "A.b", "аpple.com", "a b", "a\r\nb", "a\x00b", "a/b", "a:1", "user@a"]  # noqa: RUF001, RUF005
    + ["x" * 64 + ".com", "a." * 127 + "aa", "127.0.0.1", "1.2", "0x7f.1", "1.0x0", "a.0", "[::1]", "ｎews.example"],  # noqa: RUF001
)
def test_hosts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"host name|address"):
        a.check_host(text)


def test_networks() -> None:
    assert str(a.parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(a.parse_network("127.0.0.1")) == "127.0.0.1/32"
    for text in ("10.0.0.1/8", "10.0.0.0/255.0.0.0", "10/8", "", "x", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=r"network|prefix"):
            a.parse_network(text)


def test_local_addresses_know_loopback() -> None:
    assert ipaddress.ip_address("127.0.0.1") in a.local_addresses()


def test_usable() -> None:
    assert a.is_usable(a.parse_address("127.0.0.1"))
    for text in ("0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"):  # noqa: S104
        assert not a.is_usable(a.parse_address(text))
