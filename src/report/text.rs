//! The report for people: the changes and notes, then the result in its last lines.

mod changes;
mod invalidation;
mod result;
mod rules;

use crate::aws::limiter::Sample;
use crate::deploy::change::{Action, Reason, Wave};
use crate::deploy::rollback::{PROMOTED, RESTORED};
use crate::error::Result;
use crate::escape::Shown;
use crate::outcome::Outcome;
use crate::record::intent::left_by;
use crate::report::{Fate, Report, ReportedChange};
use crate::terminal::Terminal;
use crate::wording::{counted, grouped, listed};
use changes::{Manner, Waves};
use indicatif::DecimalBytes;
use std::fmt::{self, Display, Formatter};

/// So many objects that stay are named.
const NAMED: usize = 3;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.write_body(out)?;
        self.write_result(out)
    }
}

/// The part of a report above its result.
struct Body<'a>(&'a Report);

impl Display for Body<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.write_body(out)
    }
}

/// The last lines of a report.
struct LastLines<'a>(&'a Report);

impl Display for LastLines<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.write_result(out)
    }
}

impl Report {
    /// Shows the report: the changes, the warnings, the result, and the errors.
    ///
    /// # Errors
    /// A report that could not be written; warnings and errors were shown nevertheless.
    pub fn show(&self, terminal: &Terminal) -> Result<()> {
        terminal.report_run(self, (&Body(self), &LastLines(self)), &self.warnings, &self.errors)
    }

    /// Whether viewers see a complete or partial deploy at the site's address.
    pub fn is_live(&self) -> bool {
        matches!(self.outcome, Outcome::Deployed | Outcome::NothingToDo | Outcome::Partial)
    }

    /// Prints only the site's address, on the last line, where scripts find it. At a terminal, a run without
    /// changes is one line.
    ///
    /// # Errors
    /// A line that could not be written.
    pub fn print_address(&self, terminal: &Terminal) -> Result<()> {
        let is_all_said = self.outcome == Outcome::NothingToDo && terminal.columns().is_some();
        let is_shown = self.is_live() && !is_all_said && !terminal.is_quiet() && !terminal.is_json();
        match self.url.as_deref().filter(|_| is_shown) {
            Some(url) => terminal.print(Shown(url)),
            None => Ok(()),
        }
    }

    /// Whether the text is for somebody who wants all details: for a plan, or with `--verbose`.
    fn is_detailed(&self) -> bool {
        self.verbose || (self.outcome == Outcome::Planned && self.has_changes())
    }

    fn write_body(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let by_file = invalidation::PathsByFile::new(self);
        self.write_changes(out, &by_file)?;
        rules::write(out, &self.rules, self.verbose)?;
        by_file.write_rest(out, self)?;
        self.write_notes(out)?;
        self.write_verified(out)?;
        if self.is_detailed() {
            invalidation::write_details(out, self)?;
            self.write_requests(out)?;
        }
        if self.verbose {
            self.write_counts(out)?;
            self.write_concurrency(out)?;
        }
        Ok(())
    }

    fn write_changes(&self, out: &mut Formatter<'_>, by_file: &invalidation::PathsByFile<'_>) -> fmt::Result {
        let of_wave = |(wave, title): (Wave, &'static str)| {
            // What a preview has from production differs in nothing from it.
            let is_new = |change: &ReportedChange| {
                let is_copy = self.preview.is_some() && change.action == Action::Copy;
                change.is_visible() && !(is_copy && matches!(change.fate, Fate::Planned | Fate::Done))
            };
            let listed = |change: &&ReportedChange| change.wave == wave && (self.verbose || is_new(change));
            (title, self.changes.iter().filter(listed).collect::<Vec<_>>())
        };
        let waves: Waves<'_> =
            [(Wave::Assets, "assets"), (Wave::Pages, "pages"), (Wave::Prune, "removals")].map(of_wave);
        changes::write(out, &waves, by_file, Manner { verbose: self.verbose, columns: self.columns })
    }

    /// Notes other than the changes.
    fn write_notes(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.outcome != Outcome::NothingToDo || self.verbose {
            self.write_hidden(out)?;
        }
        if self.objects.unknown > 0 {
            writeln!(out, "{} left alone, because too little is known", counted(self.objects.unknown, "object"))?;
        }
        if self.has_changes() {
            self.write_kept(out)?;
        }
        if let Some(shard) = &self.shard {
            writeln!(out, "These are the assets of shard {shard}; a deploy without --shard does the rest")?;
        }
        if let Some(recovered) = &self.recovered {
            let finishes = if self.outcome.is_plan() { "A deploy finishes" } else { "Finished" };
            let (left, keys) = (left_by(&recovered.deploy), counted(recovered.keys, "file"));
            writeln!(out, "{finishes} {}: {keys}", Shown(left))?;
        }
        Ok(())
    }

