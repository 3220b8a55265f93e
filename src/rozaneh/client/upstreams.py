"""How a way becomes an upstream of the engine."""

from __future__ import annotations

from collections.abc import Sequence

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.data import browsers
from rozaneh.data.browsers.schema import Browser
from rozaneh.engine.config import H2Upstream, Socks5Upstream, TlsSecurity, Upstream
from rozaneh.fleet.credentials import Credentials
from rozaneh.ways.catalogue import DEFAULT_LOOK
from rozaneh.ways.grammar import Way


def to_upstream(way: Way, tag: str, credentials: Credentials | None, ca_file: str | None = None) -> Upstream:
    """The engine's upstream for ``way``; credentials written in the way itself come first.

    Raises:
        Fault: UNSUPPORTED for a composition the engine cannot run; CONFIG when credentials are missing.
    """
    if len(way.layers) != 1:
        raise Fault(FaultKind.UNSUPPORTED, "This version cannot join layers into one way")
    layer = way.last
    user, password = layer.get("user"), layer.get("password")
    if user is None and credentials is not None:
        user, password = credentials.user.reveal(), credentials.password.reveal()
    address = layer.get("address") or ""
    if user is None or password is None:
        raise Fault(FaultKind.CONFIG, "A way has no credentials")
    if layer.transport.name == "socks5":
        return Socks5Upstream(tag=tag, address=address, user=user, password=password)
    return H2Upstream(
        tag=tag,
        address=address,
        server_name=layer.get("name") or "",
        user=user,
        password=password,
        carriers=int(layer.get("carriers") or "2"),
        look=layer.get("look") or DEFAULT_LOOK,
        security=TlsSecurity(pin=layer.get("pin"), ca_file=ca_file),
    )


def looks(upstreams: Sequence[Upstream]) -> dict[str, Browser]:
    """The browser profiles that these upstreams name, each checked against its publisher's signature.

    Raises:
        Fault: USAGE where there is no such profile, INTEGRITY where it is not the publisher's.
    """
    names = {upstream.look for upstream in upstreams if isinstance(upstream, H2Upstream)}
    return {name: browsers.load(name) for name in sorted(names)}
