"""Rewrites a journal: one serial instead of another in a frame of its end, and the chain made whole again.

rewrite.py STORE AUTHORITY FROM TO
"""
import hashlib, pathlib, shutil, struct, sys, zlib

store, authority = pathlib.Path(sys.argv[1]), int(sys.argv[2])
one, other = (bytes.fromhex(text[2:].rjust(len(text) - 2 + len(text) % 2, "0")) for text in sys.argv[3:5])
assert len(one) == len(other), "of one length"
named = lambda serial: bytes([authority, 1, len(serial)]) + serial
rewritten, head, last = 0, bytes(32), 0
for path in sorted((store / "journal").iterdir()):
    octets, at, out = path.read_bytes(), 0, b""
    while at < len(octets):
        length = struct.unpack(">I", octets[at + 24 : at + 28])[0]
        header, payload = octets[at : at + 60], octets[at + 64 : at + 64 + length]
        first, count = struct.unpack(">QI", header[12:24])
        # Behind all that the archive's frames speak of: the last frame that names it is the revocation.
        if payload.count(named(one)) == 1 and len(payload) < 400 and first > int(sys.argv[5]):
            payload, rewritten = payload.replace(named(one), named(other)), rewritten + 1
        header = header[:28] + head
        head = hashlib.sha256(header + payload).digest()
        out += header + struct.pack(">I", zlib.crc32(header + payload)) + payload
        at, last = at + 64 + length, first + count - 1
    path.write_bytes(out)
assert rewritten == 1, rewritten
for derived in ("acknowledged", "stopped", "snapshot", "projection"):
    path = store / derived
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
print(last)
