//! AWS's variables as people set them: pasted with a line break, empty, or with values that no request can carry.
//!
//! The SDK uses most of them unchecked, and fails, or even panics, when a value becomes a header or a host name. So
//! they are checked first: surrounding white space is removed, an empty value counts as not set, and any other
//! value that cannot be sent is refused by the name of its variable.

use crate::error::{Error, Result};
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::config::Credentials;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use url::Url;

/// The expected form of an endpoint.
const WRITE_ENDPOINT: &str = "write it as https://HOST or http://HOST:PORT";
/// Maximum length of a part of a host name (RFC 1035).
const MAX_LABEL: usize = 63;

/// What a variable is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    /// A part of a host name, and of a header.
    Label,
    /// A header, or a part of one.
    Header,
    /// The same, but it must not be shown.
    Secret,
    /// The URL of requests.
    Url,
    /// A name in a file.
    Name,
}

/// The variables that the SDK reads without checking. The rest are words from a list, numbers and paths.
const VARIABLES: [(&str, Becomes); 18] = [
    ("AWS_REGION", Becomes::Label),
    ("AWS_DEFAULT_REGION", Becomes::Label),
    ("AWS_ACCESS_KEY_ID", Becomes::Header),
    ("AWS_SECRET_ACCESS_KEY", Becomes::Secret),
    ("AWS_SESSION_TOKEN", Becomes::Secret),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Becomes::Secret),
    ("AWS_EXECUTION_ENV", Becomes::Name),
    ("AWS_LAMBDA_FUNCTION_NAME", Becomes::Name),
    ("AWS_ROLE_ARN", Becomes::Name),
    ("AWS_ROLE_SESSION_NAME", Becomes::Name),
    ("AWS_PROFILE", Becomes::Name),
    ("AWS_ENDPOINT_URL", Becomes::Url),
    ("AWS_ENDPOINT_URL_S3", Becomes::Url),
    ("AWS_ENDPOINT_URL_CLOUDFRONT", Becomes::Url),
    ("AWS_ENDPOINT_URL_CODEPIPELINE", Becomes::Url),
    ("AWS_ENDPOINT_URL_STS", Becomes::Url),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Becomes::Url),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Becomes::Url),
];

/// Variables that the SDK reads itself, unchanged: their white space cannot be removed.
const READ_AS_IT_STANDS: [&str; 7] = [
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// AWS's variables, all of which can be sent.
#[derive(Debug, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, String>,
    /// Whether `AWS_PROFILE` is set and empty.
    has_empty_profile: bool,
}

impl Environment {
    /// Reads the variables of this process.
    pub fn of_process() -> Result<Environment> {
        Environment::read(|name| std::env::var_os(name))
    }

    /// Reads variables by name.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Environment> {
        let mut environment = Environment::default();
        for (name, becomes) in VARIABLES {
            let Some(value) = variable(name) else { continue };
            match checked(name, becomes, &value)? {
                Some(value) => {
                    environment.values.insert(name, value);
                }
                None => environment.has_empty_profile |= name == "AWS_PROFILE",
            }
        }
        Ok(environment)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The region, if one is set.
    pub(super) fn region(&self) -> Option<Region> {
        let region = self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION"))?;
        Some(Region::new(region.to_owned()))
    }

    /// The profile, if one is set; the default one if the variable is empty, which the SDK would use as a name.
    pub(super) fn profile(&self) -> Option<&str> {
        self.get("AWS_PROFILE").or_else(|| self.has_empty_profile.then_some("default"))
    }

    /// The credentials, if they are set.
    fn credentials(&self) -> Option<Credentials> {
        let (key, secret) = (self.get("AWS_ACCESS_KEY_ID")?, self.get("AWS_SECRET_ACCESS_KEY")?);
        let token = self.get("AWS_SESSION_TOKEN").map(str::to_owned);
        Some(Credentials::new(key, secret, token, None, "EnvironmentVariable"))
    }

