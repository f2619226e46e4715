//! `shipfront tags`: what to change so that a distribution reads cache tags, and tags for objects that are there.

pub mod enable;
