"""What a line does to packets: delay, jitter, rate with a queue, loss alone or in bursts, reordering, or nothing back.

One model stands for one direction; two of them make an asymmetric line, one that is down makes a one-way line. Times
are raw monotonic seconds, as kernels have them. Parameters are the knobs X-12, X-14 and X-15 of the catalogue, which
gives ranges (0 to 10 % loss, 0 to 300 ms jitter, 50 to 400 ms more delay) and no source: they are a lab's choice.
"""

from __future__ import annotations

from random import Random

import msgspec


class LinkModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One direction of a line; the default is a perfect one.

    Attributes:
        delay_ms: How long every packet travels.
        jitter_ms: Up to how much longer, drawn evenly; packets keep their order.
        rate_kbit: How fast packets leave, whole packets with their IP header counted; 0 means at once.
        queue_packets: How many may wait for their turn at that rate; further ones are lost.
        loss: The share of packets lost on the way.
        loss_burst: How many packets in a row a loss takes on average; 1 means each is drawn alone.
        reorder: The share of packets that are held back so that the next ones overtake them.
        reorder_ms: For how long they are held back.
        mtu: Larger packets vanish without a word (a black hole of path MTU discovery); 0 means none do.
        up: Whether anything gets through at all.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_kbit: float = 0.0
    queue_packets: int = 1_000
    loss: float = 0.0
    loss_burst: float = 1.0
    reorder: float = 0.0
    reorder_ms: float = 10.0
    mtu: int = 0
    up: bool = True


class Link:
    """One direction of a line at work: says when each packet arrives, or that it does not."""

    def __init__(self, model: LinkModel, rng: Random) -> None:
        check(model)
        self._model = model
        self._rng = rng
        self._second_per_byte = 8 / (model.rate_kbit * 1_000) if model.rate_kbit else 0.0
        self._delay, self._jitter = model.delay_ms / 1_000, model.jitter_ms / 1_000
        # Gilbert's model with a bad state that loses everything: bursts of the wished mean length, and as many of them
        # as make the wished share. A mean of 1 is not i.i.d. in that model, so it is drawn apart.
        self._leave_bad = 1 / model.loss_burst
        self._enter_bad = model.loss * self._leave_bad / (1 - model.loss) if model.loss < 1 else 1.0
        self._bad = False
        self._sent_until = 0.0
        self._waiting: list[float] = []  # when each queued packet has left, a ring by `_first`
        self._first = 0
        self._last_arrival = 0.0
        self.lost = 0

    @property
    def perfect(self) -> bool:
        """Whether packets arrive when they are sent, all of them."""
        return self._model == LinkModel(queue_packets=self._model.queue_packets)

    def arrival(self, size: int, now: float) -> float | None:
        """When a packet of `size` bytes sent at raw time `now` arrives; None when it is lost."""
        model = self._model
        if not model.up or (model.mtu and size > model.mtu) or (model.loss and self._loses()):
            self.lost += 1
            return None
        leaves = now
        if self._second_per_byte:
            begins = max(now, self._sent_until)
            if begins > now and self._queued(now) >= model.queue_packets:
                self.lost += 1
                return None
            leaves = self._sent_until = begins + size * self._second_per_byte
            if begins > now:
                self._waiting.append(begins)
        arrives = leaves + self._delay
        if self._jitter:
            arrives += self._rng.random() * self._jitter
        if model.reorder and self._rng.random() < model.reorder:
            return arrives + model.reorder_ms / 1_000  # it alone is late: the next ones overtake it
        arrives = self._last_arrival = max(arrives, self._last_arrival)
        return arrives

    def _loses(self) -> bool:
        if self._model.loss_burst <= 1:
            return self._rng.random() < self._model.loss
        if self._bad:
            self._bad = self._rng.random() >= self._leave_bad
        else:
            self._bad = self._rng.random() < self._enter_bad
        return self._bad

    def _queued(self, now: float) -> int:
        """How many packets wait for their turn at `now`."""
        waiting, first = self._waiting, self._first
        while first < len(waiting) and waiting[first] <= now:
            first += 1
        if first > 1_024:
            del waiting[:first]
            first = 0
        self._first = first
        return len(waiting) - first


def check(model: LinkModel) -> None:
    """Refuses a model that means nothing: `ValueError` names the parameter."""
    for name in ("delay_ms", "jitter_ms", "rate_kbit", "reorder_ms", "mtu"):
        if getattr(model, name) < 0:
            raise ValueError(f"{name} of a link is {getattr(model, name):g}, it may not be below 0")
    for name in ("loss", "reorder"):
        if not 0 <= getattr(model, name) <= 1:
            raise ValueError(f"{name} of a link is {getattr(model, name):g}, it must lie between 0 and 1")
    if model.loss_burst < 1:
        raise ValueError(f"loss_burst of a link is {model.loss_burst:g}, it may not be below 1")
    if model.queue_packets < 1:
        raise ValueError(f"queue_packets of a link is {model.queue_packets}, it may not be below 1")
