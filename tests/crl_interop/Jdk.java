import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Validates paths with the JDK's own checker, by CRLs from files; java.rs has the orders. */
final class Jdk {
    private final CertificateFactory factory = CertificateFactory.getInstance("X.509");
    private final Map<String, Object> read = new HashMap<>();

    private Jdk() throws Exception {}

    public static void main(String[] arguments) throws Exception {
        var jdk = new Jdk();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] order = line.split("\t");
            PKIXParameters parameters = jdk.parameters(order[1].split(","), order[2].split(","));
            for (String certificate : order[3].split(",")) {
                System.out.println(jdk.verdict(jdk.certificate(certificate), parameters));
            }
        }
    }

    /** It has no setting for deltas: they lie in the store like any CRL. */
    private PKIXParameters parameters(String[] anchors, String[] lists) throws Exception {
        // They are copied into a set without order: which is tried first is not ours to choose.
        Set<TrustAnchor> trusted = new LinkedHashSet<>();
        for (String anchor : anchors) {
            trusted.add(new TrustAnchor(certificate(anchor), null));
        }
        List<X509CRL> crls = new ArrayList<>();
        for (String list : lists) {
            crls.add(crl(list));
        }
        var parameters = new PKIXParameters(trusted);
        // The policies of residents' certificates are critical and carry a CPS qualifier.
        parameters.setPolicyQualifiersRejected(false);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(crls)));
        return parameters;
    }

    private String verdict(X509Certificate certificate, PKIXParameters shared) throws Exception {
        var parameters = (PKIXParameters) shared.clone();
        var validator = CertPathValidator.getInstance("PKIX");
        var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(EnumSet.of(Option.PREFER_CRLS, Option.NO_FALLBACK));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(factory.generateCertPath(List.of(certificate)), parameters);
            return "good";
        } catch (CertPathValidatorException error) {
            if (error.getCause() instanceof CertificateRevokedException revoked) {
                return "revoked " + revoked.getRevocationReason().name().replace("_", "").toLowerCase();
            }
            boolean undetermined = error.getReason() == BasicReason.UNDETERMINED_REVOCATION_STATUS;
            return undetermined ? "undecided" : "failed: " + error;
        }
    }

    private X509Certificate certificate(String file) throws Exception {
        if (!read.containsKey(file)) {
            try (var in = Files.newInputStream(Path.of(file))) {
                read.put(file, factory.generateCertificate(in));
            }
        }
        return (X509Certificate) read.get(file);
    }

    private X509CRL crl(String file) throws Exception {
        if (!read.containsKey(file)) {
            try (var in = Files.newInputStream(Path.of(file))) {
                read.put(file, factory.generateCRL(in));
            }
        }
        return (X509CRL) read.get(file);
    }
}
