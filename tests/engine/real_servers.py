"""Servers that others wrote, each as a child process or a thread, that count what reaches them."""

import http.server
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from byte_server import BODY
from wires import Authority

NGINX = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")

#: So long each of them keeps an idle connection.
KEPT_S = 1


class RealServer(NamedTuple):
    """`paths` are answered with BODY in different ways; `arrived` tells how many transfers came so far."""

    url: str
    paths: tuple[str, ...]
    arrived: Callable[[], int]


@contextmanager
def _child(command: list[str], inherits: tuple[int, ...] = ()) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, pass_fds=inherits, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _certificate(ca: Authority, folder: Path) -> Path:
    file = folder / "server.pem"
    ca.ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    return file


@contextmanager
def uvicorn(http: str, ca: Authority | None, folder: Path) -> Iterator[RealServer]:
    """uvicorn with this implementation of HTTP, TLS where there is a `ca`."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        command = [sys.executable, "-m", "uvicorn", "asgi_app:app", "--app-dir", str(Path(__file__).parent)]
        command += ["--fd", str(listening.fileno()), "--http", http, "--timeout-keep-alive", str(KEPT_S)]
        if ca:
            pem = str(_certificate(ca, folder))
            command += ["--ssl-certfile", pem, "--ssl-keyfile", pem]
        port = listening.getsockname()[1]
        with _child(command, (listening.fileno(),)):
            listening.close()  # it is the child's now: one that dies is noticed
            url = f"{'https' if ca else 'http'}://127.0.0.1:{port}"
            yield RealServer(url, ("/credit", "/streamed", "/last"), lambda: _asked_count(port, ca))


def _asked_count(port: int, ca: Authority | None) -> int:
    """What the server itself counted, asked by other means than the wire under test."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        line: socket.socket = plain
        if ca:
            line = ssl.create_default_context(cafile=ca.file).wrap_socket(plain, server_hostname="127.0.0.1")
        with line:
            line.sendall(b"GET /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: line.recv(4096), b""))
    return int(answer.rpartition(b"\r\n\r\n")[2])


NGINX_CONF = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format arrival "$request_method $request_uri $status";
    access_log {folder}/access.log arrival;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    keepalive_requests 3; keepalive_timeout {kept_s};
    gzip on; gzip_types *; gzip_min_length 0; gzip_proxied any;
    client_max_body_size 1k;
    server {{
        listen 127.0.0.1:{port} {tls};
        location / {{ default_type application/json; return 200 '{body}'; }}
        location /dead {{ proxy_pass http://127.0.0.1:{dead}; }}
        location /silent {{ proxy_pass http://127.0.0.1:{silent}; proxy_read_timeout 100ms; }}
    }}
}}
"""


@contextmanager
def nginx(ca: Authority | None, folder: Path) -> Iterator[RealServer]:
    """nginx that closes each connection after three requests, and stands before two servers that fail."""
    pem = _certificate(ca, folder) if ca else ""
    tls = f"ssl; ssl_certificate {pem}; ssl_certificate_key {pem}" if ca else ""
    port = _free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = NGINX_CONF.format(
            folder=folder,
            port=port,
            tls=tls,
            body=BODY.decode(),
            kept_s=KEPT_S,
            dead=_free_port(),
            silent=silent.getsockname()[1],
        )
        (folder / "nginx.conf").write_text(text)
        with _child([str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]):
            _wait_for(port)
            url = f"{'https' if ca else 'http'}://127.0.0.1:{port}"
            yield RealServer(url, ("/credit",), lambda: _logged_count(folder / "access.log"))


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, "nginx did not start"
            time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as claimed:
        port: int = claimed.getsockname()[1]
        return port


def _logged_count(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


@contextmanager
def python_server(protocol: str) -> Iterator[RealServer]:
    """The standard library's server, as HTTP/1.0 or HTTP/1.1."""
    arrivals: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = protocol
        timeout = KEPT_S

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrivals.append(self.path)
            self.send_response(200)
            if self.path == "/credit":
                self.send_header("Content-Length", str(len(BODY)))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 512

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            yield RealServer(url, ("/credit", "/to_the_end"), lambda: len(arrivals))
        finally:
            server.shutdown()
