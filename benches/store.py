#!/usr/bin/env python3
"""The store against redis-server: processor time for each command, in pairs.

    cargo build --release --bin store
    python3 benches/store.py                  # 5 pairs of each kind
    python3 benches/store.py --pairs 9 --tests set,get

Both servers run at the same time and are asked in turn by redis-benchmark, the other one first in every other pair. What counts is the processor time
of the whole process (user and system, all threads) for one command, and the ratio of both: on a machine that does other things as well,
times on a clock say little. The middle ratio is printed, with the lowest and the highest.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def used(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(process, port, test, pipeline, count):
    before = used(process)
    command = ["redis-benchmark", "-p", str(port), "-t", test, "-n", str(count), "-P", str(pipeline), "-c", "50", "-r", "100000", "-q"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "error" in said.lower():
        sys.exit(said)
    return (used(process) - before) / count * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--count", type=int, default=200_000, help="commands of one measurement without pipelining; five times as many with it")
    parser.add_argument("--tests", default="set,get,incr,lpush,hset,zadd")
    parser.add_argument("--store", default="target/release/store")
    args = parser.parse_args()
    for name, theirs, ours in [
        ("in memory", ["--appendonly", "no"], ["--in-memory"]),
        ("with a file, everysec", ["--appendonly", "yes"], []),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(f"{folder}/ours")
            ports = free_port(), free_port()
            redis = subprocess.Popen(
                ["redis-server", "--port", str(ports[0]), "--bind", "127.0.0.1", "--save", "", "--dir", folder, *theirs],
                stdout=subprocess.DEVNULL,
            )
            data = ours or ["--data", f"{folder}/ours"]
            store = subprocess.Popen(
                [args.store, "--listen", f"127.0.0.1:{ports[1]}", "--log-level", "warn", *data], stdout=subprocess.DEVNULL
            )
            try:
                for port in ports:
                    wait_for(port)
                compare(args, name, (redis, ports[0]), (store, ports[1]))
            finally:
                for process in (redis, store):
                    process.terminate()
                    process.wait()


def compare(args, name, redis, store):
    for pipeline in (1, 16):
        count = args.count * (5 if pipeline > 1 else 1)
        for test in args.tests.split(","):
            pairs = []
            for turn in range(args.pairs):
                order = (redis, store) if turn % 2 == 0 else (store, redis)
                times = {server: measure(*server, test, pipeline, count) for server in order}
                pairs.append((times[store], times[redis]))
            ratios = sorted(ours / theirs for ours, theirs in pairs)
            ours, theirs = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
            print(
                f"{name}, -P {pipeline:2}  {test:5}  store {ours:5.2f} µs  redis-server {theirs:5.2f} µs  "
                f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
