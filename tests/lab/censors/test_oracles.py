"""The published measurements of FET, QUIC and DNS hold here, for the seed that `lab verify` uses."""

from __future__ import annotations

import pytest

from rozaneh.lab.verify import dns, fet, quic


@pytest.mark.parametrize("topic", [dns, fet, quic], ids=lambda topic: topic.__name__.rpartition(".")[2])
def test_every_check_agrees_with_its_source(topic) -> None:
    made = list(topic.checks(0))
    assert len(made) >= 20
    assert [check for check in made if not check.ok] == []
    assert len({check.name for check in made}) == len(made)


def test_a_rule_that_is_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(quic.GFW, "tracking_s", 90.0)
    monkeypatch.setitem(quic.GFW, "check_tag", False)
    monkeypatch.setitem(quic.GFW, "truncated", True)
    wrong = [check.name for check in quic.checks(0) if not check.ok]
    assert any("61 s after a junk datagram" in name for name in wrong)
    assert any("payload 2" in name for name in wrong)
    monkeypatch.setitem(fet.EXEMPT, 8, 0.41)
    assert [check.name for check in fet.checks(0) if not check.ok] == [
        "random payloads of 8 bytes that an exemption lets pass"
    ]
