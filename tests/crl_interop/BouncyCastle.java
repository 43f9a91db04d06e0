import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.bouncycastle.jcajce.PKIXExtendedParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** Validates paths with BouncyCastle, by CRLs from files; java.rs has the orders. */
final class BouncyCastle {
    /** What it says when no CRL at hand speaks of a certificate: the last that it tried is of another scope or key. */
    private static final List<String> UNDECIDED = List.of(
            "No match for certificate CRL issuing distribution point name", "Cannot verify CRL.", "No CRLs found");
    private static final Pattern REVOKED = Pattern.compile("Certificate revocation after .*, reason: (\\w+)");

    private final CertificateFactory factory = CertificateFactory.getInstance("X.509", "BC");
    private final CertPathValidator validator = CertPathValidator.getInstance("PKIX", "BC");
    private final Map<String, Object> read = new HashMap<>();

    private BouncyCastle() throws Exception {}

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        var castle = new BouncyCastle();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] order = line.split("\t");
            boolean deltas = order[0].equals("deltas");
            var parameters = castle.parameters(deltas, order[1].split(","), order[2].split(","));
            for (String certificate : order[3].split(",")) {
                System.out.println(castle.verdict(castle.certificate(certificate), parameters));
            }
        }
    }

    private PKIXExtendedParameters parameters(boolean deltas, String[] anchors, String[] lists) throws Exception {
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
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(crls), "BC"));
        return new PKIXExtendedParameters.Builder(parameters).setUseDeltasEnabled(deltas).build();
    }

    private String verdict(X509Certificate certificate, PKIXExtendedParameters parameters) throws Exception {
        try {
            validator.validate(factory.generateCertPath(List.of(certificate)), parameters);
            return "good";
        } catch (CertPathValidatorException error) {
            String said = String.valueOf(error.getMessage());
            var revoked = REVOKED.matcher(said);
            if (revoked.find()) {
                return "revoked " + revoked.group(1).toLowerCase();
            }
            return UNDECIDED.stream().anyMatch(said::startsWith) ? "undecided" : "failed: " + error;
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
