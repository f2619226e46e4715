//! `--report FILE`: writes the report to a file, in the format of its extension.

use crate::error::{Error, Result};
use crate::escape;
use crate::outcome::ErrorReport;
use crate::report::provenance::Provenance;
use crate::report::{Report, junit, markdown, page, variables};
use crate::terminal::Terminal;
use shipfront_site::Warning;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How a deploy or a plan ended.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// With a report, even of a partial failure.
    Report(&'a Report),
    /// Before anything was written.
    Error {
        /// Why.
        error: &'a Error,
        /// The source.
        source: &'a str,
        /// The target.
        target: &'a str,
    },
}

/// A requested file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    path: PathBuf,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Page,
    Markdown,
    Junit,
    Json,
    Variables,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportFile, String> {
        let path = PathBuf::from(text);
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("html") => Form::Page,
            Some("md") => Form::Markdown,
            Some("xml") => Form::Junit,
            Some("json") => Form::Json,
            Some("env") => Form::Variables,
            _ => {
                return Err("name it .html for a page, .md for Markdown, .xml for JUnit, .json, or .env for variables"
                    .to_owned());
            }
        };
        Ok(ReportFile { path, form })
    }
}

/// Refuses files that the next deploy would upload, or that cannot be written, before anything is done.
pub fn guard(files: &[ReportFile], source: &Path) -> Result<()> {
    let Ok(source) = source.canonicalize() else { return Ok(()) };
    for ReportFile { path, .. } in files {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(|error| {
            Error::usage(format!("--report {}: {}: {error}", path.display(), folder.display()))
                .hint("create the folder first")
        })?;
        if folder.starts_with(&source) {
            return Err(Error::usage(format!("--report {} is in the source: it would be deployed", path.display()))
                .hint("write it beside the source"));
        }
    }
    for ReportFile { path, .. } in files {
        // Its contents stay until there is a report.
        OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            Error::usage(format!("--report {} cannot be written: {error}", path.display()))
                .hint("name a file in a writable folder")
        })?;
    }
    Ok(())
}

/// Writes all requested files. The deploy has ended by then: a file that cannot be written causes a warning.
pub fn write(files: &[ReportFile], outcome: &Result<Report>, source: &Path, target: Option<&str>, terminal: &Terminal) {
    let source = source.display().to_string();
    let ending = match outcome {
        Ok(report) => Ending::Report(report),
        Err(error) => Ending::Error { error, source: &source, target: target.unwrap_or("no target") },
    };
    for ReportFile { path, form } in files {
        let written = match form {
            Form::Page => {
                let source = match ending {
                    Ending::Report(report) => &report.source,
                    Ending::Error { source, .. } => source,
                };
                let provenance = Provenance::of(source, |name| std::env::var(name).ok());
                std::fs::write(path, escape::markup(&page::page(&ending, jiff::Timestamp::now(), &provenance)))
            }
            Form::Markdown => std::fs::write(path, escape::markdown(&markdown::document(&ending))),
            Form::Junit => junit::document(&ending).and_then(|text| std::fs::write(path, escape::markup(&text))),
            Form::Variables => std::fs::write(path, variables::lines(&ending)),
            Form::Json => write_json(path, &ending),
        };
        if let Err(error) = written {
            let notice = format!("--report {} cannot be written: {error}", path.display());
            terminal.warn(&Warning::new(notice, "name a file in a writable folder"));
        }
    }
}

fn write_json(path: &Path, ending: &Ending<'_>) -> std::io::Result<()> {
    let file = File::create(path)?;
    match ending {
        Ending::Report(report) => escape::write_json(file, report),
        Ending::Error { error, .. } => escape::write_json(file, &ErrorReport::of(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_says_what_is_in_it() {
        for (name, form) in [
            ("a/b.html", Form::Page),
            ("summary.md", Form::Markdown),
            ("c.d.xml", Form::Junit),
            ("e.json", Form::Json),
            ("deploy.env", Form::Variables),
        ] {
            assert_eq!(name.parse(), Ok(ReportFile { path: name.into(), form }));
        }
        for name in ["report", "a.htm", "b.HTML", ".html", ".env", ""] {
            assert!(name.parse::<ReportFile>().is_err(), "{name}");
        }
    }
}
