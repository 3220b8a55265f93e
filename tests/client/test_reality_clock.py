"""A reader whose clock is wrong, and an edge behind REALITY: told, and connected."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from rozaneh.client.localproxy import LocalProxy
from rozaneh.client.runtime import ClientRuntime, Ready
from rozaneh.core.clock import SystemClock
from rozaneh.engine.config import EngineConfig, H2Upstream, PeerCred, RealitySecurity
from rozaneh.engine.engine import Engine
from rozaneh.fleet.invites import decode
from tests.client.test_reality import edge, web
from tests.programs import page


class WrongClock:
    """The clock of a device that is behind."""

    def __init__(self, behind: int) -> None:
        self._behind, self._real = behind, SystemClock()

    def now(self) -> int:
        """What the device believes."""
        return self._real.now() - self._behind

    def monotonic(self) -> float:
        """Steady time."""
        return self._real.monotonic()


@pytest.mark.parametrize("behind", [7200, -7200])
def test_a_reader_whose_clock_is_wrong_is_told_and_connected(
    tmp_path: Path, behind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine reads the system's clock, which is right here; so what the device believes is taken off its offset."""
    offsets: list[int] = []

    class Device(Engine):
        def __init__(self, config: EngineConfig) -> None:
            super().__init__(self.believing(config))

        def reload(self, config: EngineConfig) -> None:
            super().reload(self.believing(config))

        @staticmethod
        def believing(config: EngineConfig) -> EngineConfig:
            changed = []
            for upstream in config.upstreams:
                assert isinstance(upstream, H2Upstream)
                assert isinstance(upstream.security, RealitySecurity)
                offsets.append(upstream.security.clock_offset_s)
                believed = msgspec.structs.replace(
                    upstream.security, clock_offset_s=upstream.security.clock_offset_s - behind
                )
                changed.append(msgspec.structs.replace(upstream, security=believed))
            return msgspec.structs.replace(config, upstreams=changed)

    with web(tmp_path) as nginx, edge(tmp_path, nginx.name) as world:
        monkeypatch.setenv("SSL_CERT_FILE", str(nginx.authority))  # the cover is believed by a browser's rules
        warned: list[str] = []
        runtime = ClientRuntime(
            tmp_path / "reader",
            decode(world.link.decode()),
            lambda _: LocalProxy(f"unix:{tmp_path}/proxy", PeerCred()),
            clock=WrongClock(behind),
            engine=Device,
            warn=warned.append,
        )

        def fetch(at: Ready) -> bytes:
            with socket.socket(socket.AF_UNIX) as proxy:
                proxy.settimeout(20)
                proxy.connect(str(tmp_path / "proxy"))
                proxy.sendall(
                    f"GET http://127.0.0.1:{world.site}/9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
                )
                text = b""
                while chunk := proxy.recv(4096):
                    text += chunk
                return text

        text = asyncio.run(runtime.run(lambda _: None, fetch))
        assert text is not None
        assert text.endswith(page(9))
    assert offsets[0] == 0
    assert abs(offsets[-1] - behind) <= 2
    assert [
        line for line in warned if f"{'behind' if behind > 0 else 'ahead'} by 2 hours" in line or "119 minutes" in line
    ]
