"""Lints OCSP answers, and the first one's signer certificate, with pkilint.

Prints for each file its findings, or `clean`; the certificate's stand before the last file's.
"""

import sys

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkilint import loader, pkix
from pkilint.pkix import certificate, extension, name
from pkilint.pkix import ocsp as linted

NAMES = pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS)
EXTENSIONS = pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS)

ANSWERS = linted.create_pkix_ocsp_response_validator_container(
    [linted.create_response_decoder(), NAMES, EXTENSIONS], []
)
CERTIFICATES = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)


def findings(validators, document):
    found = [
        f"{description.finding.severity.name} {description.finding.code}"
        for result in validators.validate(document.root)
        for description in result.finding_descriptions
    ]
    return ", ".join(found) or "clean"


def answer(octets):
    return findings(ANSWERS, loader.load_der_ocsp_response(octets, "answer"))


*files, last = [open(file, "rb").read() for file in sys.argv[1:]]
for octets in files:
    print(answer(octets))
signer = ocsp.load_der_ocsp_response(files[0]).certificates[0].public_bytes(Encoding.DER)
print(findings(CERTIFICATES, loader.load_der_certificate(signer, "signer")))
print(answer(last))
