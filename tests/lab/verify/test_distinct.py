"""Profiles differ where the catalogue says that they do, and two that are the same are told so."""

from __future__ import annotations

import pytest

from rozaneh.lab import profiles
from rozaneh.lab.verify import distinct
from rozaneh.lab.verify._probes import OVER_IPV6, PROBES, runs
from rozaneh.lab.verify.distinct import NOBODY, Vector


@pytest.fixture(scope="module")
def table() -> dict[str, Vector]:
    return distinct.table(0)


def test_every_profile_differs_from_every_other_and_from_none(
    table: dict[str, Vector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "table", lambda seed: table)
    found = list(distinct.checks(0))
    assert [check for check in found if not check.ok] == []
    assert len(found) == len(profiles.names()) + 1
    assert len(table[NOBODY]) >= 40


def test_two_that_are_the_same_are_told_so(table: dict[str, Vector], monkeypatch: pytest.MonkeyPatch) -> None:
    twins = {**table, "cn-2025": table["cn-2023"]}
    monkeypatch.setattr(distinct, "table", lambda seed: twins)
    bad = {check.name.split()[0] for check in distinct.checks(0) if not check.ok}
    assert bad == {"cn-2023", "cn-2025"}


def test_nobody_in_the_way_disturbs_nothing(table: dict[str, Vector]) -> None:
    unusual = {met for met in table[NOBODY].values() if not met.lstrip("+").isdecimal() and met != "+"}
    assert unusual == {"never", "not probed"}


# What sources state outright, each about one probe over IPv4.
FACTS = [
    ("ir-2020", "listed name cut in two segments", "+6", "SIGCOMM 2020: not put together"),
    ("ir-2020", "request for a listed host, another port", "+5", "IMC 2017: port 80 only"),
    ("ir-2024", "request for a listed host, another port", "+3-p<R<-", "IRBlock 3.2: every port"),
    ("ir-2024", "request for a listed host, verb in small letters", "+5", "FOCI 2025: case-sensitive"),
    ("ir-2024", "query for a listed name, no resolver there", "-u<+", "IRBlock: any address"),
    ("ir-2024", "same ports after a listed name", "-5", "WOOT 2021: 4-tuple, null route"),
    ("ir-2024", "new port after a listed name", "+5", "WOOT 2021: 4-tuple"),
    ("ir-2025-06-stage1", "QUIC, open name", "-4", "#648: QUIC off first"),
    ("ir-2025-06-stage3", "echo request", "-", "arXiv 2507.14183: three protocols cross"),
    ("ir-2025-06-stage3", "open name", "+5", "arXiv 2507.14183: port 443 crosses"),
    ("ir-2025-06-stage4", "allowed name at an allowed address", "+5", "catalogue section 11: but allow prefixes"),
    ("ir-2026-null", "query for an open name, another resolver", "-2", "#586: selected resolvers"),
    ("ir-2026-null", "query for a name of 120 characters", "-+", "slipstream#16: 102 is dropped"),
    ("ir-2026-whitelist", "open name", "+5", "#630: every other name passes"),
    ("ru-2022", "listed name", "+4~", "RU-01: the next server packet is rewritten"),
    ("ru-2022", "name of the fourth list", "+3-2", "RU-04: the ClientHello is dropped"),
    ("ru-2022", "connection begun outside", "+4", "RU-01: inside-initiated only"),
    ("ru-2022", "QUIC, listed name behind a decoy", "+5", "RU-05: any other first datagram"),
    ("ru-2025-mobile", "open name", "+3-2", "#516: the SYN passes, the ClientHello does not"),
    ("ru-2026-06", "forty packets of TLS, suspected network", "+25-19", "RU-08: 25 packets"),
    ("ru-2026-06", "forty packets of SSH, suspected network", "+44", "#490: SSH is exempt"),
    ("ru-2026-06", "forty packets of TLS with an allowed name, suspected network", "+44", "#546: listed names"),
    ("ru-2026-06", "five connections of one browser at once", "+18-2+3-2", "RU-11: more than three"),
    ("cn-2023", "opaque first payloads, forty connections", "sometimes", "CN-05: p = 0.263"),
    ("cn-2025", "opaque first payloads, forty connections", "never", "CN-05 ceased in March 2023"),
    ("cn-2023", "listed name cut in two records", "+5", "SP 2025, CCS 2023: records are not joined"),
    ("cn-2023", "query for a listed name", "+u<+", "CN-01: on the path, the true answer arrives"),
    ("cn-2025", "QUIC, listed name", "+2-+", "CN-06: the trigger passes, then client to server"),
    ("cn-2025", "QUIC, listed name, low source port", "+4", "CN-06: source port above"),
    ("cn-henan", "listed name without a SYN", "+R<", "CN-04: stateless, one RST+ACK to the client"),
    ("cn-henan", "name of the province's list", "+5", "CN-04: any option exempts"),
]


@pytest.mark.parametrize(("profile", "probe", "met", "source"), FACTS)
def test_a_stated_fact_holds(table: dict[str, Vector], profile: str, probe: str, met: str, source: str) -> None:
    assert table[profile][f"{probe}, IPv4"] == met, source


def test_where_ipv6_is_withdrawn_nothing_of_it_gets_out(table: dict[str, Vector]) -> None:
    for name in profiles.names():
        open_page = table[name]["open name, IPv6"]
        if profiles.load(name).ipv6 == "withdrawn":
            assert open_page == "-5"
            assert table[name]["allowed name at an allowed address, IPv6"] == "-5"
        else:
            assert open_page == table[name]["open name, IPv4"]


def test_the_smaller_set_over_ipv6_is_of_the_whole_one() -> None:
    assert set(PROBES) > OVER_IPV6


def test_runs_are_counted() -> None:
    assert runs("+++-r<++") == "+3-r<+2"
    assert runs("") == ""
