//! Limits of a machine, and records, names and answers that mean harm.

mod bombs;
mod lying_servers;
mod open_files;
mod output;
mod text_of_others;
