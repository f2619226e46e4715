//! The commands that are no deploy, a file each, and what `deploy` and `plan` are as commands.

pub mod doctor;
pub mod import;
pub mod init;
pub mod invalidate;
pub mod policy;
pub mod status;
pub mod tags;
pub mod unlock;
