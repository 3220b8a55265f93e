"""Who may sign: one form, every rotation signed twice, the newest key alone, so many of several."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from rozaneh.core import issuer
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.keys import SigningKey, fingerprint

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in range(1, 7)]
PUBLIC = [key.public() for key in KEYS]
LINES = [issuer.key_line(public) for public in PUBLIC]


def chain(*keys: SigningKey) -> str:
    lines = [issuer.key_line(keys[0].public())]
    lines += [issuer.rotation_line(old, new) for old, new in itertools.pairwise(keys)]
    return "\n".join(lines) + "\n"


def refused(text: str) -> str:
    with pytest.raises(Fault) as caught:
        issuer.parse(text)
    assert caught.value.kind is FaultKind.INTEGRITY
    return caught.value.why


def test_a_key_is_an_issuer() -> None:
    found = issuer.parse(LINES[0])
    assert found == issuer.of_key(PUBLIC[0])
    assert found.text == LINES[0] + "\n"
    assert found.words == fingerprint(PUBLIC[0])
    assert found.accepts([PUBLIC[1], PUBLIC[0]])
    assert not found.accepts([PUBLIC[1]])
    assert not found.accepts([])


def test_only_the_newest_key_of_a_chain_counts() -> None:
    found = issuer.parse(chain(*KEYS[:3]))
    assert found.text == chain(*KEYS[:3])
    assert [found.accepts([public]) for public in PUBLIC[:4]] == [False, False, True, False]
    assert [found.retired([public]) for public in PUBLIC[:4]] == [True, True, False, False]
    assert found.words == fingerprint(PUBLIC[2])


def test_a_policy_counts_members_not_signatures() -> None:
    text = "rozaneh-policy:1:2\n" + chain(KEYS[0], KEYS[1]) + LINES[2] + "\n" + LINES[3] + "\n"
    found = issuer.parse(text)
    assert (found.threshold, len(found.members), found.text) == (2, 3, text)
    assert found.accepts([PUBLIC[1], PUBLIC[3]])
    assert not found.accepts([PUBLIC[0], PUBLIC[1]])
    assert not found.accepts([PUBLIC[3], PUBLIC[3]])
    assert found.words not in {fingerprint(public) for public in PUBLIC}
    assert found.words != issuer.parse(text.replace(":1:2", ":1:3", 1)).words


def test_what_is_not_in_its_one_form_is_refused() -> None:
    good = chain(*KEYS[:2])
    rotation = good.splitlines()[1]
    swapped = ":".join(rotation.split(":")[:3] + rotation.split(":")[:2:-1])
    bad = [
        "",
        "\n",
        LINES[0] + "=",
        LINES[0][:-1],
        LINES[0] + "A",
        LINES[0].replace(":1:", ":2:"),
        " " + LINES[0],
        f"{LINES[0]}\n{LINES[1]}",
        f"rozaneh-policy:1:1\n{LINES[0]}",
        f"rozaneh-policy:1:3\n{LINES[0]}\n{LINES[1]}",
        f"rozaneh-policy:1:0\n{LINES[0]}\n{LINES[1]}",
        f"rozaneh-policy:1:02\n{LINES[0]}\n{LINES[1]}",
        f"rozaneh-policy:1:1\n{LINES[0]}\n{LINES[0]}",
        rotation,
        f"{LINES[2]}\n{rotation}",
        f"{LINES[0]}\n{swapped}",
        f"{LINES[0]}\n{rotation}:x",
        f"{LINES[0]}\n{rotation}\n{rotation}",
        f"{good}{issuer.rotation_line(KEYS[1], KEYS[0])}",
        "rozaneh-policy:1:1\n" + "\n".join(issuer.key_line(bytes([n]) * 32) for n in range(17)),
        "ключ",
    ]
    for text in bad:
        assert refused(text), text


def test_a_bit_of_a_rotation_cannot_be_changed() -> None:
    head, rotation = chain(*KEYS[:2]).splitlines()
    for at in range(len(issuer.ROTATION_LINE), len(rotation)):
        if rotation[at] != ":":
            other = "B" if rotation[at] == "A" else "A"
            refused(f"{head}\n{rotation[:at]}{other}{rotation[at + 1 :]}\n")


def test_an_issuer_is_given_as_a_line_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "chain").write_text(chain(*KEYS[:2]))
    assert issuer.load(str(tmp_path / "chain")).accepts([PUBLIC[1]])
    assert issuer.load(LINES[0]).accepts([PUBLIC[0]])
    with pytest.raises(Fault) as caught:
        issuer.load(str(tmp_path / "none"))
    assert caught.value.kind is FaultKind.USAGE
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    with pytest.raises(Fault, match="whole issuer"):
        issuer.load(str(tmp_path / "odd"))


def test_a_key_does_not_hand_over_to_itself() -> None:
    with pytest.raises(Fault):
        issuer.rotation_line(KEYS[0], KEYS[0])
