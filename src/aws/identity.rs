//! Whose credentials are in use.

use crate::aws::Aws;
use crate::aws::failure::explain;
use crate::error::Result;
use aws_sdk_sts::Client;

/// An identity as AWS names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The user, or the session of a role.
    pub arn: String,
}

impl Aws {
    /// Asks AWS whose the credentials are, which needs no permission
    /// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
    pub async fn identity(&self) -> Result<Identity> {
        let client = Client::new(&self.sdk);
        let answer = client.get_caller_identity().send().await;
        let answer = answer.map_err(|error| explain("GetCallerIdentity", "the credentials", error))?;
        Ok(Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }
}
