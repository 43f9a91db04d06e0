import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.Date;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateID;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPReqBuilder;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.cert.ocsp.UnknownStatus;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** Builds requests and verifies answers with BouncyCastle; programs.rs has the orders. */
final class BouncyCastle {
    private static final AlgorithmIdentifier SHA1 = new AlgorithmIdentifier(OIWObjectIdentifiers.idSHA1);
    private static final AlgorithmIdentifier SHA256 = new AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256);

    private static int paths = 0;

    private final DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().build();
    private final X509CertificateHolder issuer;
    private final CertificateID id;

    /** A question or an answer about one certificate. */
    private BouncyCastle(AlgorithmIdentifier hash, String certificate, String issuers) throws Exception {
        X509CertificateHolder asked = certificate(certificate);
        this.issuer = issuer(asked, issuers.split(","));
        this.id = new CertificateID(digests.get(hash), this.issuer, asked.getSerialNumber());
    }

    /** The first of them whose key signed it: several keys of a CA have one name. */
    private static X509CertificateHolder issuer(X509CertificateHolder asked, String[] files) throws Exception {
        for (String file : files) {
            X509CertificateHolder issuer = certificate(file);
            if (issuer.getSubject().equals(asked.getIssuer()) && asked.isSignatureValid(key(issuer))) {
                return issuer;
            }
        }
        throw new IllegalArgumentException("none of them issued it");
    }

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] order = line.split("\t");
            System.out.println(switch (order[0]) {
                case "ask" -> ask(order);
                case "path" -> path(order);
                default -> read(order);
            });
        }
    }

    private static String ask(String[] order) throws Exception {
        var about = new BouncyCastle(order[2].equals("SHA-1") ? SHA1 : SHA256, order[5], order[6]);
        var builder = new OCSPReqBuilder().addRequest(about.id);
        Extension nonce = null;
        if (order[3].equals("nonce")) {
            byte[] octets = new SecureRandom().generateSeed(32);
            byte[] value = new DEROctetString(octets).getEncoded();
            nonce = new Extension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce, false, value);
            builder.setRequestExtensions(new Extensions(nonce));
        }
        byte[] request = builder.build().getEncoded();
        return about.status(order[1].equals("GET") ? get(order[4], request) : post(order[4], request), nonce);
    }

    private static String read(String[] order) throws Exception {
        byte[] answer = Files.readAllBytes(Path.of(order[1]));
        return new BouncyCastle(SHA1, order[2], order[3]).status(answer, null);
    }

    /** What the provider's own validation of the path says: it asks, and verifies, by itself. */
    private static String path(String[] order) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Set<TrustAnchor> trusted = new LinkedHashSet<>();
        for (String file : order[3].split(",")) {
            trusted.add(new TrustAnchor(x509(file), null));
        }
        var parameters = new PKIXParameters(trusted);
        // The policies of residents' certificates are critical and carry a CPS qualifier.
        parameters.setPolicyQualifiersRejected(false);
        var validator = CertPathValidator.getInstance("PKIX", "BC");
        var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(EnumSet.of(Option.ONLY_END_ENTITY, Option.NO_FALLBACK));
        // It keeps answers by their responder's address, of which nobody sends the fragment.
        checker.setOcspResponder(URI.create(order[1] + "#" + paths++));
        parameters.addCertPathChecker(checker);
        var certificates = CertificateFactory.getInstance("X.509", "BC");
        try {
            validator.validate(certificates.generateCertPath(List.of(x509(order[2]))), parameters);
            return "good";
        } catch (CertPathValidatorException error) {
            String said = String.valueOf(error.getMessage());
            if (!said.startsWith("certificate revoked, ")) {
                return "refused: " + error;
            }
            return said.contains("certificateHold") ? "hold" : "revoked";
        }
    }

    private static X509Certificate x509(String file) throws Exception {
        return new JcaX509CertificateConverter().setProvider("BC").getCertificate(certificate(file));
    }

    /** The status in an answer that may be believed: RFC 6960 section 3.2. */
    private String status(byte[] answer, Extension nonce) throws Exception {
        var response = new OCSPResp(answer);
        if (response.getStatus() != OCSPResp.SUCCESSFUL) {
            return "refused: status " + response.getStatus();
        }
        var basic = (BasicOCSPResp) response.getResponseObject();
        X509CertificateHolder signer = basic.getCerts()[0];
        if (!signer.isSignatureValid(key(issuer)) || !signer.getIssuer().equals(issuer.getSubject())) {
            return "refused: the signer is not of this issuer";
        }
        ExtendedKeyUsage usage = ExtendedKeyUsage.fromExtensions(signer.getExtensions());
        if (usage == null || !usage.hasKeyPurposeId(KeyPurposeId.id_kp_OCSPSigning)) {
            return "refused: the signer may not sign answers";
        }
        if (!signer.isValidOn(new Date()) || !basic.isSignatureValid(key(signer))) {
            return "refused: the signature is not valid";
        }
        Extension echoed = basic.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce);
        if (nonce == null ? echoed != null : !nonce.equals(echoed)) {
            return "refused: another nonce";
        }
        SingleResp[] singles = basic.getResponses();
        if (singles.length != 1 || !isAsked(singles[0].getCertID())) {
            return "refused: an answer to something else";
        }
        Date now = new Date();
        if (singles[0].getThisUpdate().after(now) || !singles[0].getNextUpdate().after(now)) {
            return "refused: not of now";
        }
        return word(singles[0].getCertStatus());
    }

    private boolean isAsked(CertificateID answered) throws Exception {
        return answered.getSerialNumber().equals(id.getSerialNumber()) && answered.matchesIssuer(issuer, digests);
    }

    private static String word(CertificateStatus status) {
        if (status == CertificateStatus.GOOD) {
            return "good";
        }
        if (status instanceof RevokedStatus revoked) {
            boolean hold = revoked.hasRevocationReason() && revoked.getRevocationReason() == CRLReason.certificateHold;
            return hold ? "hold" : "revoked";
        }
        return status instanceof UnknownStatus ? "unknown" : "refused: " + status;
    }

    private static byte[] get(String url, byte[] request) throws IOException {
        String path = URLEncoder.encode(Base64.getEncoder().encodeToString(request), StandardCharsets.UTF_8);
        var connection = (HttpURLConnection) URI.create(url + path).toURL().openConnection();
        return connection.getInputStream().readAllBytes();
    }

    private static byte[] post(String url, byte[] request) throws IOException {
        var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "application/ocsp-request");
        connection.getOutputStream().write(request);
        return connection.getInputStream().readAllBytes();
    }

    private static ContentVerifierProvider key(X509CertificateHolder certificate) throws Exception {
        return new JcaContentVerifierProviderBuilder().build(certificate);
    }

    private static X509CertificateHolder certificate(String file) throws IOException {
        try (var reader = new PEMParser(Files.newBufferedReader(Path.of(file)))) {
            return (X509CertificateHolder) reader.readObject();
        }
    }
}
