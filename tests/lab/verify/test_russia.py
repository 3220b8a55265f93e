"""The topics about Russia hold with any seed, and fail where the rule is another one."""

from __future__ import annotations

import pytest

from rozaneh.lab import rules
from rozaneh.lab.verify import freeze, siberian, tspu
from rozaneh.lab.verify.base import Check


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("topic", [freeze, siberian, tspu])
def test_all_checks_hold(topic: object, seed: int) -> None:
    checks: list[Check] = list(topic.checks(seed))  # type: ignore[attr-defined]
    assert len(checks) >= 20
    assert [check for check in checks if not check.ok] == []
    assert all(check.source.startswith(("censors.md", "issue")) for check in checks)
    assert len({check.name for check in checks}) == len(checks)


@pytest.mark.parametrize(
    ("topic", "kind", "params"),
    [
        (freeze, "packet_freeze", {"packets": 26}),
        (freeze, "packet_freeze", {"transports": ["tcp"]}),
        (freeze, "packet_freeze", {"direction": "in"}),
        (freeze, "packet_freeze", {"spared": []}),
        (freeze, "byte_freeze", {"kilobytes": [10, 20]}),
        (siberian, "siberian", {"more_than": 2}),
        (siberian, "siberian", {"more_than": 4}),
        (siberian, "siberian", {"freeze_s": 118}),
        (siberian, "siberian", {"escalate_s": 590}),
        (siberian, "siberian", {"fingerprints": ["*_*"]}),
        (siberian, "siberian", {"gap_s": 0.3}),
        (tspu, "tspu_sni", {"residual_s": 60}),
        (tspu, "tspu_sni", {"passes": [4, 8]}),
        (tspu, "tspu_sni", {"split_handshake": False}),
        (tspu, "tspu_sni", {"records": "full"}),
        (tspu, "tspu_sni", {"established_s": 300}),
        (tspu, "ech", {"needs_extension": False}),
        (tspu, "ech", {"records": "none"}),
        (tspu, "policer", {"kbit_s": 160}),
        (tspu, "vpn_protocol", {"wireguard": 3}),
        (tspu, "vpn_protocol", {"openvpn": 16}),
        (tspu, "whitelist", {"failure": "drop_syn"}),
    ],
)
def test_a_rule_that_is_off_by_little_is_found(
    topic: object, kind: str, params: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = rules.censors.make

    def make(name: str, given: dict[str, object], rng: object) -> object:
        return genuine(name, {**given, **params} if name == kind else given, rng)  # type: ignore[arg-type]

    monkeypatch.setattr(rules.censors, "make", make)
    assert any(not check.ok for check in topic.checks(0))  # type: ignore[attr-defined]
