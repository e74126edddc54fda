"""Makes thumbnails as a client of redis-server does: fetches each picture, scales it with Pillow, and writes it back.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python client.py --port 6379 --pictures 20 ../../procs/thumbnail/example.jpg

Stores the files given, in turn, as img:0, img:1, ..., then works through these keys and prints one line of JSON. It
stops at --seconds, done or not.
"""

import argparse
import io
import json
import time

import redis
from PIL import Image, ImageOps

# As the guest has them: procs/thumbnail/src/picture.rs.
THUMBNAIL_EDGE = 200
QUALITY = 80
MAX_PIXELS = 24_000_000


def thumbnail(picture: bytes) -> bytes:
    """A JPEG of at most THUMBNAIL_EDGE pixels, upright, with white for what was transparent."""
    with Image.open(io.BytesIO(picture)) as image:
        # Decodes a JPEG at a fraction of its size, as the guest does.
        image.draft("RGB", (2 * THUMBNAIL_EDGE, 2 * THUMBNAIL_EDGE))
        image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE), Image.Resampling.BOX)
        scaled = ImageOps.exif_transpose(image)
    if scaled.has_transparency_data:
        layer = scaled.convert("RGBA")
        scaled = Image.new("RGBA", layer.size, "white")
        scaled.alpha_composite(layer)
    encoded = io.BytesIO()
    scaled.convert("RGB").save(encoded, "JPEG", quality=QUALITY)
    return encoded.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="picture")
    parser.add_argument("--port", type=int, default=6379)
    parser.add_argument("--pictures", type=int, default=100, help="how many thumbnails to make")
    parser.add_argument("--seconds", type=float, default=30.0, help="when to stop in any case")
    options = parser.parse_args()

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    server = redis.Redis(port=options.port, socket_timeout=options.seconds)
    for index in range(options.pictures):
        with open(options.files[index % len(options.files)], "rb") as file:
            server.set(f"img:{index}", file.read())

    made = 0
    start = time.monotonic()
    while made < options.pictures and time.monotonic() - start < options.seconds:
        server.set(f"thumb:{made}", thumbnail(server.get(f"img:{made}")))
        made += 1
    seconds = time.monotonic() - start
    report = {"pictures": made, "seconds": round(seconds, 3), "pictures_per_second": round(made / seconds, 2)}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
