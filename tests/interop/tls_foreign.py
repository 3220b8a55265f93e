"""Foreign TLS stacks, each as a server and as a client, and the engine's own end: the example `foreign`.

A server is given a folder with `cert.pem` and `key.pem` and echoes one line a connection; a client says a line and
gives what came back. All are children that end with their block.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.interop.nginx_oracle import free_port, wait_listening

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

X25519, P256, P384, HYBRID = 0x001D, 0x0017, 0x0018, 0x11EC
AES128, AES256, CHACHA = 0x1301, 0x1302, 0x1303

Spec = dict[str, Any]


class Keys(NamedTuple):
    """One certificate in the forms that the stacks want."""

    folder: Path
    cert: Path
    key: Path
    cert_der: Path
    key_der: Path


def keys(folder: Path, cert: Path, key: Path) -> Keys:
    """DER beside PEM."""
    made = Keys(folder, cert, key, folder / "cert.der", folder / "key.der")
    certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    made.cert_der.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    made.key_der.write_bytes(
        private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made


def tool(name: str, *places: str) -> str:
    """A program, also where Debian or Go put what is not on the path."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *places, str(ROOT / ".tools/go/bin")])
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is needed: see TEST_PACKAGES in the Makefile"
    return found


def built() -> Path:
    """The engine's end, built with cargo; at once where nothing changed."""
    cargo = tool("cargo", str(Path.home() / ".cargo/bin"))
    subprocess.run([cargo, "build", "-q", "-p", "rozaneh-tls", "--example", "foreign"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/examples/foreign"


def connect(program: Path, port: int, **spec: Any) -> list[Spec]:
    """Our client against a port; what came of each connection."""
    whole = {"address": f"127.0.0.1:{port}", "send": "a line\n", "until": "a line\n", **spec}
    done = subprocess.run(
        [program, "client", json.dumps(whole)], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def ours(program: Path, made: Keys, **spec: Any) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Our server: its port, and the process whose lines tell what came of each connection."""
    whole = {"certificate": str(made.cert_der), "key": str(made.key_der), **spec}
    with child([program, "server", json.dumps(whole)]) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"], process


def told(process: subprocess.Popen[str]) -> Spec:
    """The next thing that a child of ours says."""
    assert process.stdout is not None
    answer: Spec = json.loads(process.stdout.readline())
    return answer


@contextmanager
def told_port(command: Sequence[str | Path], **options: Any) -> Iterator[int]:
    """A server that says its port in its first line."""
    with child(command, **options) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


# ---- Python's ssl: a program of its own, so that its state is nobody else's ----

PYTHON = """
import socket, ssl, sys
role, port, cert, key, ciphers_curve = sys.argv[1:6]
if role == "server":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    if ciphers_curve:
        context.set_ecdh_curve(ciphers_curve)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            raw, _ = listener.accept()
            with context.wrap_socket(raw, server_side=True) as line:
                line.sendall(line.recv(100))
                line.unwrap()
context = ssl.create_default_context(cafile=cert)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.set_alpn_protocols(["h2"])
session = None
for _ in range(2):
    raw = socket.create_connection(("127.0.0.1", int(port)))
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as line:
        line.sendall(b"a line\\n")
        answer = line.recv(100)
        session = line.session
        print(answer.decode().strip(), line.cipher()[0], line.selected_alpn_protocol(), line.session_reused, flush=True)
"""


def python(role: str, port: int, made: Keys, curve: str = "") -> list[str]:
    """The command of Python's own stack."""
    return [sys.executable, "-c", PYTHON, role, str(port), str(made.cert), str(made.key), curve]


# ---- GnuTLS ----

_GNUTLS = "NORMAL:-VERS-ALL:+VERS-TLS1.3"


def gnutls_priority(group: str = "", cipher: str = "") -> str:
    """A priority string of TLS 1.3 alone, with one group or cipher if one is named."""
    words = [_GNUTLS]
    words += [f"-GROUP-ALL:+GROUP-{group}"] if group else []
    words += [f"-CIPHER-ALL:+{cipher}"] if cipher else []
    return ":".join(words)


@contextmanager
def gnutls_server(made: Keys, priority: str) -> Iterator[int]:
    """``gnutls-serv --echo``."""
    port = free_port()
    command = [tool("gnutls-serv"), "--echo", "--port", str(port), "--priority", priority]
    command += ["--x509certfile", str(made.cert), "--x509keyfile", str(made.key), "--quiet"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_listening(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def gnutls_client(port: int, made: Keys, priority: str, *words: str) -> str:
    """What ``gnutls-cli`` prints after saying a line."""
    command = [tool("gnutls-cli"), "--port", str(port), "--x509cafile", str(made.cert), "--priority", priority]
    command += ["--sni-hostname", "localhost", "--verify-hostname", "localhost", *words, "127.0.0.1"]
    done = subprocess.run(command, input="a line\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


# ---- Go's crypto/tls ----

GO = """
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"
)

func must(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func main() {
	role, port, cert, key := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	config := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ServerName: "localhost"}
	for _, text := range os.Args[5:] {
		id, err := strconv.Atoi(text)
		must(err)
		config.CurvePreferences = append(config.CurvePreferences, tls.CurveID(id))
	}
	if role == "server" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		must(err)
		config.Certificates = []tls.Certificate{pair}
		listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
		must(err)
		_, text, _ := cut(listener.Addr().String())
		fmt.Println(text)
		for {
			raw, err := listener.Accept()
			must(err)
			line, _ := bufio.NewReader(raw).ReadString('\\n')
			fmt.Fprint(raw, line)
			raw.Close()
		}
	}
	pem, err := os.ReadFile(cert)
	must(err)
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(pem)
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		line, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
		must(err)
		fmt.Fprint(line, "a line\\n")
		answer, err := bufio.NewReader(line).ReadString('\\n')
		must(err)
		state := line.ConnectionState()
		suite, group := tls.CipherSuiteName(state.CipherSuite), uint16(state.CurveID)
		fmt.Println(answer[:len(answer)-1], suite, state.NegotiatedProtocol, state.DidResume, group)
		line.Close()
	}
}

func cut(address string) (string, string, bool) {
	for at := len(address) - 1; at >= 0; at-- {
		if address[at] == ':' {
			return address[:at], address[at+1:], true
		}
	}
	return address, "", false
}
"""


def go_program(folder: Path) -> Path:
    """Go's end, built; it needs nothing but Go's own library."""
    (folder / "main.go").write_text(GO)
    (folder / "go.mod").write_text("module foreign\n\ngo 1.24\n")
    go = tool("go", "/usr/local/go/bin")
    subprocess.run([go, "build", "-o", "foreign", "."], cwd=folder, env={**os.environ, "GOFLAGS": ""}, check=True)
    return folder / "foreign"


# ---- nginx ----

NGINX = """
daemon off;
worker_processes 1;
pid {base}/nginx.pid;
error_log {base}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {base}/1; proxy_temp_path {base}/2; fastcgi_temp_path {base}/3;
    uwsgi_temp_path {base}/4; scgi_temp_path {base}/5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_tickets on;
        location / {{ default_type text/plain; return 200 "a page"; }}
    }}
}}
"""


@contextmanager
def nginx(made: Keys, folder: Path) -> Iterator[int]:
    """nginx over TLS; it answers every request with ``a page``."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(base=folder, port=port, cert=made.cert, key=made.key))
    process = subprocess.Popen([tool("nginx", "/usr/sbin"), "-p", str(folder), "-c", str(file), "-e", "stderr"])
    try:
        wait_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()
