//! The last lines of a report: how the run ended, what CloudFront was asked to invalidate, and what is left to do.

use crate::deploy::change::{Action, Reason};
use crate::deploy::rollback::{PROMOTED, RESTORED};
use crate::deploy::rules::FunctionChange;
use crate::escape::Shown;
use crate::outcome::Outcome;
use crate::report::text::invalidation;
use crate::report::{Fate, Report};
use crate::wording::{Mark, SiteAt, counted, grouped, listed};
use shipfront_invalidation::DistributionId;
use std::fmt::{self, Formatter};

impl Report {
    /// How the run ended.
    pub(super) fn write_result(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.verdict() {
            (Some(mark), text) => writeln!(out, "{}", mark.line(text))?,
            (None, text) => writeln!(out, "{text}")?,
        }
        if !matches!(self.outcome, Outcome::NothingToDo | Outcome::Refused) {
            invalidation::write_summary(out, self)?;
        }
        if self.outcome == Outcome::Stale {
            self.write_repetition(out)?;
        }
        Ok(())
    }

    /// How the run ended, in one line, and how good that is; a plan is neither good nor bad.
    fn verdict(&self) -> (Option<Mark>, String) {
        let target = SiteAt::new(&self.target, self.is_local);
        let seconds = match self.seconds.total {
            seconds if seconds < 0.1 => "under 0.1 s".to_owned(),
            seconds => format!("{seconds:.1} s"),
        };
        // If the site's address is not known, the target replaces it.
        let place = if self.url.is_none() && !self.is_local { format!(" to {target}") } else { String::new() };
        let (verb, of) = self.verb();
        let done = self.done();
        let did = match (done.as_str(), of.is_empty()) {
            ("", _) => format!("{verb}{of}{place}"),
            (done, true) => format!("{verb} {done}{place}"),
            (done, false) => format!("{verb}{of}{place}: {done}"),
        };
        match self.outcome {
            Outcome::NothingToDo => (Some(Mark::Good), format!("{}{}", self.nothing_to_do(), self.expiry())),
            Outcome::Planned if !self.has_changes() => (Some(Mark::Good), self.nothing_to_do()),
            Outcome::Planned => (None, format!("{}; nothing was written", self.planned())),
            Outcome::Refused => {
                let done = if done.is_empty() { "nothing to upload or remove" } else { &done };
                (Some(Mark::Bad), format!("Refused: {done} in {target}; nothing was written"))
            }
            Outcome::Deployed => (Some(Mark::Good), format!("{did} in {seconds}{}", self.expiry())),
            Outcome::Different => {
                let urls = self.verified.as_ref().map_or(0, |verified| verified.differences.len() as u64);
                let serve = if urls == 1 { "1 URL serves" } else { &format!("{} URLs serve", grouped(urls)) };
                (Some(Mark::Warning), format!("{did} in {seconds}, but {serve} something else"))
            }
            Outcome::Unverified => {
                (Some(Mark::Warning), format!("{did} in {seconds}, but could not verify what viewers get"))
            }
            Outcome::Partial => {
                let so_far = if done.is_empty() { "nothing new is live".to_owned() } else { format!("{done} live") };
                let verb = verb.to_lowercase();
                (Some(Mark::Warning), format!("Partly {verb}{of}: {so_far}{}", self.missing()))
            }
            Outcome::Stale => (Some(Mark::Bad), format!("{did}, but CloudFront may still serve the previous version")),
            Outcome::Interrupted => {
                let so_far = if done.is_empty() { "nothing is live".to_owned() } else { format!("{done} live") };
                (Some(Mark::Warning), format!("Interrupted: {so_far}{}; run it again to finish", self.missing()))
            }
            Outcome::Failed => (Some(Mark::Bad), format!("Failed: nothing in {target} was changed")),
        }
    }

