"""The cover follows from one word, and a missing directory is found before the edge is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.cover import check_cover, to_cover
from rozaneh.engine.config import Directory, Proxy, Stock


def test_kinds() -> None:
    assert to_cover(None) == Stock()
    assert to_cover("/srv/www") == Directory(path="/srv/www")
    assert to_cover("https://site.example/") == Proxy(url="https://site.example/")


def test_a_directory_must_be_there(tmp_path: Path) -> None:
    check_cover(None)
    check_cover("https://site.example/")
    check_cover(str(tmp_path))
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(Fault) as caught:
            check_cover(str(wrong))
        assert caught.value.kind is FaultKind.CONFIG
