#!/usr/bin/env python3
"""Compares this proxy with nginx, and with HAProxy if it is installed, side by side on one machine. Ours is milestone3,
milestone4 for answers from the cache, and milestone5 over TLS and HTTP/2.

    make bench-peers                     # builds first; nine minutes
    ./benches/peers.py --quick           # one minute, to see that it works
    ./benches/peers.py --only small 1MiB --rounds 11

What counts is the ratio between two in the same run, and CPU time per request; why, says docs/performance.md.
Progress goes to stderr, the table (Markdown) to stdout. Needs Linux, nginx and wrk; openssl for TLS, h2load for HTTP/2,
strace for one line.
"""

import argparse
import contextlib
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import typing
from pathlib import Path

from peers_started import KIB, MIB, Running, check_answers, cpu_seconds, memory_kib, start_all

ROOT = Path(__file__).resolve().parent.parent

CLOSE = 'wrk.headers["Connection"] = "close"'
UPLOAD = 'wrk.method = "POST"; wrk.body = string.rep("x", 1048576)'


class Scenario(typing.NamedTuple):
    name: str
    description: str
    path: str
    connections: int
    lua: str = ""  # For wrk.
    unit: int | None = None  # Bytes that count as one. None: a request does.
    tls: bool = False
    streams: int | None = None  # At once on each connection, over HTTP/2.


SCENARIOS = [
    Scenario("small", "128 B GET, c=64", "/small", 64),
    Scenario("16KiB", "16 KiB GET, c=32", "/16k", 32),
    Scenario("1MiB", "1 MiB GET, c=16", "/1m", 16, unit=MIB),
    Scenario("64MiB", "64 MiB GET, c=2, per MiB", "/64m", 2, unit=MIB),
    Scenario("upload", "1 MiB POST, c=8", "/upload", 8, UPLOAD),
    Scenario("new", "128 B GET, new connection each, c=64", "/small", 64, CLOSE),
    Scenario("c1000", "128 B GET, c=1000", "/small", 1000),
    Scenario("hit1k", "cache hit, 1 KiB, c=64", "/hit1k", 64),
    Scenario("hit64k", "cache hit, 64 KiB, c=32", "/hit64k", 32),
    Scenario("tls", "128 B GET over TLS, c=64", "/small", 64, tls=True),
    Scenario("tls1MiB", "1 MiB GET over TLS, c=16", "/1m", 16, unit=MIB, tls=True),
    Scenario("handshake", "128 B GET over TLS, full handshake each, c=16", "/small", 16, CLOSE, tls=True),
    Scenario("h2", "128 B GET over HTTP/2 and TLS, 8 connections × 32 streams", "/small", 8, tls=True, streams=32),
    Scenario("h2single", "128 B GET over HTTP/2 and TLS, 64 connections × 1 stream", "/small", 64, tls=True, streams=1),
]
NAMES = [scenario.name for scenario in SCENARIOS] + ["idle", "calls"]

