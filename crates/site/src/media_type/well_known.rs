//! The media types of files below `.well-known/`, most of which have no extension
//! (<https://www.iana.org/assignments/well-known-uris/well-known-uris.xhtml>).

/// The folder.
const FOLDER: &str = ".well-known/";

/// The media type of a key by its place below `.well-known/`, wherever that folder is: some issuers have it below a
/// path.
pub(super) fn of(key: &str) -> Option<&'static str> {
    let below = match key.strip_prefix(FOLDER) {
        Some(below) => below,
        None => key.split_once(&format!("/{FOLDER}"))?.1,
    };
    let name = below.split('/').next().unwrap_or(below);
    Some(match name {
        // OpenID, OAuth and what builds on them; some append the issuer's path to the name (RFC 8414).
        "openid-configuration"
        | "oauth-authorization-server"
        | "oauth-protected-resource"
        | "openid-credential-issuer"
        | "uma2-configuration"
        | "jwks"
        | "jwt-vc-issuer"
        | "gnap-as-rs"
        | "smart-configuration" => "application/json",
        // Apps and browsers.
        "com.apple.remotemanagement" | "passkey-endpoints" | "webauthn" | "fido-2fa-metadata" | "web-identity" => {
            "application/json"
        }
        "openid-federation" => "application/entity-statement+jwt",
        "http-message-signatures-directory" => "application/http-message-signatures-directory+json",
        // Contacts and payments.
        "lnurlp" | "matrix" | "nodeinfo" | "jmap" | "x-nodeinfo2" => "application/json",
        "webfinger" => "application/jrd+json",
        "host-meta" => "application/xrd+xml",
        // Networks and devices.
        "sshfp" | "repute-template" => "application/json",
        "api-catalog" => "application/linkset+json",
        "traffic-advice" => "application/trafficadvice+json",
        "pvd" => "application/pvd+json",
        "wot" => "application/td+json",
        "core" => "application/link-format",
        // Identifiers, and responses to challenges.
        "atproto-did" | "discord" | "acme-challenge" | "pki-validation" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::media_type::of;

    #[test]
    fn what_has_no_extension_below_well_known_has_the_type_of_its_specification() {
        let expected = [
            (".well-known/openid-configuration", "application/json"),
            ("tenant/.well-known/openid-configuration", "application/json"),
            (".well-known/oauth-authorization-server/tenant", "application/json"),
            (".well-known/oauth-protected-resource", "application/json"),
            (".well-known/matrix/client", "application/json"),
            (".well-known/matrix/server", "application/json"),
            (".well-known/nodeinfo/2.1", "application/json"),
            (".well-known/com.apple.remotemanagement", "application/json"),
            (".well-known/nodeinfo", "application/json"),
            (".well-known/lnurlp/alice", "application/json"),
            (".well-known/openid-federation", "application/entity-statement+jwt"),
            (".well-known/http-message-signatures-directory", "application/http-message-signatures-directory+json"),
            (".well-known/webfinger", "application/jrd+json"),
            (".well-known/host-meta", "application/xrd+xml"),
            (".well-known/host-meta.json", "application/json; charset=utf-8"),
            (".well-known/assetlinks.json", "application/json; charset=utf-8"),
            (".well-known/did.json", "application/json; charset=utf-8"),
            (".well-known/security.txt", "text/plain; charset=utf-8"),
            (".well-known/atproto-did", "text/plain; charset=utf-8"),
            (".well-known/api-catalog", "application/linkset+json"),
            (".well-known/apple-app-site-association", "application/json"),
            ("apple-app-site-association", "application/json"),
            (".well-known/something-else", "application/octet-stream"),
            ("openid-configuration", "application/octet-stream"),
        ];
        for (key, media_type) in expected {
            assert_eq!(of(key), media_type, "{key}");
        }
    }
}
