"""Chains of certificates have the sizes they are made for, and programs accept them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rozaneh.lab.services import pki

NAME = "blocked-news.example"
SIZES = {"small": (1_900, 2_500), "usual": (4_300, 4_600), "long": (4_900, 5_400)}


@pytest.mark.parametrize("shape", SIZES)
def test_a_chain_is_as_long_as_it_says_and_holds(shape: str, tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path / "authority", "Root")
    files = authority.issue(NAME, pki.SHAPES[shape])
    least, most = SIZES[shape]
    assert least <= pki.size(files) <= most
    assert verified(authority, files) == f"{files.certificate}: OK"


def test_without_a_shape_it_is_small(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path / "authority", "Root")
    files = authority.issue(NAME)
    assert pki.size(files) < 800
    assert verified(authority, files) == f"{files.certificate}: OK"


def verified(authority: pki.Authority, files: pki.Files) -> str:
    chain = str(files.certificate)
    argv = ["openssl", "verify", "-CAfile", str(authority.trusted), "-untrusted", chain]
    argv += ["-verify_hostname", NAME, "-purpose", "sslserver", chain]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
