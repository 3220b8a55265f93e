"""Secrets do not come out by accident, and small groups do not come out at all."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass

import pytest

from rozaneh.core.redact import HIDDEN, Sensitive, few

SECRET = "correct-horse"


@dataclass
class Holder:
    secret: Sensitive[str]


def test_no_way_of_making_text_shows_the_value() -> None:
    hidden = Sensitive(SECRET)
    texts = [str(hidden), repr(hidden), f"{hidden}", f"{hidden:>20}", "%s" % hidden, "{}".format(hidden)]  # noqa: UP031, UP032
    texts += [repr([hidden]), repr({"k": hidden}), repr(Holder(hidden)), str(Holder(hidden))]
    assert not [text for text in texts if SECRET in text]
    assert str(hidden) == HIDDEN


def test_it_cannot_be_written_by_pickle_or_json() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Sensitive(SECRET))
    with pytest.raises(TypeError):
        copy.deepcopy(Sensitive(SECRET))
    with pytest.raises(TypeError):
        json.dumps(Sensitive(SECRET))


def test_reveal_and_equality() -> None:
    assert Sensitive(SECRET).reveal() == SECRET
    assert Sensitive(SECRET) == Sensitive(SECRET)
    assert Sensitive(b"a") != Sensitive(b"b")
    assert Sensitive(SECRET) != SECRET
    assert len({Sensitive(SECRET), Sensitive(SECRET)}) == 1


@pytest.mark.parametrize(("count", "shown"), [(0, "<5"), (1, "<5"), (4, "<5"), (5, 5), (1000, 1000)])
def test_few(count: int, shown: int | str) -> None:
    assert few(count) == shown
