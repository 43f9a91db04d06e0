"""Reads CRLs and certificates with python-cryptography and holds them to what is true; cryptography.rs has the facts."""

import datetime
import json
import sys

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

CRITICAL = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: False,
    ExtensionOID.CRL_NUMBER: False,
    ExtensionOID.FRESHEST_CRL: False,
    ExtensionOID.ISSUING_DISTRIBUTION_POINT: True,
    ExtensionOID.DELTA_CRL_INDICATOR: True,
}
EVERY = {ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.CRL_NUMBER}
MORE = {
    "full": ExtensionOID.FRESHEST_CRL,
    "delta": ExtensionOID.DELTA_CRL_INDICATOR,
    "partition": ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    "authority": ExtensionOID.ISSUING_DISTRIBUTION_POINT,
}


def read(row, file, entries, cas):
    with open(file, "rb") as pem:
        crl = x509.load_pem_x509_crl(pem.read())
    ca = cas[f"{row['authority']}/{row['generation']}"]
    assert crl.issuer.public_bytes() == ca.subject.public_bytes()
    assert crl.issuer.public_bytes().hex() == row["issuer"]["der"]
    for key, other in cas.items():
        own = key == f"{row['authority']}/{row['generation']}"
        assert crl.is_signature_valid(other.public_key()) == own, (row["url"], key)
    assert crl.last_update_utc == time(row["this_update"]) and crl.next_update_utc == time(row["next_update"])
    assert {one.oid: one.critical for one in crl.extensions} == {
        oid: CRITICAL[oid] for oid in EVERY | {MORE[row["kind"]]}
    }
    value = lambda kind: crl.extensions.get_extension_for_class(kind).value
    assert value(x509.CRLNumber).crl_number == int(row["number"])
    identifier = value(x509.AuthorityKeyIdentifier)
    of_ca = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == x509.AuthorityKeyIdentifier(of_ca.digest, None, None)
    if row["kind"] == "full":
        [point] = value(x509.FreshestCRL)
        assert [name.value for name in point.full_name] == [row["freshest_crl"]]
        assert (point.relative_name, point.reasons, point.crl_issuer) == (None, None, None)
    elif row["kind"] == "delta":
        assert value(x509.DeltaCRLIndicator).crl_number == int(row["base_number"]) < int(row["number"])
    else:
        point = value(x509.IssuingDistributionPoint)
        [name] = point.full_name
        assert name.value.public_bytes().hex() == row["distribution_point"]["der"]
        assert point == x509.IssuingDistributionPoint(
            full_name=point.full_name,
            relative_name=None,
            only_contains_user_certs=row["kind"] == "partition",
            only_contains_ca_certs=row["kind"] == "authority",
            only_some_reasons=None,
            indirect_crl=False,
            only_contains_attribute_certs=False,
        )
    listed = [entry(one) for one in crl]
    assert len(listed) == row["entries"]
    assert dict(listed) == {int(serial, 16): tuple(rest) for serial, rest in entries.items()}, row["url"]
    assert len(dict(listed)) == len(listed), "each once"


def entry(one):
    assert not any(extension.critical for extension in one.extensions)
    by_oid = {extension.oid: extension.value for extension in one.extensions}
    reason = by_oid.pop(CRLEntryExtensionOID.CRL_REASON)
    # A card that was lost was so before it was recorded.
    invalidity = by_oid.pop(CRLEntryExtensionOID.INVALIDITY_DATE, None)
    assert invalidity is None or invalidity.invalidity_date_utc <= one.revocation_date_utc
    assert not by_oid
    return one.serial_number, (reason.reason.value, int(one.revocation_date_utc.timestamp()))


def certificate(file, authority, generation, point, cas):
    with open(file, "rb") as pem:
        read = x509.load_pem_x509_certificate(pem.read())
    read.verify_directly_issued_by(cas[f"{authority}/{generation}"])
    [named] = read.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    [name] = named.full_name
    assert name.value.public_bytes().hex() == point


def time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def load(file):
    with open(file, "rb") as pem:
        return x509.load_pem_x509_certificate(pem.read())


facts = json.load(open(sys.argv[1]))
cas = {key: load(file) for key, file in facts["cas"].items()}
for one in facts["crls"]:
    read(**one, cas=cas)
for one in facts["certificates"]:
    certificate(**one, cas=cas)
print("read", len(facts["crls"]), len(facts["certificates"]))
