"""Builds requests and verifies answers with python-cryptography; programs.rs has the orders."""

import base64
import datetime
import os
import sys
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

HASHES = {"SHA-1": hashes.SHA1(), "SHA-256": hashes.SHA256()}


def ask(method, name, with_nonce, url, certificate, issuer):
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, HASHES[name])
    nonce = os.urandom(32) if with_nonce == "nonce" else None
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    request = builder.build().public_bytes(serialization.Encoding.DER)
    if method == "GET":
        path = urllib.parse.quote(base64.b64encode(request), safe="")
        carried = urllib.request.Request(url + path)
    else:
        headers = {"Content-Type": "application/ocsp-request"}
        carried = urllib.request.Request(url, data=request, headers=headers)
    with urllib.request.urlopen(carried) as response:
        return status(response.read(), certificate, issuer, nonce)


def read(answer, certificate, issuer):
    with open(answer, "rb") as file:
        return status(file.read(), certificate, issuer, None)


def status(octets, certificate, issuer, nonce):
    """The status in an answer that may be believed: RFC 6960 section 3.2."""
    answer = ocsp.load_der_ocsp_response(octets)
    if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        return f"refused: {answer.response_status}"
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = answer.certificates[0]
    try:
        signer.verify_directly_issued_by(issuer)
        verify(signer.public_key(), answer)
    except (InvalidSignature, ValueError) as error:
        return f"refused: {error!r}"
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        return "refused: the signer may not sign answers"
    if not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc:
        return "refused: the signer is not valid now"
    try:
        echoed = answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        echoed = None
    if echoed != nonce:
        return "refused: another nonce"
    [single] = answer.responses
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    for part in ("serial_number", "issuer_name_hash", "issuer_key_hash"):
        if getattr(single, part) != getattr(asked, part):
            return "refused: an answer to something else"
    if not single.this_update_utc <= now < single.next_update_utc:
        return "refused: not of now"
    if single.revocation_reason == x509.ReasonFlags.certificate_hold:
        return "hold"
    return single.certificate_status.name.lower()


def verify(key, answer):
    signed, by = answer.tbs_response_bytes, answer.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(answer.signature, signed, padding.PKCS1v15(), by)
    else:
        key.verify(answer.signature, signed, ec.ECDSA(by))


def load(file):
    with open(file, "rb") as pem:
        return x509.load_pem_x509_certificate(pem.read())


for line in open(sys.argv[1]):
    *order, certificate, issuer = line.rstrip("\n").split("\t")
    act = {"ask": ask, "read": read}[order[0]]
    print(act(*order[1:], load(certificate), load(issuer)))
