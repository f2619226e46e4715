//! Tests every rendering of a run with hostile texts: it has as many lines as with harmless ones, and none of them
//! has any effect.

use super::{Fate, Report, ReportedChange, junit, page};
use crate::deploy::change::{Action, Reason, Wave};
use crate::deploy::planned::Recovered;
use crate::deploy::run::Run;
use crate::deploy::verify::{Difference, Verified};
use crate::error::{Error, ErrorKind};
use crate::escape::{self, tests::hostile};
use crate::outcome::{Failure, Outcome};
use crate::report::file::Ending;
use crate::report::provenance::{Named, Provenance};
use crate::terminal::{Terminal, Volume};
use proptest::prelude::*;
use shipfront_invalidation::{Coverage, DistributionId, Invalidation, Step};
use shipfront_site::Warning;

/// A report in which every external text is this one.
fn report(text: &str, outcome: Outcome, verbose: bool, tenant: bool) -> Report {
    let owned = || text.to_owned();
    let change = |key: String, wave, fate| ReportedChange {
        key: key.into(),
        action: Action::Upload,
        reason: Reason::New,
        wave,
        bytes: 7,
        bytes_before: None,
        late: false,
        error: (fate == Fate::Failed).then_some(0),
        fate,
    };
    let changes = vec![
        change(owned(), Wave::Assets, Fate::Done),
        change(format!("d/{text}"), Wave::Pages, Fate::Failed),
        change(format!("d/e{text}"), Wave::Pages, Fate::Planned),
    ];
    let id = if tenant { DistributionId::Tenant(owned()) } else { DistributionId::Distribution(owned()) };
    let coverage = |item: String, collateral| Coverage {
        item,
        covers: 1,
        collateral,
        evicts: vec![owned(), owned()],
        why: Some(owned()),
    };
    let invalidation = Invalidation {
        id: (!tenant).then(owned),
        universe: 9,
        viewer_paths: 2,
        why: vec![owned()],
        coverage: vec![coverage(owned(), 2), coverage(format!("/{text}*"), 5)],
        curve: vec![Step { items: 1, collateral: 7 }, Step { items: 2, collateral: 5 }],
        ..Invalidation::of_items(id, vec![owned(), format!("/{text}*")])
    };
    let different = || Difference { url: owned(), key: owned(), found: owned() };
    let failure = |key| Failure { key, error: owned(), hint: Some(owned()), kind: ErrorKind::Other };
    Report {
        outcome,
        source: owned(),
        target: owned(),
        url: Some(owned()),
        changes,
        invalidations: vec![invalidation],
        recovered: Some(Recovered { deploy: owned(), keys: 3 }),
        warnings: vec![Warning::new(text, text)],
        errors: vec![failure(None), failure(Some(owned()))],
        verified: Some(Verified {
            site: owned(),
            urls: 2,
            checked: 2,
            differences: vec![different()],
            overridden: vec![different(), different()],
            unanswered: vec![different()],
        }),
        verbose,
        ..Report::new(Run::of_nothing(), &Terminal::new(Volume::Quiet, false))
    }
}

/// What is printed or written for a report, and for an error.
fn renderings(text: &str, outcome: Outcome, verbose: bool, tenant: bool) -> Vec<(&'static str, String)> {
    let report = report(text, outcome, verbose, tenant);
    let error = Error::failed(text).hint(text);
    let failed = Ending::Error { error: &error, source: text, target: text };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let named = || Some(Named { name: text.to_owned(), url: Some(text.to_owned()) });
    let provenance = Provenance { commit: named(), build: named() };
    vec![
        ("text", escape::lines(&report.to_string())),
        ("page", page::page(&Ending::Report(&report), now, &provenance)),
        ("page of an error", page::page(&failed, now, &provenance)),
        ("JUnit", junit::document(&Ending::Report(&report)).unwrap()),
        ("JUnit of an error", junit::document(&failed).unwrap()),
        ("JSON", escape::tests::written(&report)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_texts_of_others_are_each_line_is_ours_and_does_nothing(
        text in hostile(),
        outcome in proptest::sample::select(vec![
            Outcome::Planned, Outcome::Refused, Outcome::Deployed, Outcome::Partial, Outcome::Stale, Outcome::Different, Outcome::Unverified,
        ]),
        verbose in any::<bool>(), tenant in any::<bool>(),
    ) {
        // A slash makes a folder, and an empty text has no line of its own.
        let text = text.replace('/', "_");
        prop_assume!(!text.is_empty());
        let plain = renderings("name", outcome, verbose, tenant);
        for ((what, shown), (_, plain)) in renderings(&text, outcome, verbose, tenant).into_iter().zip(plain) {
            prop_assert_eq!(shown.matches('\n').count(), plain.matches('\n').count(), "{}: {:?}", what, shown);
            let colorless = anstream::adapter::strip_str(&shown).to_string();
            let log = matches!(what, "text" | "JSON");
            prop_assert!(colorless.split('\n').all(escape::tests::is_seen), "{}: {:?}", what, shown);
            prop_assert!(!log || shown.split('\n').all(escape::tests::is_no_command), "{}: {:?}", what, shown);
        }
    }
}
