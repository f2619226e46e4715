//! Limits of a machine, and hostile records, names and responses.

mod bombs;
mod lying_servers;
mod open_files;
mod output;
mod text_of_others;
