//! What a preview left, as the source of a promotion: its manifest, and the objects at the locations that it names.

use crate::deploy::Deploy;
use crate::deploy::rollback::look::{Missing, Origin as Found};
use crate::deploy::rollback::{Promoted, SourceDeploy};
use crate::error::{Error, ErrorKind, Result};
use crate::record::Place;
use crate::record::manifest::{Manifest, Row};
use crate::record::preview::{no_preview, other_name, overlap};
use crate::record::session::Session;
use crate::s3::Bucket;
use crate::s3::head::Head;
use shipfront_site::Key;
use shipfront_site::Warning;

/// A preview that is made live.
pub(super) struct Origin {
    preview: Promoted,
    bucket: Bucket,
    /// Whether only one deploy of it is accepted.
    is_pinned: bool,
    /// That deploy, or the one that was live when it was read.
    deploy: String,
}

impl Origin {
    /// The name of the preview, as typed.
    pub(super) fn name(&self) -> &str {
        &self.preview.name
    }

    /// The location of a row's object, if it is as the preview's deploy left it.
    pub(super) async fn look(&self, key: &Key, row: &Row) -> Result<Result<Found, Missing>> {
        let is_same = |head: &Head| head.etag == row.etag && head.size == row.size;
        let Some(head) = self.bucket.head(key).await?.filter(is_same) else {
            return Ok(Err(Missing::Gone));
        };
        // A version fixes more than the bytes.
        let version = head.version.clone().filter(|id| id != "null");
        let class = head.headers.storage_class.clone();
        Ok(Found::new(&self.bucket, key, (version, class), head))
    }

    /// The error if objects are not as the preview's deploy left them.
    pub(super) fn incomplete(&self, what: &str) -> Error {
        Error::refused(format!(
            "the preview {} was changed since its last deploy: {what}; nothing was changed",
            self.preview.name
        ))
        .hint("deploy the preview again and check it, then promote it")
    }

    /// The error if another deploy of the preview came first.
    fn other(&self, live: Option<&str>) -> Error {
        let live = live.unwrap_or("none");
        let message = format!("the preview {} is now deploy {live}, not {}", self.preview.name, self.deploy);
        let hint = match self.is_pinned {
            true => format!("check it again, then promote it with --deploy {live}"),
            false => "it was deployed in the meantime: check it again, then promote it".to_owned(),
        };
        Error::refused(format!("{message}; nothing was changed")).hint(hint)
    }

    /// The session of the preview, if it is still what was read: no other deploy of it was completed, or is
    /// running.
    async fn session(&self, deploy: &Deploy<'_>) -> Result<Session> {
        let look = Session::look(deploy.aws, &self.bucket, &Place::SiteFolder).await?;
        look.ok_or_else(|| {
            Error::usage("a promotion needs the deploy record of the preview")
                .hint("deploy the preview without --no-record")
        })
    }
}

impl Deploy<'_> {
    /// Reads what the preview left, which must be complete. `production` is the record of the site that it becomes.
    pub(super) async fn read_preview(
        &self,
        preview: &Promoted,
        production: &Session,
    ) -> Result<(SourceDeploy, Manifest)> {
        let Promoted { name, target, deploy } = preview;
        let site = &self.settings.target;
        if overlap(target, site) {
            return Err(Error::usage(format!("the preview at {target} and production at {site} overlap"))
                .hint("keep previews in another bucket or folder than production"));
        }
        if production.preview().is_some() {
            return Err(Error::refused(format!("{site} is a preview itself; nothing was changed"))
                .hint("name the production target"));
        }
        let open = async |bucket: &Bucket| Session::open(self.aws, bucket, &Place::SiteFolder).await;
        let owner = self.settings.expected_owner.as_deref();
        let opened = Bucket::open(self.aws, target, owner, open).await;
        let (bucket, session) = opened.map_err(|error| match error.kind() {
            ErrorKind::NoSuchResource => {
                let message = format!("there is no preview {name}: {error}; nothing was changed");
                error.saying(message).hint(format!("'shipfront deploy SOURCE --preview {name}' makes one"))
            }
            _ => error,
        })?;
        let mut session = session.filter(|session| !session.is_new()).ok_or_else(|| {
            Error::refused(format!("there is no preview {name} at {target}; nothing was changed"))
                .hint("'shipfront previews' lists them")
        })?;
        let note = session.preview().ok_or_else(|| no_preview(&target.to_string()))?;
        if note.name != *name {
            return Err(other_name(name, &note.name, target));
        }
        let to = production.place();
        if let Some(of) = note.production.as_deref().filter(|of| **of != self.settings.target.to_string()) {
            return Err(Error::refused(format!(
                "the preview {name} is one of {of}, not of {}; nothing was changed",
                self.settings.target
            ))
            .hint(format!("name its own target; its record is at {}, this one at {to}", session.place())));
        }
        let unfinished = |what: String| {
            Err(Error::refused(format!("the preview {name} is not complete: {what}; nothing was changed"))
                .hint("deploy the preview again and check it, then promote it"))
        };
        if let Some(holder) = session.holder() {
            return unfinished(format!("a deploy of it is under way ({holder})"));
        }
        if session.unfinished().is_some() {
            return unfinished("its last deploy was interrupted".to_owned());
        }
        let Some(deployed) = session.deploys().into_iter().next() else {
            return unfinished("no deploy of it has finished".to_owned());
        };
        // Also where it copied nothing, so that the site is a whole one: it is not the one that was to be.
        let left = session.last().map_or(0, |last| last.left).max(deployed.left);
        if left > 0 {
            let objects = if left == 1 { "1 object".to_owned() } else { format!("{left} objects") };
            return unfinished(format!("its last deploy left {objects} undone"));
        }
        let is_pinned = deploy.is_some();
        let origin = |deploy: &str| Origin {
            preview: preview.clone(),
            bucket: bucket.clone(),
            is_pinned,
            deploy: deploy.to_owned(),
        };
        if let Some(pinned) = deploy.as_deref().filter(|pinned| **pinned != deployed.deploy) {
            return Err(origin(pinned).other(Some(&deployed.deploy)));
        }
        let Some(manifest) = session.take_manifest() else {
            return unfinished("no deploy of it has finished".to_owned());
        };
        let rules = manifest.rules();
        let preview = Some(origin(&deployed.deploy));
        Ok((SourceDeploy { deployed, has_copies: false, rules, preview }, manifest))
    }

    /// Refuses a preview that was deployed again since it was read.
    pub(super) async fn guard_preview(&self, source_deploy: &SourceDeploy) -> Result<()> {
        let Some(origin) = &source_deploy.preview else { return Ok(()) };
        let now = origin.session(self).await?;
        match now.live() == Some(&*origin.deploy) && now.lease().is_none() {
            true => Ok(()),
            false => Err(origin.other(now.live())),
        }
    }

    /// A warning if the preview was deployed again during the promotion: an object with the same bytes may have the
    /// headers from before or after.
    pub(super) async fn changed_meanwhile(&self, source_deploy: &SourceDeploy) -> Option<Warning> {
        let origin = source_deploy.preview.as_ref()?;
        self.guard_preview(source_deploy).await.err().map(|_| {
            Warning::new(
                format_args!(
                    "the preview {} was deployed again, or removed, during the promotion: production has the files of \
                     deploy {}",
                    origin.name(),
                    origin.deploy
                ),
                "check the preview, and promote it again for the new one",
            )
        })
    }
}
