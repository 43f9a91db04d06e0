"""Lints PEM files, CRLs and certificates, with pkilint: the validators of its `lint_crl` and `lint_pkix_cert`.

Prints for each file its findings, or `clean`.
"""

import sys

from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name
from pyasn1_alt_modules import rfc5280

# One that it has no decoder for, and would pass over.
EXTENSIONS = extension.EXTENSION_MAPPINGS | {rfc5280.id_ce_freshestCRL: rfc5280.FreshestCRL()}

CRLS = crl.create_pkix_crl_validator_container(
    [pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS), pkix.create_extension_decoder(EXTENSIONS)],
    [
        crl.create_issuer_validator_container([]),
        crl.create_validity_validator_container([]),
        crl.create_extensions_validator_container([]),
    ],
)
CERTIFICATES = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, EXTENSIONS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)


def findings(pem):
    if "BEGIN X509 CRL" in pem:
        validators, document = CRLS, loader.load_pem_crl(pem, "CRL")
    else:
        validators, document = CERTIFICATES, loader.load_pem_certificate(pem, "certificate")
    found = {
        f"{description.finding.severity.name} {description.finding.code}"
        for result in validators.validate(document.root)
        for description in result.finding_descriptions
    }
    return ", ".join(sorted(found)) or "clean"


for file in sys.argv[1:]:
    with open(file) as pem:
        print(findings(pem.read()))