    /// What is not in the source and stays: for now, or because shipfront did not upload it.
    fn write_kept(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let what = match self.source.starts_with(RESTORED) || self.source.starts_with(PROMOTED) {
            true => "that this site does not have",
            false => "no longer in the source",
        };
        let kept = self.changes.iter().filter(|change| change.action == Action::Orphan);
        let (foreign, ours): (Vec<_>, Vec<_>) = kept.partition(|change| change.reason == Reason::Foreign);
        let objects = |count: usize| (counted(count as u64, "object"), if count == 1 { "stays" } else { "stay" });
        if !ours.is_empty() {
            let (objects, stay) = objects(ours.len());
            let keys = ours.iter().map(|change| Shown(&change.key).to_string()).take(NAMED).collect::<Vec<_>>();
            let named = if ours.len() <= NAMED { format!(": {}", listed(&keys)) } else { String::new() };
            // They go with the first deploy that is later, each at its own time.
            let until = self.orphans_go.map(|go| format!("until {} (--prune-after)", go.strftime("%Y-%m-%d")));
            let until = until.unwrap_or_else(|| "for now (--prune-after)".to_owned());
            let least = if self.orphans_go.is_some() && ours.len() > 1 { "at least " } else { "" };
            writeln!(out, "{objects} {what} {stay} {least}{until}{named}")?;
        }
        if !foreign.is_empty() {
            let (objects, stay) = objects(foreign.len());
            writeln!(out, "{objects} not uploaded by shipfront {stay} (--adopt lets deploys remove such objects)")?;
        }
        Ok(())
    }

    fn write_verified(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(verified) = &self.verified else { return Ok(()) };
        writeln!(out, "{} {}: {}", verified.headline(), Shown(&verified.site), verified.verdict())?;
        if let [first, rest @ ..] = verified.overridden.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more like it", rest.len()) };
            let (url, found) = (Shown(&first.url), Shown(&first.found));
            writeln!(out, "  {url} {found}{more}: set by CloudFront or by a proxy in front of it")?;
        }
        Ok(())
    }

    /// What was sent and what it costs: for a plan, what the deploy would send.
    fn write_requests(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let requests = &self.cost.requests;
        let about = if self.outcome.is_plan() && self.has_changes() { "about " } else { "" };
        writeln!(
            out,
            "Requests: {about}{} LIST, {} GET, {} HEAD, {} PUT, {} DELETE, {} CreateInvalidation, {} CloudFront reads",
            grouped(requests.list),
            grouped(requests.get),
            grouped(requests.head),
            grouped(requests.put),
            grouped(requests.delete),
            grouped(requests.create_invalidation),
            grouped(requests.cloudfront_read)
        )?;
        if self.is_local {
            return Ok(());
        }
        writeln!(out, "Cost: {}", self.cost)?;
        match &self.allowance {
            Some(allowance) => writeln!(out, "CloudFront allowance: {allowance}"),
            None => Ok(()),
        }
    }

    /// The counts, for comparing runs.
    fn write_counts(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (objects, planned) = (&self.objects, self.outcome.is_plan());
        let (upload, delete) = if planned { ("to upload", "to delete") } else { ("uploaded", "deleted") };
        write!(out, "Objects: ")?;
        if self.source.starts_with(RESTORED) {
            write!(out, "{} {}, ", grouped(objects.copied), if planned { "to restore" } else { "restored" })?;
        } else {
            let is_promotion = self.source.starts_with(PROMOTED);
            if !is_promotion {
                write!(out, "{} {upload} ({}), ", grouped(objects.uploaded), DecimalBytes(objects.bytes_uploaded))?;
            }
            if is_promotion || objects.copied > 0 {
                let copy = if planned { "to copy" } else { "copied" };
                write!(out, "{} {copy} inside S3, ", grouped(objects.copied))?;
            }
        }
        write!(out, "{} unchanged", grouped(objects.kept))?;
        for (count, what) in [(objects.pruned, delete), (objects.failed, "failed or not started")] {
            if count > 0 {
                write!(out, ", {} {what}", grouped(count))?;
            }
        }
        writeln!(out)
    }

    fn write_concurrency(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let shown = |sample: &Sample| format!("{} at {:.1} s", sample.limit, sample.seconds);
        let mut samples = self.concurrency.samples.clone();
        samples.dedup_by_key(|sample| sample.limit);
        let samples: Vec<String> = samples.iter().map(shown).collect();
        let slow_downs = counted(self.concurrency.slow_downs, "time");
        writeln!(out, "Concurrent S3 requests: {}; throttled {slow_downs}", samples.join(", "))
    }

    /// Hidden files are left out by default: the user may have wanted one.
    fn write_hidden(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match (self.hidden.as_slice(), self.verbose) {
            ([], _) => Ok(()),
            (names, true) => {
                writeln!(out, "Hidden files left out (--include-hidden PATTERN deploys them):")?;
                names.iter().try_for_each(|name| writeln!(out, "  {}", Shown(name)))
            }
            (names, false) => {
                let files = counted(names.len() as u64, "hidden file");
                writeln!(out, "{files} left out (--verbose lists them; --include-hidden PATTERN deploys them)")
            }
        }
    }
}
