"""How a way becomes an upstream of the engine, and which browsers the engine has to know for it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.data import browsers
from rozaneh.data.browsers.schema import Browser
from rozaneh.engine.config import H2Upstream, RealitySecurity, Socks5Upstream, TlsSecurity, Upstream, VlessUpstream
from rozaneh.fleet.credentials import Credentials
from rozaneh.ways.catalogue import DEFAULT_LOOK
from rozaneh.ways.grammar import Layer, Way


def to_upstream(
    way: Way, tag: str, credentials: Credentials | None, ca_file: str | None = None, clock_offset: int = 0
) -> Upstream:
    """The engine's upstream for ``way``; credentials written in the way itself come first.

    Args:
        way: what is dialled.
        tag: its name in the engine's document.
        credentials: the invite's.
        ca_file: roots to trust instead of the system's, where the way carries no pin.
        clock_offset: seconds by which REALITY's timestamp is corrected; nothing else believes it.

    Raises:
        Fault: UNSUPPORTED for a composition the engine cannot run; CONFIG when credentials are missing.
    """
    if len(way.layers) != 1:
        raise Fault(FaultKind.UNSUPPORTED, "This version cannot join layers into one way")
    layer = way.last
    address, name = layer.get("address") or "", layer.get("name") or ""
    if layer.transport.name == "vless+reality":
        vless_id = layer.get("id") or (credentials.vless_id.reveal() if credentials else None)
        if vless_id is None:
            raise Fault(FaultKind.CONFIG, "A way has no credentials")
        return VlessUpstream(
            tag=tag,
            address=address,
            server_name=name,
            id=vless_id,
            look=look_of(way),
            security=_reality(layer, clock_offset),
        )
    user, password = layer.get("user"), layer.get("password")
    if user is None and credentials is not None:
        user, password = credentials.user.reveal(), credentials.password.reveal()
    if user is None or password is None:
        raise Fault(FaultKind.CONFIG, "A way has no credentials")
    if layer.transport.name == "socks5":
        return Socks5Upstream(tag=tag, address=address, user=user, password=password)
    reality = layer.transport.name == "h2+reality"
    return H2Upstream(
        tag=tag,
        address=address,
        server_name=name,
        user=user,
        password=password,
        look=look_of(way),
        security=_reality(layer, clock_offset) if reality else TlsSecurity(pin=layer.get("pin"), ca_file=ca_file),
        carriers=int(layer.get("carriers") or "1"),
    )


def _reality(layer: Layer, clock_offset: int) -> RealitySecurity:
    return RealitySecurity(
        public_key=layer.values["key"],
        short_id=layer.values["short"],
        mldsa65=layer.get("mldsa"),
        clock_offset_s=clock_offset,
    )


def look_of(way: Way) -> str:
    """The browser profile a way is dialled with.

    A roster may name a browser that this installation has not got yet: then the default one is used, for a reader with
    last month's look is better off than one without a way.
    """
    look = way.last.get("look") or DEFAULT_LOOK
    return look if look in browsers.names() else DEFAULT_LOOK


def looks(upstreams: Iterable[Upstream]) -> dict[str, Browser]:
    """The browser profiles that these upstreams name, each checked against its publisher's signature.

    Raises:
        Fault: USAGE where there is no such profile, INTEGRITY where it is not what its publisher signed.
    """
    names = {upstream.look for upstream in upstreams if isinstance(upstream, H2Upstream | VlessUpstream)}
    return {name: _profile(name) for name in sorted(names)}


@lru_cache(maxsize=8)
def _profile(name: str) -> Browser:
    return browsers.load(name)
