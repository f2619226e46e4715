//! Reads the state before anything is decided: the source, the target, the record, the distributions.

use crate::cloudfront::Distributions;
use crate::cloudfront::lookup::{refuse_other_buckets, shapes};
use crate::deploy::rules::{self, RulesPlan};
use crate::deploy::tagging::Tagging;
use crate::deploy::walk::{self, Walk};
use crate::deploy::{Deploy, error_pages, headers_and_redirects, pattern_warnings, preview, source_guard};
use crate::error::{Error, ErrorKind, Result};
use crate::record::intent::UnfinishedDeploy;
use crate::record::session::Session;
use crate::s3::Bucket;
use shipfront_invalidation::viewer::{Claim, DistributionShape, shows_only_others};
use shipfront_invalidation::{DistributionId, Viewers};
use shipfront_site::Target;
use shipfront_site::Warning;
use shipfront_site::rules::HeaderRules;
use std::sync::Arc;

/// The state as it was found.
pub(super) struct Discovered {
    pub walk: Arc<Walk>,
    pub bucket: Bucket,
    /// The deploy record; `None` if none is kept.
    pub session: Option<Session>,
    pub viewers: Viewers,
    /// The distributions that the record says must be invalidated but that certainly serve other buckets: they are
    /// invalidated only if the user names them, and stay in the record until then.
    pub withheld: Vec<DistributionId>,
    pub distributions: Distributions,
    /// The distribution of the site to `--verify`.
    pub verified: Option<DistributionId>,
    /// How uploads are tagged, if a distribution reads tags.
    pub tagging: Option<Arc<Tagging>>,
    /// What to do about rules, if they are published.
    pub rules: Option<Arc<RulesPlan>>,
}

impl Discovered {
    /// The distributions to invalidate: those of this run, and those that are left to the next run.
    pub(super) fn to_tell(&self) -> Vec<DistributionId> {
        let mut ids = self.viewers.ids();
        ids.extend(self.withheld.iter().cloned());
        ids
    }

    /// Errors about the distributions that are not invalidated.
    pub(super) fn withheld(&self) -> impl Iterator<Item = Error> {
        self.withheld.iter().map(|id| withheld(id, self.bucket.target().bucket()))
    }

    /// What an interrupted run left.
    pub(super) fn unfinished(&self) -> Option<&Arc<UnfinishedDeploy>> {
        self.session.as_ref().and_then(Session::unfinished)
    }
}

