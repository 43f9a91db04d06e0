import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Method;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CRLReason;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.Extension;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** Validates a certificate's path with the JDK's own revocation checker; programs.rs has the orders. */
final class Jdk {
    /** Nobody listens there: an answer that is read from a file must do. */
    private static final URI NOBODY = URI.create("http://127.0.0.1:1/");

    /** What the checker says of a status unknown; other undetermined statuses are failures. */
    private static final String UNKNOWN = "Certificate's revocation status is unknown";

    private final CertificateFactory factory = CertificateFactory.getInstance("X.509");
    private final CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    private final PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();

    private Jdk() throws Exception {
        checker.setOptions(EnumSet.of(Option.ONLY_END_ENTITY, Option.NO_FALLBACK));
    }

    public static void main(String[] arguments) throws Exception {
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] order = line.split("\t");
            boolean ask = order[0].equals("ask");
            System.out.println(ask ? new Jdk().ask(order) : new Jdk().read(order));
        }
        System.out.println("methods: " + Arrays.stream(PKIXRevocationChecker.class.getMethods())
                .filter(method -> method.getDeclaringClass() != Object.class)
                .map(Method::getName).distinct().sorted().collect(Collectors.joining(" ")));
    }

    private String ask(String[] order) throws Exception {
        System.setProperty("jdk.security.certpath.ocspNonce", String.valueOf(order[3].equals("nonce")));
        checker.setOcspResponder(URI.create(order[4]));
        if (order[1].equals("POST")) {
            checker.setOcspExtensions(List.of(new Ballast()));
        }
        return validate(certificate(order[5]), order[6].split(","));
    }

    private String read(String[] order) throws Exception {
        System.setProperty("jdk.security.certpath.ocspNonce", "false");
        X509Certificate certificate = certificate(order[2]);
        checker.setOcspResponder(NOBODY);
        checker.setOcspResponses(Map.of(certificate, Files.readAllBytes(Path.of(order[1]))));
        return validate(certificate, order[3].split(","));
    }

    private String validate(X509Certificate certificate, String[] issuers) throws Exception {
        // They are copied into a set without order: which is tried first is not ours to choose.
        Set<TrustAnchor> trusted = new LinkedHashSet<>();
        for (String issuer : issuers) {
            trusted.add(new TrustAnchor(certificate(issuer), null));
        }
        PKIXParameters parameters = new PKIXParameters(trusted);
        // The policies of residents' certificates are critical and carry a CPS qualifier.
        parameters.setPolicyQualifiersRejected(false);
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(factory.generateCertPath(List.of(certificate)), parameters);
            return "good";
        } catch (CertPathValidatorException error) {
            if (error.getCause() instanceof CertificateRevokedException revoked) {
                return revoked.getRevocationReason() == CRLReason.CERTIFICATE_HOLD ? "hold" : "revoked";
            }
            boolean undetermined = error.getReason() == BasicReason.UNDETERMINED_REVOCATION_STATUS;
            return undetermined && UNKNOWN.equals(error.getMessage()) ? "unknown" : "refused: " + error;
        }
    }

    private X509Certificate certificate(String file) throws Exception {
        try (var in = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) factory.generateCertificate(in);
        }
    }

    /** An extension nobody knows, long enough that the request no longer fits the address of a GET. */
    private static final class Ballast implements Extension {
        /** 1.3.6.1.4.1.32473.1, of the number for examples in documents (RFC 5612), and its length. */
        private static final byte[] HEAD = {
            0x30, (byte) 0x81, (byte) 0x8e, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, (byte) 0x81, (byte) 0xfd,
            0x59, 0x01, 0x04, (byte) 0x81, (byte) 0x80
        };

        @Override
        public String getId() {
            return "1.3.6.1.4.1.32473.1";
        }

        @Override
        public boolean isCritical() {
            return false;
        }

        @Override
        public byte[] getValue() {
            return new byte[128];
        }

        @Override
        public void encode(OutputStream out) throws IOException {
            out.write(HEAD);
            out.write(getValue());
        }
    }
}
