//! `policy`: prints policies: what a role must be allowed, from the one table of permissions, what a bucket must
//! allow and deny, and whose builds may assume a role.

use crate::aws::partition::partition_of;
use crate::aws::permission::{EntryPoint, Resource, Setup, needed};
use crate::aws::policy_document::{CLOUDFRONT, Document, READ, Statement, literal};
use crate::cli::doctor::PolicyArgs;
use crate::cloudfront::lookup::Which;
use crate::config;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::record::Place;
use crate::record::external_writes::EXTERNAL_WRITES;
use crate::terminal::Terminal;
use shipfront_invalidation::DistributionId;
use shipfront_site::Warning;
use shipfront_site::{RECORD_FOLDER, Target};

/// The one action that concerns many keys at once.
const LIST: &str = "s3:ListBucket";

/// `policy`.
pub fn run(args: &PolicyArgs, terminal: &Terminal) -> Result<Exit> {
    if let Some(trust) = &args.trust {
        let partition = partition(args, |name| std::env::var(name).ok());
        if let Some(breadth) = trust.breadth() {
            terminal.warn(&breadth);
        }
        terminal.print(trust.document(&partition, &args.account))?;
        return Ok(Exit::Done);
    }
    let setting = Setting::new(args)?;
    if setting.partition.starts_with("aws-us-gov") && setting.distributions != Which::None {
        terminal.warn(&Warning::new(
            format_args!(
                "CloudFront is not in the partition {}: a distribution is in an account of the partition aws, whose role \
                 needs the statements about CloudFront",
                setting.partition
            ),
            "'shipfront policy --partition aws' prints them",
        ));
    }
    terminal.print(if args.bucket_policy { setting.bucket_policy()? } else { setting.role_policy(&args.r#for) })?;
    Ok(Exit::Done)
}

/// What a policy is for. What only the user knows is a placeholder in capitals.
#[derive(Debug, Clone)]
struct Setting {
    /// The bucket, `BUCKET` if none is named.
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
    /// The location of the deploy record.
    record: Place,
    /// The distributions and tenants that serve the site.
    distributions: Which,
    /// The account, `ACCOUNT` if none is named.
    account: String,
    /// The KMS key of the bucket, if it has one of its own.
    kms_key: Option<String>,
    /// The AWS partition, which every ARN contains.
    partition: String,
    /// Whether existing objects are to be tagged.
    backfill: bool,
    /// Whether deploys publish rules.
    publish_rules: bool,
    /// To which functions, `FUNCTION` if none is named.
    functions: Vec<String>,
    /// The key-value stores that these functions read.
    stores: Vec<String>,
    /// The site, or the previews, from which objects are copied.
    source: Option<Target>,
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
            partition: partition(args, |name| std::env::var(name).ok()),
            backfill: args.backfill,
            publish_rules: args.publish_rules || !args.function.is_empty() || !args.key_value_store.is_empty(),
            functions: args.function.clone(),
            stores: args.key_value_store.clone(),
            source: args.copy_source.as_deref().map(Target::parse).transpose()?,
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
            (self.publish_rules, Setup::PublishedRules),
            (!self.stores.is_empty(), Setup::RulesStore),
        ];
        all.into_iter().filter_map(|(applies, setup)| applies.then_some(setup)).collect()
    }

    /// The policy of a role for these entry points.
    fn role_policy(&self, entry_points: &[EntryPoint]) -> Document {
        let mut statements: Vec<Statement> = Vec::new();
        let mut permissions: Vec<_> = needed(entry_points, &self.setups()).into_iter().collect();
        permissions.retain(|(action, _)| self.distributions != Which::None || !action.starts_with("cloudfront:"));
        permissions.sort_by_key(|&(action, resource)| (resource, action));
        for (action, resource) in permissions {
            if action == LIST {
                statements.extend(if resource == Resource::SourceBucket {
                    self.source_listing()
                } else {
                    self.listing()
                });
                continue;
            }
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

    /// Allows listing the source of copies, and its record.
    fn source_listing(&self) -> Vec<Statement> {
        let folders = self.source_folders().into_iter().map(|folder| format!("{folder}*")).collect();
        vec![Statement {
            effect: "Allow",
            action: vec![LIST.to_owned()],
            resource: self.arns(Resource::SourceBucket, LIST),
            condition: self
                .source
                .as_ref()
                .filter(|source| !source.prefix().is_empty())
                .map(|_| [("StringLike", [("s3:prefix".to_owned(), folders)].into())].into()),
            ..Statement::default()
        }]
    }

    /// The folders of the source of copies: its own, and that of its record.
    fn source_folders(&self) -> Vec<String> {
        let prefix = self.source.as_ref().map(|source| literal(source.prefix()));
        match prefix.as_deref().map_or("", |prefix| prefix) {
            "" => vec![String::new()],
            prefix => vec![prefix.to_owned(), format!("{RECORD_FOLDER}{prefix}")],
        }
    }

    /// Allows listing only the site and its record, if they are folders of their buckets.
    fn listing(&self) -> Vec<Statement> {
        let record = match &self.record {
            Place::Nowhere => None,
            Place::SiteFolder if self.prefix.is_empty() => None,
            Place::SiteFolder => Some((self.bucket.as_str(), format!("{RECORD_FOLDER}{}", self.prefix))),
            Place::At(at) => Some((at.bucket(), at.prefix().to_owned())),
        };
        let mut buckets: Vec<(&str, Vec<String>)> = vec![(&self.bucket, vec![self.prefix.clone()])];
        match record {
            Some((bucket, folder)) if bucket == self.bucket => buckets[0].1.push(folder),
            Some((bucket, folder)) => buckets.push((bucket, vec![folder])),
            None => {}
        }
        let statement = |(bucket, folders): (&str, Vec<String>)| Statement {
            effect: "Allow",
            action: vec![LIST.to_owned()],
            resource: vec![self.of_s3(bucket, "")],
            condition: (!folders.contains(&String::new())).then(|| {
                let folders = folders.iter().map(|folder| format!("{}*", literal(folder))).collect();
                [("StringLike", [("s3:prefix".to_owned(), folders)].into())].into()
            }),
            ..Statement::default()
        };
        buckets.into_iter().map(statement).collect()
    }

    /// The policy of the bucket: the distributions read it through origin access control, except for the records.
    fn bucket_policy(&self) -> Result<Document> {
        if self.distributions == Which::None {
            return Err(Error::usage("no distribution reads the bucket, so it needs no policy")
                .hint("name one with --distribution"));
        }
        Ok(Document::of(vec![self.reading(), Statement::closing_records(&self.partition, &self.bucket)]))
    }

    /// Lets CloudFront read the site for these distributions, and for no others.
    fn reading(&self) -> Statement {
        Statement {
            sid: Some("OnlyTheseDistributionsRead"),
            effect: "Allow",
            principal: Some([("Service", CLOUDFRONT.to_owned())].into()),
            action: vec![READ.to_owned()],
            resource: vec![self.of_s3(&self.bucket, &format!("/{}*", literal(&self.prefix)))],
            condition: Some(
                [("StringEquals", [("aws:SourceArn".to_owned(), self.arns(Resource::Distribution, ""))].into())].into(),
            ),
        }
    }

    /// The ARN of a bucket, or of its contents.
    fn of_s3(&self, bucket: &str, rest: &str) -> String {
        format!("arn:{}:s3:::{bucket}{rest}", self.partition)
    }

    /// The ARNs of an action's resource.
    fn arns(&self, resource: Resource, action: &str) -> Vec<String> {
        let named = |resource: Resource, id: &str| {
            let text = resource.to_string().replace("ACCOUNT", &self.account).replace("BUCKET", &self.bucket);
            let text = text.replace("PREFIX", &literal(&self.prefix));
            let text = text.replacen("arn:aws:", &format!("arn:{}:", self.partition), 1);
            text.strip_suffix("ID").map(|start| format!("{start}{id}")).unwrap_or(text)
        };
        let ids = |tenants: bool| {
            let ids = self.ids().iter().filter(move |id| matches!(id, DistributionId::Tenant(_)) == tenants);
            let ids: Vec<&str> = ids.map(DistributionId::as_str).collect();
            // A tenant's distribution is a different one, which only the user knows.
            if ids.is_empty() { vec!["ID"] } else { ids }
        };
        let elsewhere = match &self.record {
            Place::At(at) => Some(at),
            Place::SiteFolder | Place::Nowhere => None,
        };
        match resource {
            // A record elsewhere is read and written there, and its policy does not matter.
            Resource::Bucket => {
                let elsewhere = elsewhere.filter(|at| at.bucket() != self.bucket && action != "s3:GetBucketPolicy");
                let elsewhere = elsewhere.map(|at| self.of_s3(at.bucket(), ""));
                std::iter::once(named(resource, "")).chain(elsewhere).collect()
            }
            Resource::Objects => {
                let folder = match &self.record {
                    Place::At(at) => Some(self.of_s3(at.bucket(), &format!("/{}*", literal(at.prefix())))),
                    Place::Nowhere => None,
                    Place::SiteFolder if self.prefix.is_empty() => None,
                    Place::SiteFolder => {
                        Some(self.of_s3(&self.bucket, &format!("/{RECORD_FOLDER}{}*", literal(&self.prefix))))
                    }
                };
                // No file of a record is large enough to be uploaded in parts.
                let folder = folder.filter(|_| action != "s3:AbortMultipartUpload");
                std::iter::once(named(resource, "")).chain(folder).collect()
            }
            Resource::Marks => match elsewhere {
                Some(at) => {
                    vec![self.of_s3(at.bucket(), &format!("/{}{EXTERNAL_WRITES}", literal(at.prefix())))]
                }
                None => vec![named(resource, "")],
            },
            Resource::Distribution => ids(false).into_iter().map(|id| named(resource, id)).collect(),
            Resource::Tenant => ids(true).into_iter().map(|id| named(resource, id)).collect(),
            Resource::Functions if self.functions.is_empty() => vec![named(resource, "")],
            Resource::Functions => {
                let arn = |name: &String| named(resource, "").replace("FUNCTION", name);
                self.functions.iter().map(arn).collect()
            }
            Resource::Store => {
                // An ARN is used as it is.
                let arn = |store: &String| match store.starts_with("arn:") {
                    true => store.clone(),
                    false => named(resource, "").replace("STORE", store),
                };
                self.stores.iter().map(arn).collect()
            }
            Resource::SourceBucket | Resource::SourceObjects => {
                let bucket = self.source.as_ref().map_or("SOURCE", |source| source.bucket());
                match resource {
                    Resource::SourceBucket => vec![self.of_s3(bucket, "")],
                    _ => {
                        let folders = self.source_folders().into_iter();
                        folders.map(|folder| self.of_s3(bucket, &format!("/{folder}*"))).collect()
                    }
                }
            }
            Resource::Key => vec![self.kms_key.clone().unwrap_or_else(|| named(resource, ""))],
            Resource::Trials | Resource::CachePolicies | Resource::All => vec![named(resource, "")],
        }
    }
}

/// The partition: the named one, otherwise that of the key, otherwise that of the region.
fn partition(args: &PolicyArgs, variable: impl Fn(&str) -> Option<String>) -> String {
    let of_key = || args.kms_key.as_deref()?.strip_prefix("arn:")?.split(':').next().map(str::to_owned);
    let variables = || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(variable);
    let of_region = || {
        let region = args.region.clone().or_else(|| variables().find(|region| !region.trim().is_empty()))?;
        Some(partition_of(region.trim()).to_owned())
    };
    args.partition.clone().or_else(of_key).or_else(of_region).unwrap_or_else(|| "aws".to_owned())
}

#[cfg(test)]
mod tests;
