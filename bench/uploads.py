"""Measures what uploads cost those who do not upload.

    cargo build --release && python3 bench/uploads.py

Needs redis-cli and redis-benchmark, and nothing else. Starts kvasm in a temporary directory on a free port, and prints
Markdown:

- For modules of several sizes, how long the upload and the first call take, and the longest that a PING took beside each;
  beside it a SET of as many bytes, and nothing. The module is one function, so that its first call compiles all of it.
- FUNCTION RESTORE of many small libraries, and an EXEC that uploads many modules.
- Requests a second of redis-benchmark, alone and beside uploads without pause.
"""

import argparse
import hashlib
import pathlib
import re
import socket
import statistics
import subprocess
import threading
import time

from background import ROOT, Server

MEGABYTE = 1 << 20
SIZES = [MEGABYTE // 4, MEGABYTE, 4 * MEGABYTE - 1000]
LIBRARIES = 20_000
QUEUED = 500


def leb128(number):
    found = b""
    while True:
        number, low = number >> 7, number & 127
        if not number:
            return found + bytes([low])
        found += bytes([low | 128])


def section(number, content):
    return bytes([number]) + leb128(len(content)) + content


def module(size, name=0):
    """A binary module of about so many bytes, which is one function; another `name` makes it another module."""
    body = b"\x00" + b"\x41\x01\x1a" * (size // 3) + b"\x0b"
    code = section(10, b"\x01" + leb128(len(body)) + body)
    custom = section(0, b"\x04name" + name.to_bytes(4, "little"))
    return b"\0asm\1\0\0\0" + section(1, b"\1\x60\0\0") + section(3, b"\1\0") + section(7, b"\1\3run\0\0") + code + custom


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.input = self.socket.makefile("rb")

    def send(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise SystemExit(f"refused: {rest.decode()}")
        if kind == b"$" and rest != b"-1":
            return self.input.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        return rest

    def call(self, *words):
        self.send(*words)
        return self.read()


class Pings:
    """PINGs without pause, one after the other, while the block runs; then `longest_ms`."""

    def __init__(self, port):
        self.port, self.done, self.longest_ms = port, False, 0

    def run(self):
        client = Client(self.port)
        while not self.done:
            start = time.perf_counter()
            client.call("PING")
            self.longest_ms = max(self.longest_ms, (time.perf_counter() - start) * 1000)

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.thread.join()


def beside(port, action, runs):
    """Medians of how long it takes and of the longest PING beside it, in milliseconds."""
    found = []
    for run in range(runs):
        with Pings(port) as pings:
            start = time.perf_counter()
            action(run)
            took_ms = (time.perf_counter() - start) * 1000
        found.append((took_ms, pings.longest_ms))
    return [statistics.median(values) for values in zip(*found)]


def dump(count):
    """What FUNCTION DUMP gives of so many libraries."""
    content = b"kvasm-functions\x01"
    for number in range(count):
        code = f'#!wasm name=l{number}\n(module (func (export "f{number}")))'.encode()
        content += len(code).to_bytes(4, "little") + code
    return content + hashlib.sha1(content).digest()


def requests_per_s(port, tests, count):
    command = ["redis-benchmark", "-p", str(port), "-t", tests, "-n", str(count), "-c", "50", "-q"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasm", type=pathlib.Path, default=ROOT / "target/release/kvasm")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with Server(str(arguments.kvasm)) as server:
        client = Client(server.port)
        print("| what | takes | longest PING beside it |\n|---|---|---|")

        def row(title, action):
            took_ms, longest_ms = beside(server.port, action, arguments.runs)
            print(f"| {title} | {took_ms:.0f} ms | {longest_ms:.1f} ms |", flush=True)

        row("nothing", lambda _: time.sleep(0.3))
        for size in SIZES:
            title = f"{size / MEGABYTE:.2f} MB"
            digests = [hashlib.sha1(module(size, run)).hexdigest() for run in range(arguments.runs)]
            row(f"SET, {title}", lambda _: client.call("SET", "value", b"x" * size))
            row(f"WASM LOAD, {title}", lambda run: client.call("WASM", "LOAD", module(size, run)))
            row(f"its first call, {title}", lambda run: client.call("EVALWASMSHA", digests[run], 0))
        libraries = dump(LIBRARIES)
        row(f"FUNCTION RESTORE, {LIBRARIES} libraries", lambda _: client.call("FUNCTION", "RESTORE", libraries, "FLUSH"))

        def upload_in_transaction(run):
            client.call("MULTI")
            for number in range(QUEUED):
                client.call("WASM", "LOAD", module(1000, (run + 1) * 1000 + number))
            client.call("EXEC")

        row(f"EXEC, {QUEUED} modules of 1 kB", upload_in_transaction)
        print("\n| beside 1 MB uploads without pause | alone | beside them |\n|---|---|---|")
        for test in ("get", "set"):
            rates = {"alone": [], "beside": []}
            for run in range(arguments.runs):
                for where, found in rates.items():
                    benchmark = requests_per_s(server.port, test, 150_000)
                    number = (run + 1) << 20
                    while where == "beside" and benchmark.poll() is None:
                        number += 1
                        client.call("WASM", "LOAD", module(MEGABYTE, number))
                    output = benchmark.communicate()[0]
                    found.append(float(re.findall(r"([\d.]+) requests per second", output)[-1]))
            alone, beside_them = (statistics.median(found) / 1000 for found in rates.values())
            print(f"| {test.upper()}, 50 clients | {alone:.0f} k/s | {beside_them:.0f} k/s |", flush=True)


if __name__ == "__main__":
    main()
