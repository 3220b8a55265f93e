"""Chromium shows what a reader would see, trusts the world's authority alone, and says what went wrong."""

from __future__ import annotations

import os
import select
import shutil
from pathlib import Path

from rozaneh.lab import isolate, runner, scenarios, worlds
from rozaneh.lab.browser import chromium
from rozaneh.lab.browser.chromium import Chromium, Visit
from rozaneh.lab.runner import Result
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

WORLD = worlds.load("newsstand")
PNG = b"\x89PNG\r\n\x1a\n"


def test_no_flag_touches_certificates() -> None:
    assert not [flag for flag in chromium._FLAGS if "cert" in flag or "insecure" in flag or "ssl" in flag]


def test_genuine_pages_forged_certificates_and_closed_ports(tmp_path: Path) -> None:
    site = WORLD.sites[0]
    addresses = ["https://10.10.34.36/", "http://10.10.34.36/", "https://resolver.example/", "https://nowhere.example/"]

    def inside() -> list[Visit]:
        with Raised(WORLD) as world:
            internet = Internet(world)
            chromium.trust(world.reader, internet.authority)
            with Chromium(world.reader, "x") as browser:
                genuine = browser.open(f"https://{site.name}/", screenshot=tmp_path / "page.png")
                return [genuine, *(browser.open(address) for address in addresses)]

    genuine, stranger, plain, closed, unknown = isolate.run(inside)
    assert (genuine.error, genuine.status, genuine.secure) == ("", 200, True)
    assert site.text in genuine.text
    assert (tmp_path / "page.png").read_bytes().startswith(PNG)
    assert (stranger.error, stranger.secure) == ("net::ERR_CERT_AUTHORITY_INVALID", False)
    assert (plain.error, plain.secure) == ("", False)
    assert "restricted content" in plain.text
    assert closed.error == "net::ERR_CONNECTION_REFUSED"
    assert unknown.error == "net::ERR_NAME_NOT_RESOLVED"


def test_without_a_censor_every_page_of_the_control_scenario_works(tmp_path: Path) -> None:
    scenario = scenarios.load("no_censor")

    def inside() -> list[Result]:
        with Raised(WORLD, rules=scenario.rules) as world:
            internet = Internet(world)
            chromium.trust(world.reader, internet.authority)
            with Chromium(world.reader, "x") as browser:
                return runner.visit_all(world, scenario, "direct", browser, tmp_path, lambda _: None)

    results = isolate.run(inside)
    assert [result.verdict for result in results] == ["works"] * 4
    assert all(result.expected for result in results)
    shots = {(tmp_path / result.screenshot).read_bytes() for result in results}
    assert len(shots) == 4  # each site has a face of its own


def test_a_browser_that_is_closed_leaves_no_process() -> None:
    def inside() -> tuple[int, int]:
        with Raised(WORLD) as world:
            internet = Internet(world)
            chromium.trust(world.reader, internet.authority)
            with Chromium(world.reader, "x"):
                handles = [os.pidfd_open(pid) for pid in _browsers()]
            gone = 0
            for handle in handles:
                poller = select.poll()
                poller.register(handle, select.POLLIN)
                gone += bool(poller.poll(10_000))
            return len(handles), gone

    started, gone = isolate.run(inside)
    assert started > 1
    assert gone == started


def _browsers() -> list[int]:
    """Chromium's processes in this process-id namespace."""
    program = Path(shutil.which("chromium") or "").name
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in processes if Path(f"/proc/{pid}/comm").read_text().strip() == program]
