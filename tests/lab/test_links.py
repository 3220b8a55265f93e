"""Lines: what each parameter does to arrival times and losses, that order holds, and that the seed decides."""

from __future__ import annotations

from itertools import groupby, pairwise
from random import Random

import pytest

from rozaneh.lab.links import Link, LinkModel


def link(seed: int = 1, **model: object) -> Link:
    return Link(LinkModel(**model), Random(seed))  # type: ignore[arg-type]  # noqa: S311 - repeatability is the point


def arrivals(line: Link, count: int, *, every: float = 0.001, size: int = 1_500) -> list[float | None]:
    return [line.arrival(size, number * every) for number in range(count)]


def test_the_default_is_perfect() -> None:
    line = link()
    assert line.perfect
    assert arrivals(line, 3) == [0.0, 0.001, 0.002]
    assert not link(delay_ms=1).perfect
    assert not link(up=False).perfect


def test_delay_and_jitter_keep_the_order() -> None:
    assert arrivals(link(delay_ms=50), 2) == pytest.approx([0.05, 0.051])
    times = [when for when in arrivals(link(delay_ms=50, jitter_ms=30), 500) if when is not None]
    assert len(times) == 500
    assert all(a <= b for a, b in pairwise(times))
    late = [when - number * 0.001 - 0.05 for number, when in enumerate(times)]
    assert min(late) >= 0
    assert 0.02 < max(late) <= 0.03 + 1e-9


def test_a_rate_spaces_packets_out_and_its_queue_ends() -> None:
    line = link(rate_kbit=1_200, queue_packets=3)  # 1,500 bytes take 10 ms
    assert [line.arrival(1_500, 0.0) for _ in range(6)] == [
        pytest.approx(0.01),
        pytest.approx(0.02),
        pytest.approx(0.03),
        pytest.approx(0.04),  # one on the line and three waiting
        None,
        None,
    ]
    assert line.lost == 2
    assert line.arrival(1_500, 0.025) == pytest.approx(0.05)  # two have gone by now
    assert line.arrival(750, 1.0) == pytest.approx(1.005)


def test_a_rate_holds_over_a_long_time() -> None:
    line = link(rate_kbit=8_000, queue_packets=20)
    got = [when for when in arrivals(line, 20_000, every=0.0005, size=1_000) if when is not None]
    assert len(got) == pytest.approx(10_000, abs=25)  # 1,000 bytes a millisecond, in ten seconds
    assert line.lost + len(got) == 20_000


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 1.0), (0.1, 5.0), (0.02, 3.0)])
def test_losses_have_their_share_and_their_bursts(loss: float, burst: float) -> None:
    got = arrivals(link(loss=loss, loss_burst=burst), 60_000)
    assert got.count(None) / len(got) == pytest.approx(loss, rel=0.12)
    runs = [len(list(run)) for lost, run in groupby(when is None for when in got) if lost]
    mean = 1 / (1 - loss) if burst == 1 else burst
    assert sum(runs) / len(runs) == pytest.approx(mean, rel=0.1)


def test_a_line_that_is_down_or_too_narrow() -> None:
    assert arrivals(link(up=False), 3) == [None] * 3
    narrow = link(mtu=1_400)
    assert [narrow.arrival(size, 0.0) for size in (1_400, 1_401)] == [0.0, None]
    assert arrivals(link(loss=1.0), 3) == [None] * 3


def test_reordering_makes_the_next_ones_overtake() -> None:
    times = arrivals(link(reorder=0.1, reorder_ms=5, delay_ms=20), 5_000)
    late = [number for number, (a, b) in enumerate(pairwise(times)) if a is not None and b is not None and a > b]
    assert len(late) == pytest.approx(450, rel=0.2)  # a tenth, less those followed by another late one
    held = times[late[0]]
    assert held == pytest.approx(late[0] * 0.001 + 0.025)


def test_the_seed_decides() -> None:
    model = {"loss": 0.2, "loss_burst": 2.0, "jitter_ms": 5.0, "reorder": 0.05}
    assert arrivals(link(3, **model), 300) == arrivals(link(3, **model), 300)
    assert arrivals(link(3, **model), 300) != arrivals(link(4, **model), 300)


@pytest.mark.parametrize(
    "wrong", [{"delay_ms": -1}, {"loss": 1.1}, {"loss_burst": 0.5}, {"queue_packets": 0}, {"reorder": -0.1}]
)
def test_a_line_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        link(**wrong)
