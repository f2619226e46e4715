//! Generates the code of a CloudFront Function (runtime 2.0, viewer response) that adds the headers of `_headers`
//! that S3 does not store.
//!
//! It changes responses as [`Rules::response_headers`] says. CloudFront calls it only for responses with a status
//! below 400: headers of error pages need a response headers policy.

use crate::Warning;
use crate::error::{Error, Result};
use crate::javascript::{COMMON, MAX_BYTES, host, literal, pieces, regular_expression};
use crate::viewer_rules::Rules;
use serde::Serialize;
use std::fmt::{self, Write};

/// The code, and what it does not cover.
#[derive(Debug, Clone, Serialize)]
pub struct HeaderFunction {
    /// JavaScript.
    pub code: String,
    /// Messages for the user.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for HeaderFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.code)
    }
}

/// Generates the function for a site's rules.
pub fn generate(rules: &Rules) -> Result<HeaderFunction> {
    let mut blocks = String::new();
    for block in &rules.headers {
        let names: Vec<&str> = block.path.captured().collect();
        let header = |header: &crate::headers_file::OtherHeader| {
            let value = header.value.as_ref().map_or("null".to_owned(), |value| pieces(value, &names));
            format!("[{}, {value}]", literal(&header.name.to_ascii_lowercase()))
        };
        let headers: Vec<String> = block.headers.iter().map(header).collect();
        let _ = writeln!(
            blocks,
            "  [{}, {}, [{}]],",
            regular_expression(&block.path),
            host(block.host.as_ref()),
            headers.join(", ")
        );
    }
    let join = if rules.joins_headers { JOIN } else { "" };
    let code = format!(
        "// What _headers says beyond what S3 keeps, for CloudFront: runtime cloudfront-js-2.0, event viewer-response.\n\
         // Written by 'shipfront headers'.\n\
         const blocks = [\n{blocks}];\n{COMMON}{}",
        RUNTIME.replace("JOIN", join)
    );
    if code.len() > MAX_BYTES {
        let message = format!("the function would have {} bytes; CloudFront accepts {MAX_BYTES}", code.len());
        return Err(Error::refused(message).hint("combine paths with * or :name, or use the response headers policies that 'shipfront headers --policy' prints"));
    }
    let warnings = vec![Warning::new(
        "CloudFront calls no function for responses of 400 and above, so error pages do not get these headers",
        "'shipfront headers --policy' prints response headers policies, which they get",
    )];
    Ok(HeaderFunction { code, warnings })
}

const JOIN: &str = "      if (value !== null && set[header[0]] != null) value = set[header[0]] + ', ' + value;\n";

const RUNTIME: &str = r"
function handler(event) {
  const response = event.response, uri = upper(event.request.uri), forms = [uri], set = Object.create(null);
  if (uri.endsWith('/')) forms.push(uri + 'index.html');
  else if (uri.endsWith('/index.html')) forms.push(uri.slice(0, -10));
  blocks.forEach(function (block) {
    if (!isHost(event.request.headers.host.value.toLowerCase(), block[1])) return;
    const match = block[0].exec(uri) || (forms[1] ? block[0].exec(forms[1]) : null);
    if (match) block[2].forEach(function (header) {
      let value = header[1] === null ? null : fill(header[1], match);
JOIN      set[header[0]] = value;
    });
  });
  Object.keys(set).forEach(function (name) {
    if (set[name] === null) delete response.headers[name];
    else response.headers[name] = {value: set[name]};
  });
  return response;
}
";
