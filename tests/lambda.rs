//! The binary as a Lambda function: CodePipeline's action and the events of a bucket.

mod deploys;
mod jobs;
mod known;
mod malformed;
mod messages;
mod start;
mod zipped;