    /// What the run does, and with what, if that is not a source.
    fn verb(&self) -> (&'static str, String) {
        if let Some(preview) = self.source.strip_prefix(PROMOTED) {
            return ("Promoted", format!(" preview {}", Shown(preview)));
        }
        if let Some(preview) = &self.preview {
            return ("Deployed", format!(" preview {}", Shown(&preview.name)));
        }
        match self.source.strip_prefix(RESTORED) {
            Some(deploy) => ("Rolled back", format!(" to deploy {}", Shown(deploy))),
            None => ("Deployed", String::new()),
        }
    }

    fn planned(&self) -> String {
        let (_, of) = self.verb();
        let of = if self.preview.is_some() { String::new() } else { of };
        let of = match (self.source.strip_prefix(PROMOTED), of.is_empty()) {
            (_, true) => String::new(),
            (Some(preview), _) => format!(" to promote preview {}", Shown(preview)),
            (None, _) => format!(" to roll back{of}"),
        };
        let done = self.done();
        let done = if done.is_empty() { "nothing to upload or remove" } else { &done };
        let (source, target) = (Shown(&self.source), SiteAt::new(&self.target, self.is_local));
        let from = if of.is_empty() { format!(" for {source} -> {target}") } else { format!("{of} in {target}") };
        format!("Plan{from}: {done}")
    }

    fn nothing_to_do(&self) -> String {
        let (source, target) = (Shown(&self.source), SiteAt::new(&self.target, self.is_local));
        if let Some(preview) = self.source.strip_prefix(PROMOTED) {
            return format!("No changes: {target} matches preview {}", Shown(preview));
        }
        match self.source.strip_prefix(RESTORED) {
            Some(deploy) => format!("No changes: {target} matches deploy {}", Shown(deploy)),
            None => format!("No changes: {target} matches {source}"),
        }
    }

    /// What was done, or for a plan, what would be: `2 new files, 1 change and 1 removal`.
    fn done(&self) -> String {
        let planned = self.outcome.is_plan();
        let (mut new, mut changed, mut removed) = (0_u64, 0_u64, 0_u64);
        for change in self.changes.iter().filter(|change| planned || change.fate == Fate::Done) {
            match (change.action, change.reason) {
                (Action::Upload | Action::Copy, Reason::New) => new += 1,
                (Action::Upload | Action::Copy, _) => changed += 1,
                (Action::Prune, _) => removed += 1,
                (Action::Orphan | Action::Evict | Action::Retag, _) => {}
            }
        }
        let rules = self.rules.iter().filter(|function| function.change != FunctionChange::Unchanged).count() as u64;
        let counts = [(new, "new file"), (changed, "change"), (removed, "removal")];
        let texts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun));
        let rules = (rules > 0).then(|| format!("the rules of {}", counted(rules, "function")));
        let done = listed(&texts.chain(rules).collect::<Vec<_>>());
        match self.objects.copied {
            copied if copied > 0 && self.preview.is_some() => {
                format!("{done} ({} copied from production)", grouped(copied))
            }
            _ => done,
        }
    }

    /// When a preview expires: `; expires 2026-12-03`.
    fn expiry(&self) -> String {
        let expires = self.preview.as_ref().and_then(|preview| preview.expires);
        expires.map(|expires| format!("; expires {}", expires.strftime("%Y-%m-%d"))).unwrap_or_default()
    }

    /// What was not done: `, 2 failed or not started`.
    fn missing(&self) -> String {
        match self.objects.failed {
            0 => String::new(),
            count => format!(", {} failed or not started", grouped(count)),
        }
    }

    /// The commands that send what CloudFront did not accept.
    fn write_repetition(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for invalidation in self.invalidations.iter().filter(|invalidation| invalidation.id.is_none()) {
            let quoted: Vec<String> = invalidation.items.iter().map(|item| format!("'{}'", Shown(item))).collect();
            let flag = match &invalidation.distribution {
                DistributionId::Distribution(id) => format!("--distribution {}", Shown(id)),
                DistributionId::Tenant(id) => format!("--distribution-tenant {}", Shown(id)),
            };
            writeln!(out, "The next deploy invalidates it; to do it now:")?;
            writeln!(out, "  shipfront invalidate {flag} {}", quoted.join(" "))?;
        }
        Ok(())
    }
}
