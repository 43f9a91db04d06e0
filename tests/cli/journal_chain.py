"""Checks the chain of exported frames, as the README describes them, with nothing of the product.

Usage: journal_chain.py FRAMES; prints the frames, the last entry and the head, or what is wrong (exit 1).
"""

import hashlib
import struct
import sys
import zlib

HEADER = struct.Struct(">4sIIQII32sI")


def walk(octets):
    at, following, head, frames = 0, 1, bytes(32), []
    while at < len(octets):
        if len(octets) - at < HEADER.size:
            sys.exit(f"octet {at}: half a header")
        covered = octets[at : at + 60]
        magic, version, epoch, first, count, length, previous, checksum = HEADER.unpack_from(octets, at)
        payload = octets[at + HEADER.size : at + HEADER.size + length]
        if magic != b"SKJF" or len(payload) != length:
            sys.exit(f"octet {at}: no whole frame")
        if zlib.crc32(covered + payload) != checksum:
            sys.exit(f"octet {at}: the checksum is wrong")
        if previous != head or first != following:
            sys.exit(f"octet {at}: the frame does not follow the one before")
        head = hashlib.sha256(covered + payload).digest()
        frames.append((first, at, head.hex()))
        at, following = at + HEADER.size + length, first + count
    return frames, following - 1


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        frames, last = walk(file.read())
    for first, offset, head in frames:
        print("frame", first, offset, head)
    print("end", len(frames), last, frames[-1][2])
