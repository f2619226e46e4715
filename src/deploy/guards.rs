//! The guards that refuse a plan as a whole. Pure except for reading a front page that is hardly one.
//!
//! Each asks the user to check the plan, so the plan is shown before it is refused.

use crate::deploy::change::{Change, Reason};
use crate::deploy::diff::PruneAfter;
use crate::deploy::plan::Plan;
use crate::deploy::walk::Walk;
use crate::error::Error;
use crate::open_files;
use shipfront_site::Warning;
use shipfront_site::key::{composed, has_digest, invisible_character, legible};
use shipfront_site::{Key, ObjectKind};
use std::collections::HashMap;
use std::io::Read;

/// Fewer pages than this may be removed, whatever share of the site they are.
const FEW_PAGES: u64 = 10;
/// Larger pages, in bytes, are not read to see whether they are blank: there may be many.
const HARDLY_A_PAGE: u64 = 64;
/// A page of up to this many bytes may be blank.
const MAYBE_BLANK: u64 = 4096;
/// `max-age` in seconds from which a copy counts as permanent: 30 days.
const FOR_GOOD: u64 = 30 * 86_400;
/// Number of files that a warning names before it only counts.
const NAMED: usize = 3;

/// The beginning of the hints about removals; the option that allows them follows.
const WHOLE_SITE: &str = "check that the source is the complete site; if it is, pass ";

/// What a plan is checked against.
pub(super) struct Guards<'a> {
    pub plan: &'a Plan,
    pub walk: &'a Walk,
    /// Maximum number of objects that may leave the source.
    pub max_delete: u64,
    pub prune_after: PruneAfter,
    /// Whether the user allows pages to be removed.
    pub allow_removals: bool,
    /// Whether an earlier deploy recorded what shipfront owns.
    pub has_manifest: bool,
}

impl Guards<'_> {
    /// Why the plan must not be carried out, if so. `is_front_page` says which keys are front pages.
    pub(super) fn refusal(&self, is_front_page: impl Fn(&str) -> bool) -> Option<Error> {
        let mut refusals: Vec<(String, String)> = Vec::new();
        if !self.allow_removals {
            refusals.extend(self.other_spelling());
            refusals.extend(self.front_page(&is_front_page));
            refusals.extend(self.pages());
            refusals.extend(self.blank_pages());
        }
        refusals.extend(self.count());
        let (mut messages, hints): (Vec<String>, Vec<String>) = refusals.into_iter().unzip();
        let hint = joined(hints);
        messages.push("nothing was changed".to_owned());
        (messages.len() > 1).then(|| Error::refused(messages.join("; ")).hint(hint))
    }

    /// Orphans of earlier deploys were announced at the time, and do not count; neither do those that are never
    /// deleted.
    fn count(&self) -> Option<(String, String)> {
        let (orphaned, most) = (self.plan.newly_orphaned, self.max_delete);
        (orphaned > most && self.prune_after != PruneAfter::Never).then(|| {
            (
                format!("{} no longer in the source, more than --max-delete {most}", are(orphaned, "object")),
                format!("{WHOLE_SITE}--max-delete {orphaned}"),
            )
        })
    }

    /// Refuses if more than half of the pages are removed. Assets have new names after every build, so they say
    /// nothing.
    fn pages(&self) -> Option<(String, String)> {
        let (leaving, all) = (self.plan.leaving_pages.len() as u64, self.plan.owned_pages);
        (leaving > FEW_PAGES && leaving * 2 > all && self.prune_after != PruneAfter::Never)
            .then(|| (format!("{leaving} of {all} deployed pages are no longer in the source"), of_pages()))
    }

    /// Refuses if more than half of the pages become blank: a build that failed halfway leaves empty files.
    fn blank_pages(&self) -> Option<(String, String)> {
        let (blank, all) = (emptied(self.plan, self.walk).count() as u64, self.plan.owned_pages);
        (blank > FEW_PAGES && blank * 2 > all).then(|| {
            let hint = "build the site again; if the pages should be empty, pass --allow-removals once";
            (format!("{blank} of {all} deployed pages become empty"), hint.to_owned())
        })
    }

    /// Refuses if the front page is removed or becomes blank.
    fn front_page(&self, is_front_page: &impl Fn(&str) -> bool) -> Option<(String, String)> {
        let is_front = |key: &str| !key.contains('/') && is_front_page(key);
        if let Some(key) = self.plan.leaving_pages.iter().find(|key| is_front(key)) {
            return Some((format!("the front page, {key}, is no longer in the source"), of_pages()));
        }
        for change in &self.plan.changes {
            match change {
                // What others put there stays; whether it may be the front page was decided with the first deploy.
                Change::Orphan { subject, .. }
                    if subject.reason == Reason::Foreign && !self.has_manifest && is_front(&subject.key) =>
                {
                    let message = format!("the target has a front page, {}, but the source has none", subject.key);
                    return Some((message, of_pages()));
                }
                Change::Upload { subject, entry, bytes, .. }
                    if *bytes <= MAYBE_BLANK && is_front(&subject.key) && is_blank(self.walk, *entry, *bytes) =>
                {
                    let hint = "build the site again; if the page should be empty, pass --allow-removals once";
                    return Some((format!("the front page, {}, is empty", subject.key), hint.to_owned()));
                }
                _ => {}
            }
        }
        None
    }

    /// Refuses if a file would become a second object, next to one with the same name in other Unicode characters.
    fn other_spelling(&self) -> Option<(String, String)> {
        // A pure ASCII key has only one spelling.
        let spelled_otherwise = || self.plan.changes.iter().filter(|change| !change.key().is_ascii());
        let leaves = |change: &&Change| matches!(change, Change::Remove { .. } | Change::Orphan { .. });
        let is_new = |change: &&Change| matches!(change, Change::Upload { .. }) && change.reason() == Reason::New;
        let leaving = spelled_otherwise().filter(leaves).map(|change| (composed(change.key()), change.key()));
        let leaving: HashMap<_, &str> = leaving.collect();
        let mut created = spelled_otherwise().filter(is_new).map(Change::key);
        let (here, there) = created.find_map(|here| Some((here, *leaving.get(&composed(here))?)))?;
        Some((
            format!("{here:?} has another Unicode spelling in the target, {}", spelled(there)),
            "deploy from the machine that the site was deployed from, or give the files their composed names (convmv \
             --nfc); if the names should change, pass --allow-removals once"
                .to_owned(),
        ))
    }
}

