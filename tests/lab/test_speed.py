"""The router's speed: what issue 4 asks for, in packets per second of its own CPU time, nothing lost."""

from __future__ import annotations

from rozaneh.lab import isolate, speed
from rozaneh.lab.packet import parse, transport_checksum_good

READER, SERVER, RESOLVER = "151.240.18.77", "185.146.21.20", "145.82.40.53"


def test_the_mixture_is_what_the_figure_is_about() -> None:
    packets = [(parse(raw, outbound), outbound) for raw, outbound in speed.traffic(READER, SERVER, RESOLVER)]
    whole = [(packet, outbound) for packet, outbound in packets if packet is not None]
    assert len(whole) == len(packets)
    udp = sum(packet.udp is not None for packet, _ in whole)
    assert 0.04 < udp / len(whole) < 0.06
    flows = {packet.flow_key() for packet, _ in whole}
    assert len(whole) / len(flows) <= speed.WANTED / 50 * 1.05  # 50 new ones a second at that rate, or more
    sizes = [len(packet.payload) for packet, _ in whole if packet.tcp]
    assert sizes.count(1_448) / len(sizes) > 0.6
    assert all(transport_checksum_good(packet) for packet, _ in whole[:500])


def test_the_router_carries_what_it_must() -> None:
    packets = speed.traffic(READER, SERVER, RESOLVER, rounds=20)
    best = 0.0
    for _ in range(3):  # a busy neighbour costs caches and clock speed even in CPU time
        found = isolate.run(lambda: speed.measure(speed.FULL, packets, 1.0))
        assert (found.errors, found.acts) == (0, 0)
        assert found.arrived == found.packets > 10_000
        best = max(best, found.packets_per_cpu_second)
        if best >= speed.WANTED:
            break
    assert best >= speed.WANTED
