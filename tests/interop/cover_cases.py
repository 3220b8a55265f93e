"""Everything a stranger may say, as data, and the small site it is said to.

``CASES`` holds (name, raw bytes) for HTTP/1.x. Every conversation ends by the visitor's FIN, so that no test has to
wait for a keep-alive timeout. Where an answer says ``Connection: close`` the server must end it without being asked.
``H2_CASES`` holds requests of HTTP/2.
"""

from __future__ import annotations

from tests.interop import cover_cases_body, cover_cases_head
from tests.interop.cover_cases_h2 import GET2, H2_CASES, H2Case
from tests.interop.cover_site import HOST, LAST_MODIFIED, MTIME, build_site, get, noise, raw

__all__ = [
    "CASES",
    "GET2",
    "H2_CASES",
    "HOST",
    "LAST_MODIFIED",
    "MTIME",
    "H2Case",
    "build_site",
    "get",
    "noise",
    "raw",
]

CASES: list[tuple[str, bytes]] = [
    *cover_cases_head.methods(),
    *cover_cases_head.hosts_versions(),
    *cover_cases_head.uris(),
    *cover_cases_head.headers(),
    *cover_cases_body.conditions(),
    *cover_cases_body.encodings(),
    *cover_cases_body.bodies(),
    *cover_cases_body.connections(),
]
