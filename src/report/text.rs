//! The report as people read it.

mod changes;
mod rules;

use crate::aws::limiter::Sample;
use crate::deploy::change::Wave;
use crate::deploy::rollback::{PROMOTED, RESTORED};
use crate::escape::Shown;
use crate::outcome::Outcome;
use crate::record::intent::left_by;
use crate::report::Report;
use crate::report::ReportedChange;
use changes::Manner;
use indicatif::DecimalBytes;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::{Coverage, Invalidation};
use std::cmp::Reverse;
use std::fmt::{self, Display, Formatter};

/// Lines of a list before the rest is only counted.
const SHORT_LIST: usize = 20;
/// The widest column of items.
const WIDE_ITEM: usize = 60;

impl Display for Report {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let planned = self.outcome.is_plan();
        let (source, target) = (Shown(&self.source), Shown(&self.target));
        self.write_changes(out)?;
        rules::write(out, &self.rules, self.verbose)?;
        match self.outcome {
            outcome if self.write_rollback(out, outcome)? => {}
            Outcome::Planned if !self.has_changes() => writeln!(out, "No changes: {target} matches {source}")?,
            Outcome::Planned => writeln!(out, "Plan for {source} -> {target}; nothing was written")?,
            Outcome::NothingToDo => writeln!(out, "No changes: {target} matches {source}")?,
            Outcome::Deployed => writeln!(out, "Deployed {source} to {target} in {:.1} s", self.seconds.total)?,
            Outcome::Partial => {
                writeln!(out, "Partly deployed {source} to {target}: what landed is live and invalidated")?
            }
            Outcome::Refused => writeln!(out, "Plan for {source} -> {target}, which is refused; nothing was written")?,
            Outcome::Different => writeln!(out, "Live, but viewers of {target} get something else")?,
            Outcome::Unverified => writeln!(out, "Live, but shipfront could not verify what viewers of {target} get")?,
            Outcome::Stale => writeln!(out, "Live, but the edge may be stale: {target} was not invalidated")?,
            Outcome::Interrupted => writeln!(out, "Interrupted: what had landed in {target} is live and invalidated")?,
            Outcome::Failed => writeln!(out, "Failed: nothing in {target} was changed")?,
        }
        self.write_counts(out, planned)?;
        self.write_hidden(out)?;
        if let Some(shard) = &self.shard {
            writeln!(out, "  these are the assets of shard {shard}; a deploy without --shard does the rest")?;
        }
        if let Some(recovered) = &self.recovered {
            let (done, keys) = (if planned { "would finish" } else { "finished" }, recovered.keys);
            writeln!(out, "  {done} {}: {keys} keys", Shown(left_by(&recovered.deploy)))?;
        }
        for invalidation in &self.invalidations {
            self.write_invalidation(out, invalidation, planned)?;
        }
        if let Some(verified) = &self.verified {
            let (checked, urls, found) = (verified.checked, verified.urls, verified.verdict());
            let changed = if urls == 1 { "changed URL" } else { "changed URLs" };
            writeln!(out, "  verified at {}: {checked} of {urls} {changed}, {found}", Shown(&verified.site))?;
            if let [first, rest @ ..] = verified.overridden.as_slice() {
                let more = if rest.is_empty() { String::new() } else { format!(", and {} more like it", rest.len()) };
                writeln!(
                    out,
                    "    {} {}{more}: set by CloudFront or by a proxy in front of it",
                    Shown(&first.url),
                    Shown(&first.found)
                )?;
            }
        }
        self.write_requests(out)?;
        if self.verbose {
            self.write_concurrency(out)?;
        }
        if self.outcome == Outcome::Stale {
            let items = self.invalidations.iter().filter(|invalidation| invalidation.id.is_none());
            for invalidation in items {
                let quoted: Vec<String> = invalidation.items.iter().map(|item| format!("'{}'", Shown(item))).collect();
                let flag = match &invalidation.distribution {
                    DistributionId::Distribution(id) => format!("--distribution {}", Shown(id)),
                    DistributionId::Tenant(id) => format!("--distribution-tenant {}", Shown(id)),
                };
                writeln!(out, "  repeat it with: shipfront invalidate {flag} {}", quoted.join(" "))?;
            }
        }
        Ok(())
    }
}

impl Report {
    fn write_changes(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let manner = Manner { verbose: self.verbose, columns: self.columns };
        for (stage, title) in [(Wave::Assets, "assets"), (Wave::Pages, "pages"), (Wave::Prune, "removals")] {
            let listed = |change: &&ReportedChange| change.wave == stage && (change.is_visible() || self.verbose);
            let changes: Vec<&ReportedChange> = self.changes.iter().filter(listed).collect();
            if !changes.is_empty() {
                writeln!(out, "{title}:")?;
                changes::write(out, &changes, manner)?;
            }
        }
        Ok(())
    }

