use super::*;

const KEY: &[u8] = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----\n";
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";

fn decide(name: &str, bytes: &[u8]) -> Option<Secret> {
    suspicion(name).decide(bytes)
}

fn wide(text: &[u8]) -> Vec<u8> {
    [0xFF, 0xFE].into_iter().chain(text.iter().flat_map(|byte| [*byte, 0])).collect()
}

#[test]
fn private_keys_are_known_by_name_or_by_what_they_hold() {
    let chain = [CERTIFICATE, KEY].concat();
    let (utf16, with_mark) = (wide(KEY), [b"\xEF\xBB\xBF\r\n", KEY].concat());
    let vpn = [b"client\nremote example.com\n<key>\n", KEY, b"</key>\n"].concat();
    for (name, bytes) in [
        ("a/id_rsa", &b""[..]),
        ("server.p12", b"\x30"),
        ("server.pem", KEY),
        ("fullchain.pem", &chain),
        ("server.pem", b"who knows"),
        ("tls/server.key", KEY),
        ("deploy_rsa", KEY),
        ("AuthKey_ABC.p8", KEY),
        ("secret.asc", b"-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        ("my-service-account.json", b"{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nx"),
        ("myproject-1234abcd.json", b"{\n  \"private_key\": \"-----BEGIN PRIVATE KEY-----\\nx"),
        ("notes.txt", KEY),
        ("notes.txt", &with_mark),
        ("notes.md", KEY),
        ("deploy_key", KEY),
        ("id_rsa.bak", KEY),
        ("id_ed25519.old", KEY),
        ("server.pem.bak", &chain),
        ("client.ovpn", &vpn),
        ("x.key", &utf16),
        ("x.txt", &utf16),
        ("server.key", b"\x30\x05\x02\x01\x01\x04\x20"),
        ("k.p8", b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70"),
        ("k.bin", b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00"),
        ("encrypted", b"\x30\x82\x05\x00\x30\x57\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"),
        ("key.txt", b"# created: 2026\n# public key: age1x\nAGE-SECRET-KEY-1QQQ"),
        ("wg0.conf", b"[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"),
        ("wg0.conf", b"# home\n[Interface]\nPrivateKey=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"),
        ("old-putty", b"PuTTY-User-Key-File-3: ssh-ed25519"),
        ("jwks.json", b"{\"kty\":\"OKP\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}"),
        ("settings.yaml", b"tls:\n  key: \"-----BEGIN PRIVATE KEY-----\\nMIIB\"\n"),
    ] {
        assert_eq!(decide(name, bytes), Some(Secret::PrivateKey), "{name}");
    }
}

#[test]
fn state_files_and_credentials_are_known_too() {
    let state = b"{\n  \"version\": 4,\n  \"terraform_version\": \"1.9.0\",\n  \"serial\": 1,\n  \"lineage\": \"x\"";
    for (name, bytes) in [
        ("terraform.tfstate", &b""[..]),
        ("x/terraform.tfstate.backup", b""),
        ("terraform.tfstate.1700000000.backup", b""),
        ("prod.tfvars", b""),
        ("prod.auto.tfvars", b""),
        ("prod.tfvars.json", b""),
        ("release.tfplan", b""),
        ("state.json", state),
        ("state.bak", state),
    ] {
        assert_eq!(decide(name, bytes), Some(Secret::State), "{name}");
    }
    let aws = b"[default]\naws_access_key_id = A\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
    for (name, bytes) in [
        (".env", &b""[..]),
        (".env.production", b""),
        (".envrc", b""),
        ("prod.env", b""),
        ("x/config.env", b""),
        (".npmrc", b""),
        ("rootkey.csv", b""),
        ("kubeconfig", b""),
        ("prod.kubeconfig", b""),
        ("kubeconfig.yaml", b""),
        ("wp-config.php", b""),
        ("wp-config.php.bak", b""),
        ("passwords.kdbx", b""),
        ("credentials", aws),
        ("credentials.csv", b"\xEF\xBB\xBFUser name,Password,Access key ID,Secret access key,Console login link\n"),
        ("admin.conf", b"apiVersion: v1\nkind: Config\nusers:\n- user:\n    client-key-data: LS0tLS1CRUdJTg=="),
    ] {
        assert_eq!(decide(name, bytes), Some(Secret::Credentials), "{name}");
    }
}

#[test]
fn pages_about_secrets_are_published() {
    let tells = [b"# How to make a key\n\n", KEY].concat();
    let page = [b"<!doctype html><pre>\n", KEY].concat();
    for (name, bytes) in [
        ("id_rsa.pub", &b"ssh-rsa x"[..]),
        ("ca.pem", CERTIFICATE),
        ("ca.crt", CERTIFICATE),
        ("ca.der", b"\x30\x82\x03\x00\x30\x82\x02\x00\xa0\x03\x02\x01\x02"),
        ("slides.key", b"PK\x03\x04"),
        ("security.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----"),
        ("how-to-make-a.html", KEY),
        ("docs/wp-config.html", b""),
        ("how-to.md", &tells),
        ("_sources/how-to.rst.txt", &tells),
        ("how-to", &page),
        ("example.conf", b"ssl_key:\n-----BEGIN PRIVATE KEY-----\n...\n"),
        ("search.json", b"{\"text\": \"{\\\"private_key\\\": \\\"-----BEGIN PRIVATE KEY-----\"}"),
        ("jwks.json", b"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"x\",\"e\":\"AQAB\"}]}"),
        ("people.csv", b"name,access\n"),
        ("program.bin", b"\x7fELF\0\0\n-----BEGIN PRIVATE KEY-----\nMIIB\n"),
        (".env.example", b""),
        ("example.env", b""),
        ("CNAME", b"example.com"),
    ] {
        assert_eq!(decide(name, bytes), None, "{name}");
    }
}

#[test]
fn only_what_may_be_a_secret_is_read_and_little_of_it() {
    assert_eq!(suspicion("assets/app.js").looks_at(), 0);
    assert_eq!(suspicion("data.json").looks_at(), 4096);
    assert_eq!(suspicion("LICENSE").looks_at(), 65_536);
    assert_eq!(suspicion_of_name("/nix/store/0c1a"), Suspicion::None, "a store of files by digest");
    assert_eq!(suspicion_of_name("/home/me/.ssh/id_rsa"), Suspicion::Certain(Secret::PrivateKey));
}
