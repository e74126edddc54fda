"""Measures how many thumbnails a second the example `procs/thumbnail` makes, and what others notice of it.

    make build guests && python3 bench/thumbnails.py [picture.jpg ...]

Starts kvasm in a temporary directory on a free port, stores each picture as often as --pictures says, waits until the
last thumbnail is there, and measures p99 of GET at 50 clients before and meanwhile. `bench/pillow/client.py` does the
same work as a client of redis-server.
"""

import argparse
import time

from background import ROOT, Server


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvasm", default=str(ROOT / "target/release/kvasm"))
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("files", nargs="*", default=[str(ROOT / "procs/thumbnail/example.jpg")])
    arguments = parser.parse_args()
    library = b"#!wasm name=thumbnail\n" + (ROOT / "target/guests/thumbnail.wasm").read_bytes()
    with Server(arguments.kvasm) as kvasm:
        kvasm.store("FUNCTION", "LOAD", data=library)
        idle = kvasm.benchmark("-t", "get", clients=50, requests=40_000)[1]
        for file in arguments.files:
            picture = open(file, "rb").read()
            started = time.monotonic()
            for number in range(arguments.pictures):
                kvasm.store("SET", f"img:{number}", data=picture)
            stored = time.monotonic() - started
            meanwhile = kvasm.benchmark("-t", "get", clients=50, requests=40_000)[1]
            while "kvasm_trigger_queued:0" not in kvasm.cli("INFO", "wasm"):
                time.sleep(0.05)
            took = time.monotonic() - started
            made = len(kvasm.cli("KEYS", "thumb:*").splitlines())
            print(
                f"{file}: {made} thumbnails in {took:.1f} s, {made / took:.1f} a second ({stored:.1f} s of it to store the "
                f"pictures); p99 of GET {meanwhile:.2f} ms, idle {idle:.2f} ms"
            )
            kvasm.cli("FLUSHALL")


if __name__ == "__main__":
    main()
