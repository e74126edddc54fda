"""Measures what procedures in the background cost those who do not call them, and their callers.

    cargo build --release && python3 bench/background.py

Needs redis-cli, redis-benchmark and redis-server, and nothing else. Starts kvasm and redis-server, each in a temporary
directory on a free port, and prints Markdown:

- p99 of GET at 50 clients, idle, and while one procedure computes and another copies 100 MB between keys, in turn;
  beside it redis-server with the same computation in Lua.
- How much longer a call takes in the background than on the thread of all clients.
- How long two computations take, one after the other and at the same time.
"""

import argparse
import pathlib
import socket
import statistics
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPIES = 100
MEGABYTE = 1 << 20
# Iterations of a loop that take about five seconds here; with all the fuel that takes.
LONG = 1_000_000_000
FUEL = 100_000_000_000

LIBRARY = r"""#!wasm name=bench
(module
  (import "kvasm_1" "key" (func $key (param i32 i32 i32) (result i32)))
  (import "kvasm_1" "key_count" (func $key_count (result i32)))
  (import "kvasm_1" "arg" (func $arg (param i32 i32 i32) (result i32)))
  (import "kvasm_1" "get" (func $get (param i32 i32 i32 i32) (result i64)))
  (import "kvasm_1" "put" (func $put (param i32 i32 i32 i32)))
  (memory 20)
  (@custom "kvasm.placement" "compute background\nquick_background background\nquick_inline inline\ncopy background")
  ;; Counts down from the number that is given in decimal.
  (func (export "compute") (local $n i64) (local $digit i32) (local $length i32)
    (local.set $length (call $arg (i32.const 0) (i32.const 0) (i32.const 20)))
    (block $read (loop $next
      (br_if $read (i32.ge_s (local.get $digit) (local.get $length)))
      (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 10))
        (i64.extend_i32_u (i32.sub (i32.load8_u (local.get $digit)) (i32.const 48)))))
      (local.set $digit (i32.add (local.get $digit) (i32.const 1)))
      (br $next)))
    (loop $again
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br_if $again (i64.ne (local.get $n) (i64.const 0)))))
  (func (export "quick_background"))
  (func (export "quick_inline"))
  ;; The first half of the keys is copied to the second.
  (func (export "copy") (local $index i32) (local $half i32) (local $length i32)
    (local.set $half (i32.div_u (call $key_count) (i32.const 2)))
    (loop $next
      (local.set $length (i32.wrap_i64 (call $get (i32.const 0)
        (call $key (local.get $index) (i32.const 0) (i32.const 100)) (i32.const 1000) (i32.const 1100000))))
      (call $put (i32.const 0)
        (call $key (i32.add (local.get $index) (local.get $half)) (i32.const 0) (i32.const 100))
        (i32.const 1000) (local.get $length))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $index) (local.get $half))))))
"""


class Server:
    """A server that ends with the block that it is used in."""

    def __init__(self, program, *options):
        self.directory = tempfile.TemporaryDirectory(dir=ROOT / "target")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [program, "--port", str(self.port), "--dir", self.directory.name, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.cli("PING") == "PONG":
                return
            time.sleep(0.05)
        raise SystemExit(f"{program} does not answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()

    def command(self, *words):
        return ["redis-cli", "-p", str(self.port), *words]

    def cli(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def store(self, *words, data):
        """Runs a command whose last word is given as bytes."""
        subprocess.run(self.command("-x", *words), input=data, stdout=subprocess.DEVNULL, check=True)

    def start(self, *words, delay_s=0):
        command = ["sh", "-c", 'sleep "$0"; exec "$@"', str(delay_s), *self.command(*words)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def benchmark(self, *words, clients, requests):
        """Average, p99 and longest latency in milliseconds."""
        command = ["redis-benchmark", "-p", str(self.port), "-c", str(clients), "-n", str(requests), "--csv", *words]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        values = [float(value.strip('"')) for value in lines[-1].rsplit('","', 7)[-7:]]
        _, average, _, _, _, p99, longest = values
        return average, p99, longest


def p99_of_get(server, load, seconds, runs):
    """Medians of p99 and of the longest latency, over runs that are short enough to lie within the load."""
    found = []
    for _ in range(runs):
        processes = load()
        time.sleep(0.3)
        found.append(server.benchmark("-t", "get", clients=50, requests=int(40_000 * seconds))[1:])
        for process in processes:
            process.kill()
            process.wait()
        server.cli("FUNCTION", "KILL")
        time.sleep(0.5)
    return [statistics.median(values) for values in zip(*found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasm", default=str(ROOT / "target/release/kvasm"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    with Server(arguments.kvasm, "--wasm-fuel", str(FUEL)) as kvasm, Server("redis-server", "--save", "") as redis:
        kvasm.store("FUNCTION", "LOAD", data=LIBRARY.encode())
        for number in range(COPIES):
            kvasm.store("SET", f"from:{number}", data=b"x" * MEGABYTE)
        keys = [f"{side}:{number}" for side in ("from", "to") for number in range(COPIES)]

        def compute():
            return [kvasm.start("FCALL", "compute", "0", str(LONG))]

        def copy(times=1000, delay_s=0):
            return [kvasm.start("-r", str(times), "FCALL", "copy", str(len(keys)), *keys, delay_s=delay_s)]

        idle = p99_of_get(kvasm, list, 1, arguments.runs)
        rows = [("idle", idle)]
        rows.append(("one procedure computes", p99_of_get(kvasm, compute, 1, arguments.runs)))
        once = p99_of_get(kvasm, lambda: compute() + copy(1, delay_s=1), 4, arguments.runs)
        rows.append(("one computes for 5 s, one copies 100 MB", once))
        rows.append(("one copies 100 MB again and again", p99_of_get(kvasm, copy, 1, arguments.runs)))
        both = p99_of_get(kvasm, lambda: compute() + copy(), 1, arguments.runs)
        rows.append(("one computes, one copies again and again", both))
        again = p99_of_get(kvasm, list, 1, arguments.runs)
        print("| kvasm | p99 of GET, 50 clients | times idle | longest |\n|---|---|---|---|")
        for name, (p99, longest) in rows + [("idle again", again)]:
            print(f"| {name} | {p99:.2f} ms | {p99 / idle[0]:.1f} | {longest:.1f} ms |")
        # It starts while the clients are busy: before that the benchmark would wait for its end.
        script = threading.Timer(0.5, redis.cli, ["EVAL", f"for i = 1, {LONG // 5} do end", "0"])
        script.start()
        longest = redis.benchmark("-t", "get", clients=50, requests=200_000)[2]
        script.join()
        print(f"\nredis-server while a Lua script computes: all 50 clients wait, {longest:.0f} ms at the longest\n")

        inline, background = [], []
        for _ in range(arguments.runs):
            for function, found in (("quick_inline", inline), ("quick_background", background)):
                found.append(kvasm.benchmark("FCALL", function, "0", clients=1, requests=20_000)[0] * 1000)
        inline, background = statistics.median(inline), statistics.median(background)
        print(f"A call without work, one client: {inline:.0f} us, in the background {background:.0f} us\n")

        def timed(count):
            started = time.monotonic()
            calls = [kvasm.start("FCALL", "compute", "0", str(LONG // 4)) for _ in range(count)]
            for call in calls:
                call.wait()
            return time.monotonic() - started

        print(f"One computation: {timed(1):.2f} s, two at the same time: {timed(2):.2f} s")


if __name__ == "__main__":
    main()
