//! From changed keys to what CloudFront is told: every door goes through here.

pub mod cover;
pub mod viewer;
