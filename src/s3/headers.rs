//! The headers of an object in S3's terms: sent with an upload, and parsed from a HEAD.

use crate::error::{Error, ErrorKind};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use shipfront_site::headers::Headers;

/// Sets all headers on a request. `PutObject` and `CreateMultipartUpload` have the same methods for them, but no
/// common type.
macro_rules! with_headers {
    ($request:expr, $headers:expr) => {{
        let headers: &shipfront_site::headers::Headers = $headers;
        let request = $request
            .content_type(&headers.content_type)
            .set_cache_control(headers.cache_control.clone())
            .set_content_encoding(headers.content_encoding.clone())
            .set_content_disposition(headers.content_disposition.clone())
            .set_content_language(headers.content_language.clone())
            .set_storage_class(headers.storage_class.as_deref().map(Into::into))
            .set_website_redirect_location(headers.website_redirect.clone())
            .set_acl(headers.acl.as_deref().map(Into::into));
        headers.metadata.iter().fold(request, |request, (name, value)| request.metadata(name, value))
    }};
}
pub(super) use with_headers;

/// The error of an upload, with the permission for ACLs if the headers have one.
pub(super) fn of_upload(error: Error, headers: &Headers) -> Error {
    match (&headers.acl, error.kind()) {
        (Some(acl), ErrorKind::AclsDisabled) => error.hint(format!(
            "ACLs are disabled on the bucket: remove acl = \"{acl}\" from the header rules, and grant access in a bucket policy"
        )),
        (Some(_), ErrorKind::AccessDenied) => {
            let hint = error.hint_text().to_owned();
            error.hint(format!("{hint}, and s3:PutObjectAcl for the acl of the header rules"))
        }
        _ => error,
    }
}

/// The headers that an object was uploaded with, except the ACL, which S3 does not return. Its metadata is
/// separate, because not all of it comes from header rules.
pub(super) fn found(answer: &HeadObjectOutput) -> Headers {
    let text = |value: Option<&str>| value.filter(|value| !value.is_empty()).map(str::to_owned);
    Headers {
        content_type: answer.content_type().unwrap_or_default().to_owned(),
        cache_control: text(answer.cache_control()),
        content_encoding: text(answer.content_encoding()),
        content_disposition: text(answer.content_disposition()),
        content_language: text(answer.content_language()),
        storage_class: text(answer.storage_class().map(|class| class.as_str())),
        website_redirect: text(answer.website_redirect_location()),
        ..Headers::default()
    }
}
