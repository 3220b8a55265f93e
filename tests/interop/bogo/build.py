"""Fetches and builds the runner: ``python -m tests.interop.bogo.build``.

Its source comes with crate ``btls-sys``, a packaging of BoringSSL; the keys that it embeds do not, and are made anew.
Nothing of it is ever committed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

CRATE = "btls-sys"
VERSION = "0.5.6"
#: SHA-256 of the packaged crate.
CHECKSUM = "9b1b8638a2e1c38a5ae4efa90ae57e643baec35a30d03fc5b399b893adc4954b"

MANIFEST = f"""[package]
name = "bogo-source"
version = "0.0.0"
edition = "2021"

[dependencies]
{CRATE} = "={VERSION}"

[workspace]
"""

_CURVE = ("EC", "ec_param_enc:named_curve")
#: What ssl/test/runner/runner.go embeds, and what ``openssl genpkey`` makes of it.
KEYS = {
    "rsa_2048_key.pem": ("RSA", "rsa_keygen_bits:2048"),
    "rsa_1024_key.pem": ("RSA", "rsa_keygen_bits:1024"),
    "ecdsa_p256_key.pem": (*_CURVE, "ec_paramgen_curve:prime256v1"),
    "ecdsa_p384_key.pem": (*_CURVE, "ec_paramgen_curve:secp384r1"),
    "ecdsa_p521_key.pem": (*_CURVE, "ec_paramgen_curve:secp521r1"),
    "ed25519_key.pem": ("ED25519",),
    "channel_id_key.pem": (*_CURVE, "ec_paramgen_curve:prime256v1"),
}


def _run(*argv: str, cwd: Path) -> str:
    done = subprocess.run(
        argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{argv[0]} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


def source(folder: Path) -> Path:
    """Where the unpacked crate is, once it is fetched and is the one we know.

    Raises:
        AssertionError: it cannot be fetched, or its contents are others.
    """
    project = folder / "fetch"
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "src" / "lib.rs").touch()
    (project / "Cargo.toml").write_text(MANIFEST)
    _run("cargo", "fetch", cwd=project)
    lock = (project / "Cargo.lock").read_text()
    found = re.search(rf'name = "{CRATE}"\nversion = "{VERSION}"\nsource = "[^"]*"\nchecksum = "([0-9a-f]+)"', lock)
    checksum = found[1] if found else None
    assert checksum == CHECKSUM, f"{CRATE} {VERSION} is not the crate whose tests are listed here"
    packages = json.loads(_run("cargo", "metadata", "--format-version", "1", "--offline", cwd=project))["packages"]
    manifest = next(package["manifest_path"] for package in packages if package["name"] == CRATE)
    return Path(manifest).parent


def build(folder: Path) -> Path:
    """The runner, built where it is not there yet."""
    runner = folder / f"runner-{VERSION}"
    if runner.exists():
        return runner
    boringssl = source(folder) / "deps" / "boringssl"
    copy = folder / "source"
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("ssl/test/runner", "util/testresult"):
        shutil.copytree(boringssl / part, copy / part)
    for part in ("go.mod", "go.sum"):
        shutil.copy(boringssl / part, copy / part)
    tests = copy / "ssl" / "test" / "runner"
    for name, (algorithm, *options) in KEYS.items():
        more = [word for option in options for word in ("-pkeyopt", option)]
        _run("openssl", "genpkey", "-algorithm", algorithm, *more, "-out", name, cwd=tests)
    # Renamed last, so that a build that was interrupted is never taken for a finished one.
    _run("go", "test", "-c", "-o", str(runner.with_suffix(".new")), ".", cwd=tests)
    os.replace(runner.with_suffix(".new"), runner)
    return runner


if __name__ == "__main__":
    build(Path(__file__).parents[3] / ".tools" / "bogo")