    /// Credentials from here, otherwise from where the SDK finds them; its own chain begins with the environment as
    /// well.
    fn provider(&self, chain: SharedCredentialsProvider) -> SharedCredentialsProvider {
        match self.credentials() {
            Some(credentials) => SharedCredentialsProvider::new(credentials),
            None => SharedCredentialsProvider::new(Sendable(chain)),
        }
    }

    /// The SDK's configuration, with corrections for what it read differently. With its own credentials, it
    /// requests no others.
    pub(super) fn correct(&self, sdk: SdkConfig, has_own_credentials: bool) -> Result<SdkConfig> {
        if let Some(region) = sdk.region()
            && !is_label(region.as_ref())
        {
            let problem = format!("{:?}, from --region or the profile, is not a region", region.as_ref());
            return Err(Error::usage(problem).hint("a region looks like eu-west-1"));
        }
        let mut builder = sdk.to_builder().service_config(Trimmed(sdk.clone()));
        if let Some(endpoint) = sdk.endpoint_url() {
            let endpoint = endpoint.trim();
            if let Some(problem) = Some(endpoint).filter(|endpoint| !endpoint.is_empty()).and_then(endpoint_problem) {
                return Err(Error::usage(format!("--endpoint-url {problem}")).hint(WRITE_ENDPOINT));
            }
            builder.set_endpoint_url((!endpoint.is_empty()).then(|| endpoint.to_owned()));
        }
        if let Some(chain) = sdk.credentials_provider().filter(|_| !has_own_credentials) {
            builder.set_credentials_provider(Some(self.provider(chain)));
        }
        Ok(builder.build())
    }
}

/// A value that can be sent; `None` if there is none.
fn checked(name: &str, becomes: Becomes, value: &OsStr) -> Result<Option<String>> {
    let shown = |value: &str| if becomes == Becomes::Secret { "its value".to_owned() } else { format!("{value:?}") };
    let wrong = |why: String| Error::usage(format!("{name}: {why}"));
    let Some(text) = value.to_str() else {
        return Err(wrong("its value is not valid Unicode".to_owned()).hint(format!("set {name} again, or unset it")));
    };
    let trimmed = text.trim();
    let text = if READ_AS_IT_STANDS.contains(&name) { text } else { trimmed };
    if text.is_empty() {
        return Ok(None);
    }
    let problem = match becomes {
        Becomes::Label => (!is_label(text)).then(|| format!("{} is not a region", shown(text))),
        Becomes::Header | Becomes::Secret => {
            text.chars().find(|c| !c.is_ascii_graphic()).map(|c| format!("{} has the character {c:?}", shown(text)))
        }
        Becomes::Name => {
            text.chars().find(|c| c.is_control()).map(|c| format!("{} has the character {c:?}", shown(text)))
        }
        Becomes::Url => endpoint_problem(text),
    };
    let hint = match becomes {
        Becomes::Label => "a region looks like eu-west-1".to_owned(),
        Becomes::Url => WRITE_ENDPOINT.to_owned(),
        _ => format!("HTTP headers cannot contain it: set {name} again, or unset it"),
    };
    match problem {
        Some(problem) => Err(wrong(problem).hint(hint)),
        None => Ok(Some(text.to_owned())),
    }
}

/// Whether a text can be a part of a host name, as regions are.
fn is_label(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=MAX_LABEL).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// Why a text is not a URL that requests can be sent to.
fn endpoint_problem(text: &str) -> Option<String> {
    let is_url = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // Characters that browsers would encode.
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !r#""<>\^`{|}"#.contains(c));
    (!is_url || !is_plain).then(|| format!("{text:?} is not a URL"))
}

/// Only credentials that can be sent, wherever they come from.
#[derive(Debug)]
struct Sendable<P>(P);

impl<P: ProvideCredentials> ProvideCredentials for Sendable<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.0.provide_credentials().await.and_then(sendable) })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.0.fallback_on_interrupt().and_then(|credentials| sendable(credentials).ok())
    }
}

