//! After a deploy, no URL form serves old bytes, and what did not change stays in the cache.

mod audience;
mod choices;
mod configurations;
mod docs;
mod error_pages;
mod named;
mod origins;
mod record;
mod story;
mod tags;
mod tenants;