impl Deploy<'_> {
    /// Reads everything except the target's objects, which are listed once it is clear that this run may proceed:
    /// then the record is never newer than the listing, and any write in between makes the conditional write fail.
    pub(super) async fn discover(&self) -> Result<Discovered> {
        let settings = self.settings;
        let _progress = self.terminal.wait("reading");
        let open_session = async |bucket: &Bucket| Box::pin(Session::open(self.aws, bucket, &settings.record)).await;
        let target =
            Box::pin(Bucket::open(self.aws, &settings.target, settings.expected_owner.as_deref(), open_session));
        let distributions = Distributions::new(self.aws);
        let target_bucket = settings.site().bucket();
        let shapes = Box::pin(shapes(&distributions, &settings.distributions, settings.any_origin, target_bucket));
        let (walk, target, shapes) = tokio::join!(Box::pin(self.walk()), target, shapes);
        // Report the user's own mistakes first, then the bucket, which every distribution's origin depends on.
        let ((mut walk, rules), (bucket, session)) = (walk?, target?);
        let shapes = match (shapes, &settings.preview) {
            // A preview has the files and redirects that it would have on the site that it may become, if that is
            // known.
            (Err(error), Some(preview)) => {
                walk.warnings.extend(preview.production.as_ref().map(|_| preview::without_distributions(&error)));
                Vec::new()
            }
            (shapes, _) => shapes?,
        };
        refuse_other_buckets(&shapes, target_bucket)?;
        preview::guard_other(settings, session.as_ref())?;
        let redirects = headers_and_redirects::apply_redirects(&mut walk, &rules, settings, &shapes)?;
        let unfinished = session.as_ref().and_then(Session::unfinished).map(|unfinished| &**unfinished);
        let (shapes, withheld, gone) = Box::pin(self.with_unfinished(&distributions, shapes, unfinished)).await?;
        walk.warnings.extend(gone);
        walk.warnings.extend(session.iter().flat_map(Session::warnings).cloned());
        let unbelievable = session.as_ref().and_then(|session| session.unbelievable(settings.build.as_ref()));
        walk.warnings.extend(unbelievable.map(|build| {
            Warning::new(
                format_args!(
                    "the deploy record names build {} as the newest, which is too far ahead to be plausible, so shipfront \
                     ignores it",
                    build.number
                ),
                "the next deploy replaces it; check who can write the record",
            )
        }));
        guard_record(&walk, session.as_ref().map(Session::place), &settings.target)?;
        let verified = settings.verify.as_ref().map(|site| site.distribution(&shapes)).transpose()?;
        let policy = settings.policy.counting(session.as_ref().map(Session::paths_used));
        let viewers = Viewers::new(&shapes, settings.site(), policy);
        let manifest = session.as_ref().and_then(Session::manifest);
        error_pages::apply(&mut walk, &rules, &viewers, manifest);
        let directory_index = rules::directory_index(settings, &viewers);
        // No cache keeps copies of a preview, so there is nothing to invalidate.
        let viewers = if settings.preview.is_some() { Viewers::new(&[], &settings.target, policy) } else { viewers };
        let tagging = Tagging::of(&viewers).filter(|_| session.is_some()).map(Arc::new);
        let found = match &settings.preview {
            Some(_) => rules::find_for_preview(settings, session.as_ref(), redirects, directory_index)?,
            None => {
                let looking = rules::find(settings, &walk, &viewers, session.as_ref(), &distributions, redirects);
                Box::pin(looking).await?
            }
        };
        walk.warnings.extend(found.warnings);
        let (walk, rules) = (Arc::new(walk), found.plan.map(Arc::new));
        Ok(Discovered { walk, bucket, session, viewers, withheld, distributions, verified, tagging, rules })
    }

    /// The source, and the rules that set its files' headers.
    pub(super) async fn walk(&self) -> Result<(Walk, HeaderRules)> {
        let settings = self.settings.clone();
        let walk = tokio::task::spawn_blocking(move || {
            let source = &settings.source;
            if !settings.allow_project {
                source_guard::guard_project(source, &settings.walk)?;
            }
            let mut walk = walk::walk(source, settings.target.prefix(), &settings.walk)?;
            if !settings.allow_project {
                source_guard::guard_packages(source, &walk)?;
            }
            source_guard::guard_secrets(&walk)?;
            if !settings.allow_project {
                walk.warnings.extend(source_guard::built_within(source, &walk));
            }
            walk.warnings.extend(pattern_warnings::all(&settings.walk.written, &walk, source));
            let rules = headers_and_redirects::apply_headers(&mut walk, &settings)?;
            Ok::<_, Error>((walk, rules))
        });
        let walk = self.timeline.during("walk", walk).await;
        let (walk, rules) = walk.map_err(|error| Error::failed(format!("walking the source failed: {error}")))??;
        self.guard_source(&walk)?;
        Ok((walk, rules))
    }

    /// The distributions of this run, and those that an interrupted one had to invalidate. Separately, those that
    /// certainly serve other buckets, which anybody who can write the record could have named, and warnings about
    /// those that no longer exist.
    pub(super) async fn with_unfinished(
        &self,
        distributions: &Distributions,
        mut shapes: Vec<(DistributionId, DistributionShape)>,
        unfinished: Option<&UnfinishedDeploy>,
    ) -> Result<(Vec<(DistributionId, DistributionShape)>, Vec<DistributionId>, Vec<Warning>)> {
        let (mut withheld, mut gone) = (Vec::new(), Vec::new());
        for id in unfinished.iter().flat_map(|unfinished| &unfinished.distributions) {
            if shapes.iter().any(|(known, _)| known == id) {
                continue;
            }
            match distributions.shape(id).await {
                Ok(shape) if shows_only_others(&shape, self.settings.target.bucket()) => withheld.push(id.clone()),
                Ok(shape) => shapes.push((id.clone(), DistributionShape { claim: Claim::Recorded, ..shape })),
                // A distribution that was deleted meanwhile has nothing stale.
                Err(error) if error.kind() == ErrorKind::NoSuchResource => {
                    let notice = format!("an earlier deploy left an invalidation for the {id}, which no longer exists");
                    gone.push(Warning::new(notice, "the next complete deploy forgets it"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((shapes, withheld, gone))
    }

    fn guard_source(&self, walk: &Walk) -> Result<()> {
        let source = self.settings.source.display();
        if walk.entries.is_empty() {
            // Unreadable files, or files behind a link, may be the reason.
            self.guard_problems(&walk.problems)?;
            return Err(Error::refused(format!("the source {source} has no files to deploy; nothing was changed"))
                .hint("build the site first; shipfront never empties a site"));
        }
        self.guard_problems(&walk.problems)
    }

    pub(super) fn guard_problems(&self, problems: &[String]) -> Result<()> {
        match problems {
            [] => Ok(()),
            _ if self.settings.keep_going => Ok(()),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" (and {} more like it)", rest.len()) };
                Err(Error::refused(format!("{first}{more}; nothing was changed"))
                    .hint("fix it, or deploy the rest with --keep-going, which leaves unreadable files as they are in the bucket"))
            }
        }
    }
}

/// Why a distribution that the record names is not invalidated.
fn withheld(id: &DistributionId, bucket: &str) -> Error {
    let option = match id {
        DistributionId::Distribution(_) => "--distribution",
        DistributionId::Tenant(_) => "--distribution-tenant",
    };
    Error::stale(format!(
        "the deploy record says that the {id} is still to be invalidated, but no origin of it is the bucket {bucket}: it was not invalidated, and stays in the record"
    ))
    .hint(format!(
        "if it does show the site, add it once with '{option} {} --any-origin'; if not, check who can write the record, and remove its ID from \"intent\" in state.json",
        id.as_str()
    ))
}

/// Refuses a record in a folder where the source has files as well, because it would hide them.
fn guard_record(walk: &Walk, record: Option<&Target>, target: &Target) -> Result<()> {
    let Some(record) = record.filter(|record| record.bucket() == target.bucket()) else { return Ok(()) };
    let Some(folder) = record.prefix().strip_prefix(target.prefix()) else { return Ok(()) };
    match walk.entries.iter().find(|entry| entry.key.starts_with(folder)) {
        Some(entry) => {
            Err(Error::usage(format!("the deploy record at {record} is where the source has {:?}", entry.key))
                .hint("keep it in a folder or bucket that is not part of the site"))
        }
        None => Ok(()),
    }
}
