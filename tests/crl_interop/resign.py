"""Signs a CRL again, with or without freshestCRL: the CRL, the CA's key, with|without, where to."""

import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

file, key, freshest, to = sys.argv[1:]
crl = x509.load_pem_x509_crl(open(file, "rb").read())
key = serialization.load_pem_private_key(open(key, "rb").read(), None)
builder = x509.CertificateRevocationListBuilder(crl.issuer, crl.last_update_utc, crl.next_update_utc)
for extension in crl.extensions:
    if freshest == "with" or not isinstance(extension.value, x509.FreshestCRL):
        builder = builder.add_extension(extension.value, extension.critical)
for entry in crl:
    builder = builder.add_revoked_certificate(entry)
open(to, "wb").write(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
