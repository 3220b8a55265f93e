"""The censors that come with the lab, by kind; each is one file, its parameters are data, its sources are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from rozaneh.lab.api import Censor, Params
from rozaneh.lab.censors.dns_forge import DnsForge
from rozaneh.lab.censors.http_block import HttpBlock
from rozaneh.lab.censors.ip_drop import IpDrop
from rozaneh.lab.censors.sni_reset import SniReset

KINDS: Mapping[str, Callable[[Params, Random], Censor]] = {
    "dns_forge": DnsForge,
    "http_block": HttpBlock,
    "ip_drop": IpDrop,
    "sni_reset": SniReset,
}


def make(kind: str, params: Params, rng: Random) -> Censor:
    """A censor of the kind called `kind`; `ValueError` says what is wrong with its name or parameters."""
    if kind not in KINDS:
        raise ValueError(f"there is no censor {kind!r}; there are: {', '.join(sorted(KINDS))}")
    return KINDS[kind](params, rng)
