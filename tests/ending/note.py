"""Verifies a signed note (C2SP signed-note) by its verifier key: note.py FILE KEY"""
import base64, hashlib, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

name, key_id, key = sys.argv[2].strip().split("+", 2)
key = base64.b64decode(key)
assert key[0] == 1 and len(key) == 33
assert hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_id
text, signatures = open(sys.argv[1], encoding="utf-8").read().split("\n\n")
dash, signer, signature = signatures.rstrip("\n").split(" ")
signature = base64.b64decode(signature)
assert (dash, signer, signature[:4].hex()) == ("\u2014", name, key_id)
Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], (text + "\n").encode())
origin, position, head = text.split("\n")[:3]
assert origin == name and len(base64.b64decode(head)) == 32
print(position)