# wrk's own report rounds; this one is for us.
REPORT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.bytes, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
"""


# --- measurements ---

def load(run, url, connections, lua, seconds, threads):
    """Runs wrk: requests, bytes, seconds, errors, p99 in ms."""
    script = run / "wrk.lua"
    script.write_text(lua + REPORT)
    flags = f"-t {min(threads, connections)} -c {connections} -d {seconds} --timeout 10s -s".split()
    output = subprocess.run(["wrk", *flags, script, url], capture_output=True, text=True, check=True).stdout
    requests, size, micros, errors, p99 = map(int, re.search(r"RESULT (.*)", output)[1].split())
    return requests, size, micros / 1e6, errors, p99 / 1e3


def load_streams(url, connections, streams, seconds, threads):
    """Runs h2load, which tells no percentiles."""
    flags = f"-t {min(threads, connections)} -c {connections} -m {streams} -D {seconds}".split()
    output = subprocess.run(["h2load", *flags, url], capture_output=True, text=True, check=True).stdout
    counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", output, re.M)
    requests, failed, errored = map(int, counts.groups())
    return requests, 0, float(seconds), failed + errored, None


def measure(run, proxy, scenario, seconds, threads):
    url = proxy.url(scenario.path, scenario.tls)
    before = cpu_seconds(proxy.pids())
    if scenario.streams:
        answered = load_streams(url, scenario.connections, scenario.streams, seconds, threads)
    else:
        answered = load(run, url, scenario.connections, scenario.lua, seconds, threads)
    requests, size, took, errors, p99 = answered
    cpu = cpu_seconds(proxy.pids()) - before
    units = size / scenario.unit if scenario.unit else requests
    if not units:
        sys.exit(f"{proxy.name} answered nothing: {scenario.description}")
    return {"cpu": cpu / units * 1e6, "rate": units / took, "p99": p99, "errors": errors}


def rounds(args, run, proxies):
    chosen = [scenario for scenario in SCENARIOS if scenario.name in args.only]
    results = {scenario.description: {proxy.name: [] for proxy in proxies} for scenario in chosen}
    for number in range(args.rounds):
        for scenario in chosen:
            # A B C, then B C A: whoever comes second meets other caches and other noise.
            first = number % len(proxies)
            for proxy in proxies[first:] + proxies[:first]:
                sample = measure(run, proxy, scenario, args.seconds, args.threads)
                results[scenario.description][proxy.name].append(sample)
                print(f"round {number + 1} of {args.rounds}, {scenario.description}, {proxy.name}: {sample['cpu']:.1f} µs CPU, "
                      f"{sample['rate']:.0f}/s", file=sys.stderr)
    return results


def idle_line(proxies, count):
    """What connections cost that have had an answer and keep quiet."""
    cells = []
    for proxy in proxies:
        before = memory_kib(proxy.main_pids())
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
                connection.sendall(b"GET /small HTTP/1.1\r\nHost: bench\r\n\r\n")
                if not connection.recv(4 * KIB):
                    sys.exit(f"{proxy.name} does not keep {count} connections")
            each = (memory_kib(proxy.main_pids()) - before) / count
        cells.append(f"{proxy.name} {before / KIB:.0f} MiB + {each:.2f} KiB each")
    return f"Memory, {count} idle connections: {', '.join(cells)}."


def system_calls(run, proxy, seconds):
    """Per request, one request at a time: strace slows things down, but does not change what is called."""
    report = run / "strace"
    attach = [f"--attach={pid}" for pid in proxy.pids()]
    strace = subprocess.Popen(["strace", "-f", "-c", "-o", report, *attach], stderr=subprocess.PIPE, text=True)
    try:
        if "attached" not in strace.stderr.readline():
            return None  # Not allowed here.
        threading.Thread(target=strace.stderr.read, daemon=True).start()
        time.sleep(0.2)  # Until all threads are attached.
        requests = load(run, proxy.url("/small"), 1, "", seconds, 1)[0]
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
    total = re.search(r"^100\.00 +\S+ +\S+ +(\d+).* total$", report.read_text(), re.M)
    return int(total[1]) / requests if total and requests else None


def calls_line(run, proxies, seconds):
    if not shutil.which("strace"):
        return "System calls per request: unknown, strace is not installed."
    counts = [(proxy.name, system_calls(run, proxy, seconds)) for proxy in proxies]
    cells = ", ".join(f"{name} {count:.1f}" if count else f"{name} unknown" for name, count in counts)
    return f"System calls per request, c=1: {cells}."


# --- the report ---

def spread(values, digits):
    """Median, and quartiles if there are enough values for them."""
    text = f"{statistics.median(values):.{digits}f}"
    if len(values) > 2:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        text += f" ({low:.{digits}f}–{high:.{digits}f})"
    return text


def median_p99(samples):
    known = [sample["p99"] for sample in samples if sample["p99"] is not None]
    return f"{statistics.median(known):.1f}" if known else "–"


def table(results, peer):
    yield (f"| scenario | CPU µs: {peer} | ours | ours ÷ {peer} | rate/s: {peer} | ours | ours ÷ {peer} | p99 ms "
           "| errors |")
    yield "|---" * 9 + "|"
    for description, samples in results.items():
        other, ours = samples[peer], samples["ours"]
        cells = [description]
        for key, digits in (("cpu", 1), ("rate", 0)):
            cells += [spread([sample[key] for sample in side], digits) for side in (other, ours)]
            # Round by round: what disturbs a round disturbs both.
            cells.append("**" + spread([o[key] / n[key] for n, o in zip(other, ours)], 2) + "**")
        cells.append(" / ".join(median_p99(side) for side in (other, ours)))
        cells.append(" / ".join(str(sum(sample["errors"] for sample in side)) for side in (other, ours)))
        yield "| " + " | ".join(cells) + " |"
    yield ""


def environment(binary):
    commands = (["nginx", "-v"], ["wrk", "-v"], ["git", "-C", ROOT, "describe", "--always", "--dirty"])
    commands += (["haproxy", "-v"],) if shutil.which("haproxy") else ()
    said = [subprocess.run(command, capture_output=True, text=True, check=False) for command in commands]
    nginx, wrk, commit, *haproxy = ((result.stdout + result.stderr).partition("\n")[0] for result in said)
    peers = "; ".join([nginx, *(line.partition(" - ")[0] for line in haproxy)])
    return (f"{peers}; {wrk.split(' Copyright')[0]}; {binary.name} at {commit}; Linux {platform.release()}, "
            f"{platform.machine()}, {os.cpu_count()} CPUs")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s: shows that it works, no more")
    parser.add_argument("--rounds", type=int, help="rounds of all scenarios [5]")
    parser.add_argument("--seconds", type=int, help="length of one measurement [2]")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) // 4), help="of wrk [CPUs / 4]")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/milestone3",
                        help="our proxy; what caches is milestone4 beside it, what speaks TLS milestone5")
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 5)
    args.seconds = args.seconds or (1 if args.quick else 2)
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed: apt-get install {tool}, or what your system has instead")
    leave_out(args, "openssl", {scenario.name for scenario in SCENARIOS if scenario.tls})
    leave_out(args, "h2load", {scenario.name for scenario in SCENARIOS if scenario.streams})
    args.tls = any(scenario.tls for scenario in SCENARIOS if scenario.name in args.only)
    for binary in (args.binary, *map(args.binary.with_name, ["milestone4"] + ["milestone5"] * args.tls)):
        if not binary.exists():
            sys.exit(f"{binary} does not exist: cargo build --release")
    return args


def leave_out(args, tool, names):
    """Rows that need a program which is not here."""
    missing = [name for name in args.only if name in names]
    if missing and not shutil.which(tool):
        print(f"left out, because {tool} is not installed: {', '.join(missing)}", file=sys.stderr)
        args.only = [name for name in args.only if name not in names]


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = hard if 0 < hard < 65_536 else 65_536  # -1 is no limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="peers-") as run, Running() as running:
        run = Path(run)
        proxies = start_all(running, run, args.binary, files, args.tls)
        check_answers(proxies, run)
        # First: later, what the rounds have left behind would be used again.
        idle = min(2000 if args.quick else 10_000, files * 2 // 5)  # A descriptor to each side, and some for the rest.
        lines = [idle_line(proxies, idle)] if "idle" in args.only else []
        lines += [calls_line(run, proxies, args.seconds)] if "calls" in args.only else []
        results = rounds(args, run, proxies)
        report = [line for proxy in proxies if proxy.name != "ours" for line in table(results, proxy.name)] + lines
    print(f"{environment(args.binary)}; load {before:.1f} before. {args.rounds} rounds of {args.seconds} s.\n")
    print("\n".join(report))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; what was started is stopped")