fn is_blank(walk: &Walk, entry: usize, bytes: u64) -> bool {
    let Some(entry) = walk.entries.get(entry).filter(|entry| !entry.is_redirect()) else { return false };
    if bytes == 0 {
        return true;
    }
    let mut text = Vec::new();
    let read =
        open_files::open(&entry.path(&walk.root)).and_then(|file| file.take(MAYBE_BLANK + 1).read_to_end(&mut text));
    read.is_ok() && is_blank_text(&text)
}

/// The owned pages that had content and become blank.
fn emptied<'p>(plan: &'p Plan, walk: &'p Walk) -> impl Iterator<Item = &'p str> {
    plan.changes.iter().filter_map(|change| {
        let Change::Upload { subject, entry, kind: ObjectKind::Pages, bytes } = change else { return None };
        let was_a_page = subject.existing().is_some_and(|existing| existing.owned && existing.file_size() != Some(0));
        let is_emptied = was_a_page && *bytes <= HARDLY_A_PAGE && is_blank(walk, *entry, *bytes);
        is_emptied.then_some(&*subject.key)
    })
}

/// A warning about pages that become blank, if they are too few to refuse.
pub(super) fn emptied_pages(plan: &Plan, walk: &Walk) -> Option<Warning> {
    let emptied: Vec<&str> = emptied(plan, walk).collect();
    let (first, rest) = emptied.split_at(emptied.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let shown: Vec<_> = first.iter().map(|key| legible(key)).collect();
    (!first.is_empty()).then(|| {
        let is = if emptied.len() == 1 { "is" } else { "are" };
        Warning::new(
            format_args!("{}{more} had content and {is} now empty, so viewers see a blank page", shown.join(", ")),
            "correct the build if that is a mistake",
        )
    })
}

/// Whether a text is invisible to viewers: a byte order mark does not count as a character.
fn is_blank_text(text: &[u8]) -> bool {
    let marks = [&b"\xEF\xBB\xBF"[..], b"\xFE\xFF", b"\xFF\xFE"];
    let text = marks.iter().find_map(|mark| text.strip_prefix(*mark)).unwrap_or(text);
    text.trim_ascii().is_empty()
}

fn are(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what} is") } else { format!("{count} {what}s are") }
}

fn of_pages() -> String {
    format!("{WHOLE_SITE}--allow-removals this once")
}

/// Joins hints into one that says their common part once.
fn joined(hints: Vec<String>) -> String {
    let mut joined: Vec<String> = Vec::new();
    for hint in hints {
        if joined.contains(&hint) {
            continue;
        }
        let before = joined.iter().position(|before| before.starts_with(WHOLE_SITE));
        match (hint.strip_prefix(WHOLE_SITE), before.and_then(|at| joined.get_mut(at))) {
            (Some(option), Some(before)) if before.contains(option) => {}
            (Some(option), Some(before)) => before.push_str(&format!(" and {option}")),
            _ => joined.push(hint),
        }
    }
    joined.join("; ")
}

