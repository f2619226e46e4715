//! `policy`: policies to hand out: what a role must be allowed, by the one table of permissions, and what a bucket
//! must allow and deny.

use crate::aws::permission::{EntryPoint, Resource, Setup, needed};
use crate::aws::policy_document::{CLOUDFRONT, Document, READ, Statement};
use crate::cli::doctor::PolicyArgs;
use crate::cloudfront::lookup::Which;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::record::Place;
use crate::terminal::Terminal;
use shipfront_invalidation::DistributionId;
use shipfront_site::{RECORD_FOLDER, Target};

/// `policy`.
pub fn run(args: &PolicyArgs, terminal: &Terminal) -> Result<Exit> {
    let setting = Setting::new(args)?;
    terminal.print(if args.bucket_policy { setting.bucket_policy()? } else { setting.role_policy(&args.r#for) });
    Ok(Exit::Done)
}

/// For what a policy is. What only the person knows stands in capitals.
#[derive(Debug, Clone)]
struct Setting {
    /// The bucket, `BUCKET` where none is named.
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
    /// Where the deploy record is kept.
    record: Place,
    /// The distributions and tenants that show the site.
    distributions: Which,
    /// The account, `ACCOUNT` where none is named.
    account: String,
    /// The KMS key of the bucket, if it has one of its own.
    kms_key: Option<String>,
    /// Whether what is there is to be tagged.
    backfill: bool,
}

impl Setting {
    fn new(args: &PolicyArgs) -> Result<Setting> {
        let target = match (&args.bucket, &args.target) {
            (Some(bucket), _) => format!("s3://{bucket}"),
            (None, Some(target)) => target.clone(),
            (None, None) => "s3://BUCKET".to_owned(),
        };
        let target = Target::parse(&target)?;
        let prefix = args.prefix.as_deref().unwrap_or(target.prefix()).trim_matches('/');
        let target = Target::parse(&format!("s3://{}/{prefix}", target.bucket()))?;
        Ok(Setting {
            bucket: target.bucket().to_owned(),
            prefix: target.prefix().to_owned(),
            record: config::place(args.record.as_deref(), args.no_record)?,
            distributions: Which::parse(&args.distribution, &args.distribution_tenant)?,
            account: args.account.clone(),
            kms_key: args.kms_key.clone(),
            backfill: args.backfill,
        })
    }

    fn ids(&self) -> &[DistributionId] {
        match &self.distributions {
            Which::Ids(ids) => ids,
            Which::Auto | Which::None => &[],
        }
    }

    fn setups(&self) -> Vec<Setup> {
        let tenants = self.ids().iter().any(|id| matches!(id, DistributionId::Tenant(_)));
        let all = [
            (self.distributions == Which::Auto, Setup::AnyDistribution),
            (tenants, Setup::Tenant),
            (self.kms_key.is_some(), Setup::KmsKey),
            (self.backfill, Setup::CacheTags),
            (self.backfill, Setup::Backfill),
        ];
        all.into_iter().filter_map(|(applies, setup)| applies.then_some(setup)).collect()
    }

    /// The policy of a role that goes through these entry points.
    fn role_policy(&self, entry_points: &[EntryPoint]) -> Document {
        let mut statements: Vec<Statement> = Vec::new();
        let mut permissions: Vec<_> = needed(entry_points, &self.setups()).into_iter().collect();
        permissions.retain(|(action, _)| self.distributions != Which::None || !action.starts_with("cloudfront:"));
        permissions.sort_by_key(|&(action, resource)| (resource, action));
        for (action, resource) in permissions {
            let arns = self.arns(resource, action);
            match statements.iter_mut().find(|statement| statement.resource == arns) {
                Some(statement) => statement.action.push(action.to_owned()),
                None => statements.push(Statement {
                    effect: "Allow",
                    action: vec![action.to_owned()],
                    resource: arns,
                    ..Statement::default()
                }),
            }
        }
        Document::of(statements)
    }

    /// The policy of the bucket: the distributions read it by origin access control, all but the records.
    fn bucket_policy(&self) -> Result<Document> {
        if self.distributions == Which::None {
            return Err(Error::usage("a bucket that no distribution reads needs no policy"));
        }
        Ok(Document::of(vec![self.reading(), Statement::closing_records(&self.bucket)]))
    }

    /// CloudFront reads the site for these distributions, and for no others.
    fn reading(&self) -> Statement {
        Statement {
            sid: Some("OnlyTheseDistributionsRead"),
            effect: "Allow",
            principal: Some([("Service", CLOUDFRONT)].into()),
            action: vec![READ.to_owned()],
            resource: vec![format!("arn:aws:s3:::{}/{}*", self.bucket, self.prefix)],
            condition: Some(
                [("StringEquals", [("aws:SourceArn", self.arns(Resource::Distribution, ""))].into())].into(),
            ),
        }
    }

    /// What an action is allowed on.
    fn arns(&self, resource: Resource, action: &str) -> Vec<String> {
        let named = |resource: Resource, id: &str| {
            let text = resource.to_string().replace("ACCOUNT", &self.account).replace("BUCKET", &self.bucket);
            let text = text.replace("PREFIX", &self.prefix);
            text.strip_suffix("ID").map(|start| format!("{start}{id}")).unwrap_or(text)
        };
        let ids = |tenants: bool| {
            let ids = self.ids().iter().filter(move |id| matches!(id, DistributionId::Tenant(_)) == tenants);
            let ids: Vec<&str> = ids.map(DistributionId::as_str).collect();
            // A tenant's distribution is another one, which only the person knows.
            if ids.is_empty() { vec!["ID"] } else { ids }
        };
        let elsewhere = match &self.record {
            Place::At(at) => Some(at),
            Place::Beside | Place::Nowhere => None,
        };
        match resource {
            // A record elsewhere is read and written there, and its policy does not matter.
            Resource::Bucket => {
                let elsewhere = elsewhere.filter(|at| at.bucket() != self.bucket && action != "s3:GetBucketPolicy");
                let elsewhere = elsewhere.map(|at| format!("arn:aws:s3:::{}", at.bucket()));
                std::iter::once(named(resource, "")).chain(elsewhere).collect()
            }
            Resource::Objects => {
                let folder = match &self.record {
                    Place::At(at) => Some(format!("arn:aws:s3:::{}/{}*", at.bucket(), at.prefix())),
                    Place::Nowhere => None,
                    Place::Beside if self.prefix.is_empty() => None,
                    Place::Beside => Some(format!("arn:aws:s3:::{}/{RECORD_FOLDER}{}*", self.bucket, self.prefix)),
                };
                // Nothing of a record is large enough to go up in parts.
                let folder = folder.filter(|_| action != "s3:AbortMultipartUpload");
                std::iter::once(named(resource, "")).chain(folder).collect()
            }
            Resource::Records => match elsewhere {
                Some(at) => vec![format!("arn:aws:s3:::{}/{}*", at.bucket(), at.prefix())],
                None => vec![named(resource, "")],
            },
            Resource::Distribution => ids(false).into_iter().map(|id| named(resource, id)).collect(),
            Resource::Tenant => ids(true).into_iter().map(|id| named(resource, id)).collect(),
            Resource::Key => vec![self.kms_key.clone().unwrap_or_else(|| resource.to_string())],
            Resource::CachePolicies | Resource::All => vec![named(resource, "")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::policy::{keeps_viewers_out, lets_distribution_read};

    fn setting(prefix: &str, ids: &[&str]) -> Setting {
        Setting {
            bucket: "www.example.com".to_owned(),
            prefix: prefix.to_owned(),
            record: Place::Beside,
            distributions: match ids.iter().map(|&id| DistributionId::Distribution(id.to_owned())).collect::<Vec<_>>() {
                ids if ids.is_empty() => Which::Auto,
                ids => Which::Ids(ids),
            },
            account: "123456789012".to_owned(),
            kms_key: None,
            backfill: false,
        }
    }

    fn allowed(document: &Document, action: &str) -> Vec<String> {
        let allows = |statement: &&Statement| statement.action.iter().any(|allowed| allowed == action);
        document.statement.iter().filter(allows).flat_map(|statement| statement.resource.clone()).collect()
    }

    #[test]
    fn a_role_is_allowed_what_it_needs_on_what_is_named() {
        let policy = setting("blog/", &["E1", "E2"]).role_policy(&[EntryPoint::Deploy]);
        assert_eq!(
            allowed(&policy, "s3:PutObject"),
            ["arn:aws:s3:::www.example.com/blog/*", "arn:aws:s3:::www.example.com/.shipfront/blog/*"]
        );
        assert_eq!(allowed(&policy, "s3:AbortMultipartUpload"), ["arn:aws:s3:::www.example.com/blog/*"]);
        let arn = |id: &str| format!("arn:aws:cloudfront::123456789012:distribution/{id}");
        assert_eq!(allowed(&policy, "cloudfront:CreateInvalidation"), [arn("E1"), arn("E2")]);
        assert_eq!(allowed(&policy, "cloudfront:ListDistributions"), [""; 0], "they are named");
        assert_eq!(allowed(&policy, "kms:Decrypt"), [""; 0]);
    }

    #[test]
    fn a_record_in_another_bucket_is_allowed_there() {
        let record = Place::At(Target::parse("s3://records/site").unwrap());
        let policy = Setting { record, ..setting("", &[]) }.role_policy(&[EntryPoint::Deploy]);
        assert_eq!(allowed(&policy, "s3:ListBucket"), ["arn:aws:s3:::www.example.com", "arn:aws:s3:::records"]);
        assert_eq!(allowed(&policy, "s3:GetBucketPolicy"), ["arn:aws:s3:::www.example.com"]);
        assert_eq!(
            allowed(&policy, "s3:DeleteObject"),
            ["arn:aws:s3:::www.example.com/*", "arn:aws:s3:::records/site/*"]
        );
        assert_eq!(allowed(&policy, "cloudfront:ListDistributions"), ["*"]);
    }

    #[test]
    fn what_a_site_does_without_is_not_allowed() {
        let bare = Setting { record: Place::Nowhere, distributions: Which::None, ..setting("blog/", &[]) };
        let policy = bare.role_policy(&[EntryPoint::Deploy]);
        assert_eq!(allowed(&policy, "s3:PutObject"), ["arn:aws:s3:::www.example.com/blog/*"]);
        assert!(!policy.to_string().contains("cloudfront:"), "{policy}");
    }

    #[test]
    fn a_key_and_a_tenant_are_allowed_where_they_are_in_use() {
        let tenant = Which::Ids(vec![DistributionId::Tenant("dt_1".to_owned())]);
        let key = "arn:aws:kms:eu-west-1:123456789012:key/1a".to_owned();
        let policy = Setting { distributions: tenant, kms_key: Some(key.clone()), ..setting("", &[]) };
        let policy = policy.role_policy(&[EntryPoint::Deploy]);
        assert_eq!(allowed(&policy, "kms:Decrypt"), [key]);
        let invalidate = "cloudfront:CreateInvalidationForDistributionTenant";
        assert_eq!(allowed(&policy, invalidate), ["arn:aws:cloudfront::123456789012:distribution-tenant/dt_1"]);
    }

    #[test]
    fn the_bucket_policy_lets_the_distributions_in_and_viewers_out_of_the_record() {
        let text = setting("", &["E1"]).bucket_policy().unwrap().to_string();
        assert!(lets_distribution_read(&text, "www.example.com", "", "E1"));
        assert!(!lets_distribution_read(&text, "www.example.com", "", "E2"));
        assert!(keeps_viewers_out(&text, "www.example.com", ".shipfront/"));
        assert!(!keeps_viewers_out(&text, "www.example.com", "site/"));
    }
}
