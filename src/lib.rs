//! shipfront ships a built static site to Amazon S3 and keeps CloudFront exactly fresh.

#[cfg(feature = "edge")]
pub mod edge;
