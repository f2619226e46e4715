"""The sites that are deployed: laid out as generators lay them out, the same bytes each time.

Run as a program of its own, `sites.py NAME DIRECTORY`, so that its memory is not counted with the
tools that are measured.
"""

import os
import random
import sys
from pathlib import Path

# Raised when what is built changes, so that an old cache is not taken for it.
VERSION = 1
SEED = 20_260_101
# One file in so many belongs to the 1 % that change.
CHANGED_ONE_IN = 100

SITES = {
    # files, bytes in all, sigma of the lognormal sizes
    "site": (10_000, 250_000_000, 1.3),
    "small": (100_000, 102_400_000, 0.15),
}
MILLION = "million"
# With a number of files behind it.
SCALE = "scale-"
LARGE = "large"
TINY = "tiny"
PAGE = "page"
LARGE_BYTES = 5 * 1000**3


def path_of(number, pick):
    """Six files in ten are pages in their own folders, two hashed assets, two images."""
    word = f"{pick.getrandbits(40):010x}"
    kind = number % 10
    if kind < 4:
        return f"blog/{2010 + number % 15}/{1 + number % 12:02}/post-{number}-{word[:4]}/index.html"
    if kind < 6:
        return f"docs/{('guide', 'reference', 'howto', 'api')[number % 4]}/topic-{number % 97}/page-{number}.html"
    if kind < 8:
        return f"assets/{'js' if kind == 6 else 'css'}/chunk-{number}.{word}.{'js' if kind == 6 else 'css'}"
    return f"images/{2010 + number % 15}/{number % 53:02}/photo-{number}-{word[:6]}.{'webp' if kind == 8 else 'jpg'}"


def plan(files, total, sigma):
    """Paths and sizes, which add up to `total`."""
    pick = random.Random(SEED)
    weights = [pick.lognormvariate(0, sigma) for _ in range(files)]
    scale = total / sum(weights)
    sizes = [max(64, round(weight * scale)) for weight in weights]
    sizes[0] += total - sum(sizes)
    return [(path_of(number, pick), size) for number, size in enumerate(sizes)]


def build_files(directory, entries):
    pool = random.Random(SEED).randbytes(1 << 20)
    made = set()
    for number, (path, size) in enumerate(entries):
        target = directory / path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        head = b"<!doctype html><title>%08d</title>\n" % number if path.endswith(".html") else b"%08d\n" % number
        body = bytearray(head)
        start = number * 977 % (1 << 19)
        while len(body) < size:
            body += pool[start : start + size - len(body)]
            start = 0
        target.write_bytes(body[:size])


def build_million(directory):
    """A million names of a thousand files: hard links cost no blocks."""
    pick = random.Random(SEED)
    originals = directory.with_name(directory.name + ".originals")
    originals.mkdir(exist_ok=True)
    for number in range(1000):
        (originals / str(number)).write_bytes(b"%08d\n" % number + b"x" * 1000)
    made = set()
    for number in range(1_000_000):
        target = directory / path_of(number, pick)
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        os.link(originals / str(number % 1000), target)


def build_large(directory):
    piece = random.Random(SEED).randbytes(1_000_000)
    with open(directory / "video.mp4", "wb") as file:
        for number in range(LARGE_BYTES // len(piece)):
            file.write(b"%016d" % number + piece[16:])


def build(name, directory):
    if name == MILLION:
        build_million(directory)
    elif name == LARGE:
        build_large(directory)
    elif name.startswith(SCALE):
        files = int(name.removeprefix(SCALE))
        build_files(directory, plan(files, 1024 * files, 0.15))
    elif name == PAGE:
        (directory / "index.html").write_text("<!doctype html><title>All that is left</title>\n")
    elif name == TINY:
        build_files(directory, plan(20, 200_000, 1.0))
    else:
        build_files(directory, plan(*SITES[name]))


def freshen(directory):
    """New modification times, as a fresh checkout and build have them."""
    for folder, _, names in os.walk(directory):
        for name in names:
            os.utime(os.path.join(folder, name))


def change(directory, generation):
    """Other bytes of the same size in one file of a hundred."""
    number = 0
    for folder, folders, names in sorted(os.walk(directory)):
        for name in sorted(names):
            number += 1
            if number % CHANGED_ONE_IN == 0:
                with open(os.path.join(folder, name), "r+b") as file:
                    file.seek(40)
                    file.write(b"%08d" % generation)


def rewrite(directory):
    """Other bytes of the same size in every file; those that are links to one file change with it."""
    done = set()
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            inode = os.stat(path).st_ino
            if inode in done:
                continue
            done.add(inode)
            with open(path, "r+b") as file:
                changed = bytes(byte ^ 1 for byte in file.read(8))
                file.seek(0)
                file.write(changed)


if __name__ == "__main__":
    verb, directory = sys.argv[1], Path(sys.argv[2])
    if verb == "freshen":
        freshen(directory)
    elif verb == "rewrite":
        rewrite(directory)
    elif verb == "change":
        change(directory, int(sys.argv[3]))
    else:
        build(verb, directory)