/// Checks that a header can carry the key and the token of credentials.
pub(super) fn sendable(credentials: Credentials) -> std::result::Result<Credentials, CredentialsError> {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    if plain(credentials.access_key_id()) && credentials.session_token().is_none_or(plain) {
        return Ok(credentials);
    }
    Err(CredentialsError::invalid_configuration(
        "the key or the session token has a character that HTTP headers cannot contain",
    ))
}

/// What the SDK reads for one service, without empty variables and surrounding white space.
#[derive(Debug)]
struct Trimmed(SdkConfig);

impl LoadServiceConfig for Trimmed {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = self.0.service_config()?.load_config(key)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment> {
        Environment::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn white_space_around_a_value_is_cut_off_and_an_empty_one_is_not_set() {
        let environment = read(&[
            ("AWS_REGION", "eu-west-1\r\n"),
            ("AWS_ACCESS_KEY_ID", " AKID\n"),
            ("AWS_SECRET_ACCESS_KEY", "s/e+c=\n"),
            ("AWS_SESSION_TOKEN", "\n"),
            ("AWS_ENDPOINT_URL", " http://127.0.0.1:9000\n"),
            ("AWS_PROFILE", "web\n"),
        ])
        .unwrap();
        assert_eq!(environment.region(), Some(Region::new("eu-west-1")));
        let credentials = environment.credentials().unwrap();
        assert_eq!((credentials.access_key_id(), credentials.secret_access_key()), ("AKID", "s/e+c="));
        assert_eq!(credentials.session_token(), None);
        assert_eq!(environment.get("AWS_ENDPOINT_URL"), Some("http://127.0.0.1:9000"));
        assert_eq!(environment.profile(), Some("web"));

        let empty = read(&VARIABLES.map(|(name, _)| (name, ""))).unwrap();
        assert_eq!((empty.region(), empty.values.len(), empty.profile()), (None, 0, Some("default")));
        assert!(empty.credentials().is_none());
        let other = read(&[("AWS_REGION", " "), ("AWS_DEFAULT_REGION", "us-gov-west-1")]).unwrap();
        assert_eq!(other.region(), Some(Region::new("us-gov-west-1")));
        assert_eq!(read(&[]).unwrap().profile(), None);
    }

    #[test]
    fn what_no_request_can_carry_is_refused_by_the_name_of_its_variable_and_a_secret_is_not_shown() {
        for (name, value) in [
            ("AWS_REGION", "us east 1"),
            ("AWS_DEFAULT_REGION", "eu\nwest"),
            ("AWS_ACCESS_KEY_ID", "A\nB"),
            ("AWS_SECRET_ACCESS_KEY", "hush\u{7f}hush"),
            ("AWS_SESSION_TOKEN", "hush hush"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush\n"),
            ("AWS_EXECUTION_ENV", "ci\n"),
            ("AWS_PROFILE", "a\tb"),
            ("AWS_ENDPOINT_URL", "localhost"),
            ("AWS_ENDPOINT_URL_S3", "http://a b"),
            ("AWS_ENDPOINT_URL_CLOUDFRONT", "http://"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::Usage, "{name}");
            let reported = format!("{error}; {}", error.hint_text());
            assert!(reported.starts_with(name) && !reported.contains("hush"), "{reported}");
        }
    }

    #[test]
    fn credentials_from_elsewhere_are_looked_at_too() {
        let credentials = |key: &str, token: Option<&str>| {
            sendable(Credentials::new(key, "secret", token.map(str::to_owned), None, "test"))
        };
        assert!(credentials("AKID", Some("to/ken=")).is_ok());
        assert!(credentials("AKID\n", None).is_err() && credentials("AKID", Some("to\rken")).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_value_what_is_taken_makes_a_header_and_a_request_goes_somewhere(value in ".{0,40}", at in 0..VARIABLES.len()) {
            let (name, becomes) = VARIABLES[at];
            if let Ok(environment) = read(&[(name, &value)]) {
                let taken = environment.get(name).unwrap_or("x");
                prop_assert!(!taken.chars().any(char::is_control));
                if becomes != Becomes::Name {
                    prop_assert!(taken.is_ascii());
                }
            }
        }
    }
}
