//! CloudFront Functions: their properties, and how code gets from a draft to viewers.
//!
//! A function has two stages. `UpdateFunction` writes the draft (DEVELOPMENT), `TestFunction` runs it, and
//! `PublishFunction` makes it live; each is conditional on the draft's ETag.

use crate::aws::failure::explain;
use crate::cloudfront::Distributions;
use crate::error::{Error, ErrorKind, Result};
use aws_sdk_cloudfront::primitives::Blob;
use aws_sdk_cloudfront::types::{FunctionConfig, FunctionRuntime, FunctionStage};

/// A function as described by its draft.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its owner's comment.
    pub comment: String,
    /// The draft's ETag.
    pub etag: String,
    config: FunctionConfig,
}

/// The result of a function's draft for an event.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What it returned, as JSON.
    pub output: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The share of its time limit that it used, in percent.
    pub utilization: Option<u32>,
}

impl Function {
    /// The ARN of the key-value store that it may read: at most one.
    pub fn key_value_store(&self) -> Option<&str> {
        let stores = self.config.key_value_store_associations.as_ref()?;
        stores.items.as_deref().unwrap_or_default().first().map(|store| store.key_value_store_arn.as_str())
    }
}

impl Distributions {
    /// A function; `None` if no function has this name.
    pub async fn function(&self, name: &str) -> Result<Option<Function>> {
        let answer = self.client.describe_function().name(name).stage(FunctionStage::Development).send().await;
        let answer = match answer.map_err(|error| explain("DescribeFunction", &subject(name), error)) {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let config = answer.function_summary.and_then(|summary| summary.function_config);
        let (Some(etag), Some(config)) = (answer.e_tag, config) else {
            return Err(Error::failed(format!("CloudFront's answer for {} describes no function", subject(name))));
        };
        Ok(Some(Function { name: name.to_owned(), comment: config.comment.clone(), etag, config }))
    }

    /// The live code of a function; `None` if it was never published.
    pub async fn live_code(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.client.get_function().name(name).stage(FunctionStage::Live).send().await;
        match answer.map_err(|error| explain("GetFunction", &subject(name), error)) {
            Ok(answer) => Ok(Some(answer.function_code.map(Blob::into_inner).unwrap_or_default())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the code of a function's draft, and keeps its comment and its key-value store. Returns the draft's
    /// new ETag.
    pub async fn update_function(&self, function: &Function, code: &str) -> Result<String> {
        let mut config = function.config.clone();
        config.runtime = FunctionRuntime::CloudfrontJs20;
        let request = self.client.update_function().name(&function.name).if_match(&function.etag);
        let answer = request.function_config(config).function_code(Blob::new(code)).send().await;
        let answer = answer.map_err(|error| changed(explain("UpdateFunction", &subject(&function.name), error)))?;
        match answer.e_tag {
            Some(etag) => Ok(etag),
            // AWS's model spells the header of this one response `ETtag`; whether it is really sent that way is not
            // documented.
            None => self.etag_of_draft(function, code).await,
        }
    }

    /// The ETag of a draft whose code was just replaced with this.
    async fn etag_of_draft(&self, function: &Function, code: &str) -> Result<String> {
        let name = &function.name;
        let answer = self.client.get_function().name(name).stage(FunctionStage::Development).send().await;
        let answer = answer.map_err(|error| explain("GetFunction", &subject(name), error))?;
        let is_ours = answer.function_code.is_some_and(|found| found.into_inner() == code.as_bytes());
        match answer.e_tag {
            Some(etag) if is_ours => Ok(etag),
            Some(_) => Err(changed(
                Error::failed(format!("{} has other code than it was given", subject(name)))
                    .of_kind(ErrorKind::PreconditionFailed),
            )),
            None => Err(Error::failed(format!("CloudFront gave {} no ETag", subject(name)))),
        }
    }

    /// Runs a function's draft with an event.
    pub async fn test_function(&self, name: &str, etag: &str, event: &str) -> Result<Tried> {
        let request = self.client.test_function().name(name).if_match(etag).stage(FunctionStage::Development);
        let answer = request.event_object(Blob::new(event)).send().await;
        let answer = answer.map_err(|error| changed(explain("TestFunction", &subject(name), error)))?;
        let tried = answer.test_result.ok_or_else(|| {
            Error::failed(format!("CloudFront's answer for {} has no result of the test", subject(name)))
        })?;
        Ok(Tried {
            output: tried.function_output.unwrap_or_default(),
            error: tried.function_error_message.filter(|message| !message.is_empty()),
            utilization: tried.compute_utilization.and_then(|percent| percent.parse().ok()),
        })
    }

    /// Makes a function's draft live.
    pub async fn publish_function(&self, name: &str, etag: &str) -> Result<()> {
        let answer = self.client.publish_function().name(name).if_match(etag).send().await;
        answer.map_err(|error| changed(explain("PublishFunction", &subject(name), error)))?;
        Ok(())
    }
}

fn subject(name: &str) -> String {
    format!("the CloudFront Function {name}")
}

/// The error for a draft that somebody else changed meanwhile.
fn changed(error: Error) -> Error {
    match error.kind() {
        ErrorKind::PreconditionFailed => error.hint("the function was changed in the meantime: run again"),
        _ => error,
    }
}