    /// What was sent and what it costs: of a plan, what the deploy would send.
    fn write_requests(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let requests = &self.cost.requests;
        let about = if self.outcome.is_plan() && self.has_changes() { "about " } else { "" };
        writeln!(
            out,
            "  requests: {about}{} LIST, {} GET, {} HEAD, {} PUT, {} DELETE, {} CreateInvalidation, {} CloudFront reads",
            requests.list,
            requests.get,
            requests.head,
            requests.put,
            requests.delete,
            requests.create_invalidation,
            requests.cloudfront_read
        )?;
        writeln!(out, "  costs {}", self.cost)?;
        match &self.allowance {
            Some(allowance) => writeln!(out, "  {allowance}"),
            None => Ok(()),
        }
    }

    fn write_concurrency(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let shown = |sample: &Sample| format!("{} at {:.1} s", sample.limit, sample.seconds);
        let mut samples = self.concurrency.samples.clone();
        samples.dedup_by_key(|sample| sample.limit);
        let samples: Vec<String> = samples.iter().map(shown).collect();
        let slow_downs = self.concurrency.slow_downs;
        writeln!(out, "  S3 requests in flight: {}; throttled {slow_downs} times", samples.join(", "))
    }

    /// The line of a rollback or a promotion that ended as it should; `false` where it did not.
    fn write_rollback(&self, out: &mut Formatter<'_>, outcome: Outcome) -> Result<bool, fmt::Error> {
        let target = Shown(&self.target);
        if let Some(preview) = self.source.strip_prefix(PROMOTED).map(Shown) {
            match outcome {
                Outcome::NothingToDo => writeln!(out, "No changes: {target} is what the preview {preview} is")?,
                Outcome::Planned if !self.has_changes() => {
                    writeln!(out, "No changes: {target} is what the preview {preview} is")?
                }
                Outcome::Planned => {
                    writeln!(out, "Plan to promote the preview {preview} to {target}; nothing was written")?
                }
                Outcome::Deployed => {
                    writeln!(out, "Promoted the preview {preview} to {target} in {:.1} s", self.seconds.total)?
                }
                Outcome::Partial => {
                    writeln!(out, "Partly promoted {preview} to {target}: what landed is live and invalidated")?
                }
                _ => return Ok(false),
            }
            return Ok(true);
        }
        let Some(deploy) = self.source.strip_prefix(RESTORED).map(Shown) else { return Ok(false) };
        match outcome {
            Outcome::NothingToDo => writeln!(out, "No changes: {target} is what deploy {deploy} left")?,
            Outcome::Planned if !self.has_changes() => {
                writeln!(out, "No changes: {target} is what deploy {deploy} left")?
            }
            Outcome::Planned => writeln!(out, "Plan for {target} back to deploy {deploy}; nothing was written")?,
            Outcome::Deployed => {
                writeln!(out, "Rolled {target} back to deploy {deploy} in {:.1} s", self.seconds.total)?
            }
            Outcome::Partial => {
                writeln!(out, "Partly rolled {target} back to deploy {deploy}: what landed is live and invalidated")?
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn write_counts(&self, out: &mut Formatter<'_>, planned: bool) -> fmt::Result {
        let objects = &self.objects;
        let (upload, delete) = if planned { ("to upload", "to delete") } else { ("uploaded", "deleted") };
        if self.source.starts_with(RESTORED) {
            let copy = if planned { "to bring back" } else { "brought back" };
            write!(out, "  {} {copy}, {} unchanged", objects.copied, objects.kept)?;
        } else {
            let is_promotion = self.source.starts_with(PROMOTED);
            if !is_promotion {
                write!(out, "  {} {upload} ({}), ", objects.uploaded, DecimalBytes(objects.bytes_uploaded))?;
            }
            if is_promotion || objects.copied > 0 {
                let (indent, copy) = (if is_promotion { "  " } else { "" }, if planned { "to copy" } else { "copied" });
                write!(out, "{indent}{} {copy} inside S3, ", objects.copied)?;
            }
            write!(out, "{} unchanged", objects.kept)?;
        }
        for (count, what) in
            [(objects.pruned, delete), (objects.unknown, "unknown and left alone"), (objects.failed, "not done")]
        {
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
        }
        if objects.orphaned > 0 {
            write!(out, ", {} no longer in the source and kept", objects.orphaned)?;
        }
        writeln!(out)
    }

    /// Hidden files are left out without being asked for: the person may have meant one.
    fn write_hidden(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match (self.hidden.as_slice(), self.verbose) {
            ([], _) => Ok(()),
            (names, true) => {
                writeln!(out, "  hidden and left out (--include-hidden takes what its pattern matches):")?;
                names.iter().try_for_each(|name| writeln!(out, "    {}", Shown(name)))
            }
            (names, false) => {
                let files = if names.len() == 1 { "1 hidden file" } else { &format!("{} hidden files", names.len()) };
                writeln!(out, "  {files} left out (--verbose names them; --include-hidden takes them)")
            }
        }
    }

    fn write_invalidation(&self, out: &mut Formatter<'_>, invalidation: &Invalidation, planned: bool) -> fmt::Result {
        let Invalidation { distribution, items, viewer_paths, collateral, universe, .. } = invalidation;
        let id = invalidation.id.as_deref().map(|id| format!(" {}", Shown(id))).unwrap_or_default();
        let distribution = Shown(distribution);
        let status = if planned { String::new() } else { format!(", {}", invalidation.status) };
        let unchanged = universe.saturating_sub(*viewer_paths);
        let items_word = if items.len() == 1 { "item" } else { "items" };
        write!(out, "  invalidation{id} on {distribution}{status}: {} {items_word}", items.len())?;
        // Of several requests for one distribution the first has the counts.
        if *universe > 0 || *viewer_paths > 0 {
            write!(out, " for {viewer_paths} changed {}", if *viewer_paths == 1 { "URL" } else { "URLs" })?;
        }
        if unchanged > 0 {
            write!(out, "; {} of {unchanged} other URLs stay cached", unchanged.saturating_sub(*collateral))?;
        }
        writeln!(out)?;
        for why in &invalidation.why {
            writeln!(out, "    {}", Shown(why))?;
        }
        let shown = if self.verbose { items.len() } else { items.len().min(SHORT_LIST) };
        if planned && !invalidation.coverage.is_empty() {
            self.write_coverage(out, &invalidation.coverage, shown)?;
        } else {
            for item in &items[..shown] {
                let why = invalidation.coverage.iter().find(|coverage| coverage.item == *item);
                match why.and_then(|coverage| coverage.why.as_deref()).filter(|_| self.verbose) {
                    Some(why) => writeln!(out, "    {}  {}", Shown(item), Shown(why))?,
                    None => writeln!(out, "    {}", Shown(item))?,
                }
            }
        }
        if items.len() > shown {
            writeln!(out, "    ... and {} more (--verbose names all)", items.len() - shown)?;
        }
        if planned {
            write_curve(out, invalidation)?;
        }
        Ok(())
    }

    /// What each item does, the costly ones first: those are what a person looks for.
    fn write_coverage(&self, out: &mut Formatter<'_>, coverage: &[Coverage], shown: usize) -> fmt::Result {
        let mut sorted: Vec<&Coverage> = coverage.iter().collect();
        sorted.sort_by_key(|coverage| Reverse(coverage.collateral));
        sorted.truncate(shown);
        let most = self.columns.map_or(WIDE_ITEM, |columns| usize::from(columns / 2)).min(WIDE_ITEM);
        let widths = sorted.iter().map(|coverage| coverage.item.chars().count());
        let width = widths.filter(|width| *width <= most).max().unwrap_or(0);
        for coverage in sorted {
            let Coverage { collateral, evicts, .. } = coverage;
            let (item, why) = (Shown(&coverage.item), coverage.why.as_ref().map(Shown));
            match (coverage.is_several(), why) {
                (true, _) => writeln!(out, "    {item:width$}  {}", Shown(coverage.effect()))?,
                (false, Some(why)) => writeln!(out, "    {item}  {why}")?,
                (false, None) => writeln!(out, "    {item}")?,
            }
            if self.verbose && *collateral > 1 {
                for url in evicts {
                    writeln!(out, "      ! {}", Shown(url))?;
                }
                let rest = collateral.saturating_sub(evicts.len() as u64);
                if rest > 0 {
                    writeln!(out, "      ... and {rest} more")?;
                }
            }
        }
        Ok(())
    }
}

/// What one path more or fewer would change, around what was chosen.
fn write_curve(out: &mut Formatter<'_>, invalidation: &Invalidation) -> fmt::Result {
    let curve = &invalidation.curve;
    let chosen = curve.iter().rposition(|step| step.items <= invalidation.items.len()).unwrap_or(0);
    if curve.len() < 2 {
        return Ok(());
    }
    writeln!(out, "    what other budgets would evict:")?;
    for (at, step) in curve.iter().enumerate().skip(chosen.saturating_sub(1)).take(4) {
        let mark = if at == chosen { "  <- this plan" } else { "" };
        let word = if step.items == 1 { "item " } else { "items" };
        writeln!(out, "      {:>4} {word} {:>6} unchanged URLs{mark}", step.items, step.collateral)?;
    }
    Ok(())
}