/// A name with its non-ASCII characters as code points, so that two spellings look different.
fn spelled(name: &str) -> String {
    let shown = |c: char| {
        if c.is_ascii() { legible(&c.to_string()).into_owned() } else { format!("\\u{{{:x}}}", u32::from(c)) }
    };
    name.chars().map(shown).collect()
}

/// A warning about changed files that browsers may keep forever.
pub(super) fn changed_for_good(plan: &Plan, walk: &Walk) -> Option<Warning> {
    let is_for_good = |change: &&Change| {
        let Change::Upload { subject, entry, .. } = change else { return false };
        let cache_control = walk.entries.get(*entry).and_then(|entry| entry.headers.get().cache_control.as_deref());
        matches!(subject.reason, Reason::Size | Reason::Etag)
            && cache_control
                .is_some_and(|said| is_immutable(said) || has_digest(&subject.key) && max_age(said) >= FOR_GOOD)
    };
    let changed: Vec<&str> = plan.changes.iter().filter(is_for_good).map(Change::key).collect();
    let (first, rest) = changed.split_at(changed.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!first.is_empty()).then(|| {
        let (its, says) = if changed.len() == 1 { ("its", "it never changes") } else { ("their", "they never change") };
        Warning::new(
            format_args!(
                "{}{more} changed under the same name, but {its} Cache-Control says that {says}, so browsers keep the old \
                 version",
                first.join(", ")
            ),
            "use names with a hash, or a shorter max-age without immutable",
        )
    })
}

/// One warning of names in which nobody sees a character: a link to them is hardly ever right. It is said when such a file
/// is uploaded, not by each deploy.
pub(super) fn invisible_names(plan: &Plan) -> Option<Warning> {
    let uploads = plan.changes.iter().filter(|change| matches!(change, Change::Upload { .. }));
    let mut found = uploads.filter_map(|change| Some((change.key(), invisible_character(change.key())?)));
    let (key, character) = found.next()?;
    let more = match found.count() {
        0 => String::new(),
        1 => " (and 1 more file like it)".to_owned(),
        more => format!(" (and {more} more files like it)"),
    };
    let spelled = |c: char| format!("U+{:04X}", u32::from(c));
    let shown: String =
        key.chars().map(|c| if c == character { format!("<{}>", spelled(c)) } else { c.to_string() }).collect();
    Some(Warning::new(
        format_args!("the name {} has an invisible character, {}{more}", legible(&shown), spelled(character)),
        "rename it, unless pages link to it that way",
    ))
}

fn directives(cache_control: &str) -> impl Iterator<Item = &str> {
    cache_control.split(',').map(str::trim)
}

fn is_immutable(cache_control: &str) -> bool {
    directives(cache_control).any(|directive| directive.eq_ignore_ascii_case("immutable"))
}

fn max_age(cache_control: &str) -> u64 {
    let age = |directive: &str| {
        let (name, age) = directive.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| age.trim().trim_matches('"').parse().ok()).flatten()
    };
    directives(cache_control).find_map(age).unwrap_or(0)
}

