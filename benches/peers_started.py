"""What `peers.py` measures: the proxies with an origin behind them, how they are started and how all of it is stopped.

Run by itself it is the origin for uploads.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import time
import typing
import urllib.request
from pathlib import Path

WORKERS = 2
KIB, MIB = 1024, 1024 * 1024
FILES = {"16k": 16 * KIB, "1m": MIB, "64m": 64 * MIB}
HITS = {"hit1k": KIB, "hit64k": 64 * KIB}  # What may be stored.

NGINX = """
{user} daemon off; pid {run}/{name}.pid; error_log {run}/{name}.log;
worker_processes {workers}; worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    access_log off; sendfile on; keepalive_requests 1000000000;
    client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
    {http}
}}
"""
ORIGIN = """
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        root {run}/files;
        location = /small {{ return 200 "{body}"; }}
        location /hit {{ add_header Cache-Control "max-age=3600"; }}
        location = /once {{ add_header Cache-Control "max-age=3600"; return 200 $request_id; }}
    }}
"""
# The same work that our proxy does: the same fields added, nothing written to disk, uploads streamed. The buffers are
# larger than nginx's defaults, which makes it faster with large bodies.
PROXY = """
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $http_host; proxy_set_header Via "1.1 nginx";
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_request_buffering off; proxy_max_temp_file_size 0; client_max_body_size 0;
    proxy_buffers 16 32k; proxy_busy_buffers_size 256k; client_body_buffer_size 256k;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
    upstream sink {{ server 127.0.0.1:{sink}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location / {{ proxy_pass http://origin; }}
        location /upload {{ proxy_pass http://sink; }}
    }}
    # Files of its cache stay open, and are read: cheaper than sendfile here, and with tcp_nopush the last part of 64 KiB
    # would wait for an acknowledgement.
    proxy_cache_path {run}/cache keys_zone=hits:10m max_size=256m use_temp_path=off;
    server {{
        listen 127.0.0.1:{cache_port} reuseport backlog=4096;
        sendfile off; tcp_nopush off; output_buffers 2 128k; open_file_cache max=100 inactive=1h;
        location / {{ proxy_pass http://origin; proxy_cache hits; proxy_cache_lock on; }}
    }}
"""
SECURED_NGINX = """
    server {{
        listen 127.0.0.1:{tls_port} ssl http2 reuseport backlog=4096;
        ssl_certificate {run}/certificate.pem; ssl_certificate_key {run}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ proxy_pass http://origin; }}
    }}
"""

HAPROXY = """
global
    nbthread {workers}
    maxconn {connections}
    maxpipes 128
defaults
    mode http
    option forwardfor
    option splice-request
    option splice-response
    http-reuse always
    maxconn {connections}
    backlog 4096
    timeout connect 5s
    timeout client 120s
    timeout server 120s
frontend downloads
    bind 127.0.0.1:{port} shards by-thread
    default_backend origin
frontend uploads
    bind 127.0.0.1:{upload_port} shards by-thread
    default_backend sink
cache hits
    total-max-size 256
    max-object-size 1000000
    max-age 3600
frontend hits
    bind 127.0.0.1:{cache_port} shards by-thread
    http-request cache-use hits
    http-response cache-store hits
    default_backend origin
{secured}
backend origin
    server one 127.0.0.1:{origin} pool-max-conn -1
backend sink
    server one 127.0.0.1:{sink} pool-max-conn -1
"""
SECURED_HAPROXY = """
frontend secured
    bind 127.0.0.1:{tls_port} shards by-thread ssl crt {run}/both.pem alpn h2,http/1.1
    default_backend origin
"""


# --- processes ---

def tree(pid):
    """A process and all below it."""
    pids, todo = [], [pid]
    while todo:
        pids.append(todo.pop())
        for task in Path(f"/proc/{pids[-1]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                todo += map(int, task.read_text().split())
    return pids


def cpu_seconds(pids):
    """User and system time: the scheduler's nanoseconds, of every thread that lives."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory_kib(pids):
    """Pages that processes share are counted once (PSS). The kernel's socket buffers are not in it."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(re.search(r"^Pss: +(\d+)", rollup, re.M)[1]) for rollup in rollups)


class Running:
    """Starts processes, and stops all of them by their ids, however this ends."""

    def __enter__(self):
        self.started = []
        return self

    def start(self, *command, **options):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **options)
        self.started.append(process)
        return process

    def __exit__(self, *_):
        for process in reversed(self.started):
            pids = tree(process.pid)
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port, process):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not listen on port {port}")


class Sink(socketserver.StreamRequestHandler):
    """An origin for uploads: reads the whole body, then answers. nginx's `return` would answer before."""

    rbufsize = 256 * KIB

    def handle(self):
        with contextlib.suppress(OSError):
            while self.rfile.readline():
                left = 0
                while (line := self.rfile.readline()).strip():
                    if line.lower().startswith(b"content-length:"):
                        left = int(line.split(b":")[1])
                while left > 0 and (data := self.rfile.read1(min(left, self.rbufsize))):
                    left -= len(data)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def sink():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


# --- the proxies ---

class Proxy(typing.NamedTuple):
    name: str
    processes: list
    port: int
    upload_port: int
    cache_port: int
    tls_port: int | None

    def url(self, path, tls=False):
        if tls:
            return f"https://127.0.0.1:{self.tls_port}{path}"
        special = {"/upload": self.upload_port, "/once": self.cache_port} | {f"/{name}": self.cache_port for name in HITS}
        return f"http://127.0.0.1:{special.get(path, self.port)}{path}"

    def pids(self):
        return [pid for process in self.processes for pid in tree(process.pid)]

    def main_pids(self):
        """Those that answer what goes to `port`."""
        return tree(self.processes[0].pid)


def start_nginx(running, run, name, files, http):
    user = "user root;" if os.geteuid() == 0 else ""  # Else its workers may not read our temporary files.
    config = run / f"{name}.conf"
    config.write_text(NGINX.format(user=user, workers=WORKERS, files=files, connections=min(files, 20_000), run=run,
                                   name=name, http=http))
    return running.start("nginx", "-e", run / f"{name}.log", "-c", config)


def start_ours(running, binary, backend, *secured):
    flags = f"--listen 127.0.0.1:0 --workers {WORKERS} --backlog 4096 --access-log off --log-level warn"
    process = running.start(binary, *flags.split(), *secured, "--backend", f"127.0.0.1:{backend}", stdout=subprocess.PIPE,
                            text=True)
    # READY 127.0.0.1:PORT, and READY-TLS 127.0.0.1:PORT
    ready = [process.stdout.readline() for _ in range(2 if secured else 1)][-1]
    return process, int(ready.rsplit(":", 1)[1]) if ready else sys.exit(f"{binary} did not start")


def start_haproxy(running, run, files, origin, sink, tls):
    port, upload_port, cache_port, tls_port = free_port(), free_port(), free_port(), free_port() if tls else None
    secured = SECURED_HAPROXY.format(run=run, tls_port=tls_port) if tls else ""
    config = run / "haproxy.cfg"
    config.write_text(HAPROXY.format(workers=WORKERS, connections=min(files // 2 - 200, 20_000), port=port,
                                     upload_port=upload_port, cache_port=cache_port, origin=origin, sink=sink,
                                     secured=secured))
    process = running.start("haproxy", "-q", "-db", "-f", config)
    wait_for(port, process)
    return Proxy("haproxy", [process], port, upload_port, cache_port, tls_port)


def make_certificate(run):
    """One for all proxies, of the kind that is cheapest to sign with."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", run / "key.pem", "-out", run / "certificate.pem"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    both = run / "both.pem"
    both.write_bytes((run / "certificate.pem").read_bytes() + (run / "key.pem").read_bytes())


def start_all(running, run, binary, files, tls):
    (run / "files").mkdir()
    for name, size in (FILES | HITS).items():
        (run / "files" / name).write_bytes(os.urandom(size))
    origin, port, cache_port = free_port(), free_port(), free_port()
    wait_for(origin, start_nginx(running, run, "origin", files, ORIGIN.format(port=origin, run=run, body="x" * 128)))
    swallow = running.start(sys.executable, __file__, stdout=subprocess.PIPE, text=True)
    uploads = int(swallow.stdout.readline())

    http = PROXY.format(origin=origin, sink=uploads, port=port, run=run, cache_port=cache_port)
    tls_port = None
    if tls:
        make_certificate(run)
        tls_port = free_port()
        http += SECURED_NGINX.format(run=run, tls_port=tls_port)
    nginx = start_nginx(running, run, "proxy", files, http)
    wait_for(port, nginx)
    # Ours has one list of backends, and caches or does not: a process each for downloads, uploads, hits and TLS.
    started = [(binary, origin), (binary, uploads), (binary.with_name("milestone4"), origin)]
    if tls:
        flags = ["--tls-listen", "127.0.0.1:0", "--certificate", run / "certificate.pem", "--key", run / "key.pem"]
        started.append((binary.with_name("milestone5"), origin, *flags))
    ours = [start_ours(running, *each) for each in started]
    ports = [port for _, port in ours] + [None] * (not tls)
    others = [start_haproxy(running, run, files, origin, uploads, tls)] if shutil.which("haproxy") else []
    return [Proxy("nginx", [nginx], port, port, cache_port, tls_port), *others,
            Proxy("ours", [process for process, _ in ours], *ports)]


def check_answers(proxies, run):
    """A proxy that answers wrongly must not win by it."""
    bodies = {"/small": b"x" * 128} | {f"/{name}": (run / "files" / name).read_bytes() for name in FILES | HITS}
    for proxy in proxies:
        for path, body in (*bodies.items(), *((f"/{name}", bodies[f"/{name}"]) for name in HITS)):
            if fetch(proxy, path) != body:
                sys.exit(f"wrong answer from {proxy.name} for {path}")
        # Another one each time that the origin is asked.
        if fetch(proxy, "/once") != fetch(proxy, "/once"):
            sys.exit(f"{proxy.name} does not cache")
        urllib.request.urlopen(proxy.url("/upload"), data=b"x" * MIB, timeout=30).close()
        for path, body in bodies.items() if proxy.tls_port else ():
            if fetch(proxy, path, ssl.create_default_context(cafile=run / "certificate.pem")) != body:
                sys.exit(f"wrong answer from {proxy.name} for {path} over TLS")


def fetch(proxy, path, context=None):
    with urllib.request.urlopen(proxy.url(path, tls=context is not None), timeout=30, context=context) as answer:
        return answer.read()


if __name__ == "__main__":
    sink()
