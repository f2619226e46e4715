//! The local edge behaves as S3 and CloudFront do, for AWS's own clients and for a plain viewer.

mod cloudfront;
mod durability;
mod faults;
mod functions;
mod inspection;
mod objects;
mod policies;
mod quotas;
mod tenants;
mod uploads;
mod versions;
mod viewer;
