//! shipfront ships a built static site to Amazon S3 and keeps CloudFront exactly fresh.

pub mod error;
pub mod exit;
pub mod site;
pub mod invalidation;