impl Plan {
    /// Counts an owned page, and whether this plan removes it.
    pub(super) fn count_page(&mut self, kind: ObjectKind, key: &Key, leaves: bool) {
        if kind == ObjectKind::Pages {
            self.owned_pages += 1;
            if leaves {
                self.leaving_pages.push(key.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::change::{Before, CachedCopies, Subject};
    use crate::exit::Exit;

    fn subject(key: &str, reason: Reason) -> Subject {
        let cached = CachedCopies::Nothing;
        Subject::new(key.into(), reason, Before { cached, ..Before::default() })
    }

    fn removal(key: &str) -> Change {
        Change::Remove { subject: subject(key, Reason::Orphaned), bytes: 1, late: false }
    }

    fn creation(key: &str) -> Change {
        Change::Upload { subject: subject(key, Reason::New), entry: 0, kind: ObjectKind::Pages, bytes: 9_999 }
    }

    fn guards<'a>(plan: &'a Plan, walk: &'a Walk) -> Guards<'a> {
        let prune_after = PruneAfter::Seconds(0);
        Guards { plan, walk, max_delete: 500, prune_after, allow_removals: false, has_manifest: true }
    }

    /// A plan that removes `leave` of `all` pages.
    fn leaving(leave: u64, all: u64) -> Plan {
        let mut plan = Plan::default();
        for page in 0..all {
            plan.count_page(ObjectKind::Pages, &format!("{page}.html").into(), page < leave);
            plan.count_page(ObjectKind::Assets, &format!("{page}.css").into(), true);
        }
        plan
    }

    #[test]
    fn more_than_ten_pages_that_are_more_than_half_of_them_do_not_leave() {
        let walk = Walk::default();
        for (leave, all, refused) in [(10, 10, false), (11, 11, true), (11, 21, true), (11, 22, false), (0, 5, false)] {
            let plan = leaving(leave, all);
            let guards = guards(&plan, &walk);
            assert_eq!(guards.refusal(|_| false).is_some(), refused, "{leave} of {all}");
            let allowed = Guards { allow_removals: true, ..guards };
            assert!(allowed.refusal(|_| false).is_none());
        }
    }

    #[test]
    fn more_than_half_of_the_pages_do_not_become_blank() {
        let walk = Walk { entries: vec![crate::deploy::entry::Entry::file("a.html", 0)], ..Walk::default() };
        for (blank, all, refused) in [(10, 10, false), (11, 21, true), (11, 22, false), (20, 21, true)] {
            let mut plan = leaving(0, all);
            for page in 0..blank {
                let etag = shipfront_site::etag::Etag::Opaque("x".into());
                let existing =
                    Some(crate::deploy::change::Existing { etag, size: 9, is_compressed: false, owned: true });
                let before = Before { existing, ..Before::default() };
                let subject = Subject::new(format!("{page}.html").into(), Reason::Size, before);
                plan.changes.push(Change::Upload { subject, entry: 0, kind: ObjectKind::Pages, bytes: 0 });
            }
            let guards = guards(&plan, &walk);
            assert_eq!(guards.refusal(|_| false).is_some(), refused, "{blank} of {all}");
            let allowed = Guards { allow_removals: true, ..guards };
            assert!(allowed.refusal(|_| false).is_none());
        }
    }

    #[test]
    fn hints_of_several_guards_say_once_what_they_have_in_common() {
        let walk = Walk::default();
        let mut plan = leaving(11, 11);
        plan.newly_orphaned = 600;
        let refused = guards(&plan, &walk).refusal(|_| false).unwrap();
        let hint = refused.hint_text();
        assert_eq!(
            hint,
            "check that the source is the complete site; if it is, pass --allow-removals this once and --max-delete 600"
        );
        plan.count_page(ObjectKind::Pages, &"index.html".into(), true);
        let refused = guards(&plan, &walk).refusal(|key| key == "index.html").unwrap();
        assert_eq!(refused.hint_text(), hint, "each option once");
    }

    #[test]
    fn white_space_and_a_byte_order_mark_are_nothing_to_see() {
        for blank in [&b""[..], b" \r\n", b"\xEF\xBB\xBF", b"\xEF\xBB\xBF\n", b"\xFF\xFE"] {
            assert!(is_blank_text(blank), "{blank:?}");
        }
        assert!(!is_blank_text(b"\xEF\xBB\xBFa"));
    }

    #[test]
    fn a_count_of_objects_is_refused_whatever_is_said_of_pages() {
        let (walk, plan) = (Walk::default(), Plan { newly_orphaned: 501, ..Plan::default() });
        let refused = Guards { allow_removals: true, ..guards(&plan, &walk) }.refusal(|_| false).unwrap();
        assert_eq!((refused.exit(), refused.to_string().contains("--max-delete 500")), (Exit::Refused, true));
        let kept = Guards { prune_after: PruneAfter::Never, ..guards(&plan, &walk) };
        assert!(kept.refusal(|_| false).is_none());
    }

    #[test]
    fn the_front_page_does_not_leave() {
        let mut plan = Plan::default();
        plan.count_page(ObjectKind::Pages, &"home.html".into(), true);
        let walk = Walk::default();
        assert!(guards(&plan, &walk).refusal(|key| key == "index.html").is_none());
        let refused = guards(&plan, &walk).refusal(|key| key == "home.html").unwrap();
        assert!(refused.to_string().contains("home.html"), "{refused}");
    }

    #[test]
    fn one_name_in_two_spellings_is_no_removal_and_no_new_page() {
        let walk = Walk::default();
        let plan = Plan { changes: vec![creation("cafe\u{301}.html"), removal("café.html")], ..Plan::default() };
        let refused = guards(&plan, &walk).refusal(|_| false).unwrap();
        assert!(refused.to_string().contains("caf\\u{e9}.html"), "{refused}");
        let plan = Plan { changes: vec![creation("cafè.html"), removal("café.html")], ..Plan::default() };
        assert!(guards(&plan, &walk).refusal(|_| false).is_none());
    }

    #[test]
    fn directives_are_read_as_browsers_do() {
        assert!(is_immutable("public, max-age=1, Immutable") && !is_immutable("max-age=1"));
        for (said, age) in [("public, max-age=31536000", 31_536_000), ("Max-Age = \"60\"", 60), ("s-maxage=9", 0)] {
            assert_eq!(max_age(said), age, "{said}");
        }
    }
}
