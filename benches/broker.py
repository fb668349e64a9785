#!/usr/bin/env python3
"""CPU time per message of the broker and of mosquitto, in pairs of one run.

    cargo build --release --bin broker && benches/broker.py

Each pair is both brokers under the same load, one after the other, in turn first; the number is user and system time of the broker's process
divided by the messages that it delivered. The clients are this script's: they send what is prepared, in windows, and count what comes back.
"""
import argparse
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def packet(first, *parts):
    body = b"".join(parts)
    length, head = len(body), bytes([first])
    while True:
        head += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return head + body


def text(value):
    return len(value).to_bytes(2, "big") + value.encode()


def publish(qos, topic, number, payload):
    identifier = b"" if qos == 0 else number.to_bytes(2, "big")
    return packet(0x30 | qos << 1, text(topic), identifier, payload)


class Client:
    """A connection. Counts PUBLISH packets, answers them, and goes on publishing when its own are answered."""

    def __init__(self, port, name, clean=True, subscribe=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest, self.received, self.answered = b"", 0, 0
        self.socket.sendall(packet(0x10, text("MQTT"), bytes([4, 2 if clean else 0, 0, 0]), text(name)))
        assert self.exactly(4)[3] == 0
        if subscribe:
            topic, qos = subscribe
            self.socket.sendall(packet(0x82, b"\0\1", text(topic), bytes([qos])))
            assert self.exactly(5)[4] == qos

    def exactly(self, count):
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return data

    def read(self):
        data = self.rest + self.socket.recv(256 * 1024)
        at, answers, size = 0, [], len(data)
        while size - at >= 2:
            length, shift, head = 0, 0, 1
            while at + head < size:
                byte = data[at + head]
                length |= (byte & 127) << shift
                head, shift = head + 1, shift + 7
                if byte < 128:
                    break
            else:
                break
            if at + head + length > size:
                break
            kind, qos, body = data[at] >> 4, data[at] >> 1 & 3, at + head
            if kind == 3:
                self.received += 1
                if qos:
                    topic = int.from_bytes(data[body:body + 2], "big")
                    number = data[body + 2 + topic:body + 4 + topic]
                    answers.append((b"\x40\2" if qos == 1 else b"\x50\2") + number)
            elif kind == 4 or kind == 7:
                self.answered += 1
            elif kind == 5:
                answers.append(b"\x62\2" + data[body:body + 2])
            elif kind == 6:
                answers.append(b"\x70\2" + data[body:body + 2])
            at = body + length
        self.rest = data[at:]
        if answers:
            self.socket.sendall(b"".join(answers))


class Load:
    def __init__(self, name, qos, publishers, subscribers, messages, window, payload=100, clean=True):
        self.name, self.qos, self.publishers, self.subscribers = name, qos, publishers, subscribers
        self.messages, self.window, self.payload, self.clean = messages, window, bytes(payload), clean

    def run(self, port, cpu):
        """Seconds of the broker's CPU for each message delivered, in microseconds."""
        subscribers = [Client(port, f"s{n}", self.clean, ("load", self.qos)) for n in range(self.subscribers)]
        publishers = [Client(port, f"p{n}") for n in range(self.publishers)]
        poll = selectors.DefaultSelector()
        for client in subscribers + publishers:
            poll.register(client.socket, selectors.EVENT_READ, client)
        share, sent = self.messages // self.publishers, [0] * self.publishers
        before = cpu()
        while True:
            done = min(client.received for client in subscribers)
            if done >= share * self.publishers:
                break
            for n, client in enumerate(publishers):
                got = client.answered if self.qos else done // self.publishers
                count = min(self.window - (sent[n] - got), share - sent[n])
                if count > 0 and (count >= self.window // 2 or sent[n] + count == share):
                    numbers = range(sent[n], sent[n] + count)
                    client.socket.sendall(b"".join(publish(self.qos, "load", i % 60000 + 1, self.payload) for i in numbers))
                    sent[n] += count
            for key, _ in poll.select(5):
                key.data.read()
        spent = cpu() - before
        for client in subscribers + publishers:
            client.socket.sendall(b"\xe0\0")
            client.socket.close()
        return spent * 1e6 / (share * self.publishers * self.subscribers)


LOADS = [
    Load("QoS 0, one to one, one at a time", 0, 1, 1, 5000, 1),
    Load("QoS 0, one to one, 100 on their way", 0, 1, 1, 60000, 100),
    Load("QoS 0, one to 100", 0, 1, 100, 2000, 20),
    Load("QoS 0, 100 to one", 0, 100, 1, 40000, 10),
    Load("QoS 1, one to one, one at a time", 1, 1, 1, 4000, 1),
    Load("QoS 1, one to one, 20 on their way", 1, 1, 1, 30000, 20),
    Load("QoS 1, 20 on their way, a session that is kept", 1, 1, 1, 20000, 20, clean=False),
    Load("QoS 2, one to one, 20 on their way", 2, 1, 1, 15000, 20),
    Load("QoS 0, 16 KiB, 10 on their way", 0, 1, 1, 8000, 10, payload=16384),
]


class Broker:
    def __init__(self, command):
        self.port = free_port()
        self.process = subprocess.Popen([part.replace("PORT", str(self.port)) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.01)
        sys.exit(f"{command[0]} does not start")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        # In ticks of 10 ms; the sum of nanoseconds is in schedstat, of each thread.
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9 if total else (int(fields[11]) + int(fields[12])) / TICK

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--broker", default="target/release/broker")
    arguments.add_argument("--pairs", type=int, default=5)
    arguments.add_argument("--sync", default="1s", help="of our broker; mosquitto has no word for it and writes every 30 minutes")
    arguments.add_argument("--driver", default="auto")
    arguments.add_argument("--only", default="", help="loads with this in their name")
    given = arguments.parse_args()
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    print(f"{'load':<50} {'broker':>8} {'mosquitto':>10} {'ratio':>6}   spread")
    for load in (load for load in LOADS if given.only in load.name):
        ratios, ours, theirs = [], [], []
        for pair in range(given.pairs):
            with tempfile.TemporaryDirectory() as folder:
                config = f"{folder}/mosquitto.conf"
                settings = f"listener {{port}} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\nmax_inflight_messages 100\nlog_type none\n"
                port = free_port()
                with open(config, "w") as file:
                    file.write(settings.format(port=port))
                commands = {
                    "broker": [given.broker, "--listen", "127.0.0.1:PORT", "--data", f"{folder}/broker", "--sync", given.sync, "--driver", given.driver],
                    "mosquitto": [mosquitto, "-c", config],
                }
                cost = {}
                for name in ("broker", "mosquitto") if pair % 2 == 0 else ("mosquitto", "broker"):
                    broker = Broker.__new__(Broker) if name == "mosquitto" else Broker(commands[name])
                    if name == "mosquitto":
                        broker.port = port
                        broker.process = subprocess.Popen(commands[name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                        for _ in range(500):
                            try:
                                socket.create_connection(("127.0.0.1", port)).close()
                                break
                            except ConnectionRefusedError:
                                time.sleep(0.01)
                    try:
                        cost[name] = load.run(broker.port, broker.cpu)
                    finally:
                        broker.stop()
            ours.append(cost["broker"])
            theirs.append(cost["mosquitto"])
            ratios.append(cost["broker"] / cost["mosquitto"])
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{load.name:<50} {statistics.median(ours):7.2f}µ {statistics.median(theirs):9.2f}µ {statistics.median(ratios):6.2f}   {spread}", flush=True)


if __name__ == "__main__":
    main()
