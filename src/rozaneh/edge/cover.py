"""What a stranger sees: from the operator's one word, or from what stands beside the edge, to the engine's cover.

By ``h2+reality`` a stranger is relayed to a real web server: the operator's own beside the edge, another site, or,
where there is neither, a site the edge serves itself on loopback.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from rozaneh.core.addresses import Endpoint
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.layout import EdgeSettings
from rozaneh.edge.neighbours import Look, Neighbour
from rozaneh.edge.visit import ML_DSA_RECORD, Visit, visit
from rozaneh.engine.config import Directory, Proxy, Stock

_BESIDE = 8443  # where web servers listen that may not have 443; written on the lines for the operator


def to_cover(cover: str | None) -> Stock | Directory | Proxy:
    """The engine's cover: a directory, the URL of a site, or a web server's stock page where nothing is given."""
    if cover is None:
        return Stock()
    if "://" in cover:
        return Proxy(url=cover)
    return Directory(path=cover)


def check_cover(settings: EdgeSettings) -> None:
    """Refuse a cover that cannot work before the edge is made.

    Raises:
        Fault: CONFIG.
    """
    cover = settings.cover
    if settings.borrowed is not None:
        if not settings.reality:
            raise Fault(
                FaultKind.CONFIG,
                "Only `h2+reality` can stand in front of a web server",
                hint="choose `--way h2+reality`, or give a directory or a URL to `--cover`",
            )
        _check_borrowed(settings, settings.borrowed)
    elif settings.post_quantum:
        raise Fault(
            FaultKind.CONFIG,
            "`--post-quantum` needs a web server with a long certificate chain",
            why="a site of the edge's own is not one" if settings.reality else "it is part of REALITY",
            hint="stand in front of one with `--way h2+reality --cover tls:HOST:PORT`, or leave it out",
        )
    elif cover is not None and "://" not in cover and not Path(cover).is_dir():
        raise Fault(
            FaultKind.CONFIG, f"The cover `{cover}` is not a directory", hint="give a directory or a URL to `--cover`"
        )


def settle(settings: EdgeSettings, way: str | None, look: Look) -> EdgeSettings:
    """The settings with everything decided that the operator left open.

    Args:
        settings: what was chosen.
        way: the way that was chosen, or None.
        look: finds the web servers on this machine.

    Raises:
        Fault: CONFIG when the operator's web server holds the port the edge is to have.
    """
    if settings.borrowed is not None:
        return replace(settings, way=way or "h2+reality")
    if settings.cover is not None or settings.cert is not None or way == "h2+tls":
        return replace(settings, way=way or "h2+tls")
    found = look(settings.host)
    holder = next((one for one in found if _holds(one, settings)), None)
    if holder is not None:
        raise _in_the_way(holder, settings)
    usable = next((one for one in found if one.found.borrowable), None)
    if usable is not None:
        return replace(settings, way="h2+reality", cover=f"tls:{usable.at}")
    return replace(settings, way=way or "h2+tls")


def resolve(site: str) -> Endpoint:
    """The address behind a borrowed site's ``HOST:PORT``.

    Raises:
        Fault: CONFIG when its name leads nowhere.
    """
    host, _, port = site.rpartition(":")
    try:
        return Endpoint.parse(site)
    except ValueError:
        pass  # a name
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        # `[::1]` and such were addresses; a name's first answer is the one any program would dial.
        address = str(found[0][4][0])
        return Endpoint.parse(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    except (OSError, ValueError, IndexError) as error:
        raise Fault(
            FaultKind.CONFIG,
            "The name of the cover's web server leads nowhere",
            hint="check the name, or give its address: `--cover tls:ADDR:PORT`",
        ) from error


def judge(found: Visit | None, *, post_quantum: bool) -> str | None:
    """Why a web server cannot be the cover, or None where it can."""
    if found is None:
        return "nothing there speaks TLS"
    if not found.for_name:
        return "its certificate is not for the name given with `--host`"
    if not found.borrowable:
        return "it does not speak TLS 1.3 with X25519"
    if post_quantum and found.largest_record < ML_DSA_RECORD:
        return f"its certificates take {found.largest_record} bytes, and ML-DSA signatures need {ML_DSA_RECORD}"
    return None


def _check_borrowed(settings: EdgeSettings, site: str) -> None:
    at = resolve(site)
    if at.port == settings.listen.port and (
        at.address in (settings.address, settings.listen.address)
        or (settings.listen.address.is_unspecified and at.address.is_loopback)
    ):
        raise Fault(FaultKind.CONFIG, "The edge cannot be its own cover", hint="give another port to `--cover`")
    why = judge(visit(at, settings.host), post_quantum=settings.post_quantum)
    if why is not None:
        raise Fault(
            FaultKind.CONFIG,
            "The web server given with `--cover` cannot be the cover",
            why=why,
            hint="correct its settings, or choose another one",
        )


def _holds(one: Neighbour, settings: EdgeSettings) -> bool:
    mine, theirs = settings.listen, one.bound
    return mine.port == theirs.port and (
        mine.address == theirs.address or mine.address.is_unspecified or theirs.address.is_unspecified
    )


def _in_the_way(one: Neighbour, settings: EdgeSettings) -> Fault:
    port = settings.listen.port
    beside = _BESIDE if port != _BESIDE else _BESIDE + 1
    lines = {
        "nginx": f"""in nginx's `server` block for {settings.host} put, in place of `listen {port} ssl;` and the like,

    listen 127.0.0.1:{beside} ssl;
    port_in_redirect off;

then run `systemctl reload nginx`""",
        "caddy": f"""put at the top of the Caddyfile (or into the block that is there)

    {{
        https_port {beside}
        servers {{
            protocols h1 h2
        }}
    }}

keep port {beside} closed to the outside, then run `systemctl reload caddy`""",
    }
    told = lines.get(one.found.software, f"let it listen on 127.0.0.1:{beside} instead")
    return Fault(
        FaultKind.CONFIG,
        f"Your web server has port {port}, which the edge needs to stand in front of it",
        why="beside the edge it is the best cover there is; its files are left to you",
        hint=f"{told}, and run this command again",
    )
