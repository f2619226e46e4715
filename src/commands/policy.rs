//! `policy`: policies to hand out: what a role must be allowed, by the one table of permissions, and what a bucket
//! must allow and deny, and whose builds may take a role.

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

/// The one action that is about many keys at once.
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
    /// The partition of AWS, with which every ARN begins.
    partition: String,
    /// Whether what is there is to be tagged.
    backfill: bool,
    /// Whether deploys publish rules.
    publish_rules: bool,
    /// To which functions, `FUNCTION` where none is named.
    functions: Vec<String>,
    /// The key-value stores that these read.
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

    /// The policy of a role that goes through these entry points.
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

    /// Listing of what is copied from, and of the record of that.
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

    /// The folders of what is copied from: its own, and that of its record.
    fn source_folders(&self) -> Vec<String> {
        let prefix = self.source.as_ref().map(|source| literal(source.prefix()));
        match prefix.as_deref().map_or("", |prefix| prefix) {
            "" => vec![String::new()],
            prefix => vec![prefix.to_owned(), format!("{RECORD_FOLDER}{prefix}")],
        }
    }

    /// Listing, of the site and of its record alone where they are folders of their buckets.
    fn listing(&self) -> Vec<Statement> {
        let record = match &self.record {
            Place::Nowhere => None,
            Place::Beside if self.prefix.is_empty() => None,
            Place::Beside => Some((self.bucket.as_str(), format!("{RECORD_FOLDER}{}", self.prefix))),
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

    /// The policy of the bucket: the distributions read it by origin access control, all but the records.
    fn bucket_policy(&self) -> Result<Document> {
        if self.distributions == Which::None {
            return Err(Error::usage("no distribution reads the bucket, so it needs no policy")
                .hint("name one with --distribution"));
        }
        Ok(Document::of(vec![self.reading(), Statement::closing_records(&self.partition, &self.bucket)]))
    }

    /// CloudFront reads the site for these distributions, and for no others.
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

    /// The ARN of a bucket, or of what is in it.
    fn of_s3(&self, bucket: &str, rest: &str) -> String {
        format!("arn:{}:s3:::{bucket}{rest}", self.partition)
    }

    /// What an action is allowed on.
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
                let elsewhere = elsewhere.map(|at| self.of_s3(at.bucket(), ""));
                std::iter::once(named(resource, "")).chain(elsewhere).collect()
            }
            Resource::Objects => {
                let folder = match &self.record {
                    Place::At(at) => Some(self.of_s3(at.bucket(), &format!("/{}*", literal(at.prefix())))),
                    Place::Nowhere => None,
                    Place::Beside if self.prefix.is_empty() => None,
                    Place::Beside => {
                        Some(self.of_s3(&self.bucket, &format!("/{RECORD_FOLDER}{}*", literal(&self.prefix))))
                    }
                };
                // Nothing of a record is large enough to go up in parts.
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
                // An ARN is one already.
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

/// The partition: as it is named, else that of the key, else that of the region.
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
            partition: "aws".to_owned(),
            backfill: false,
            publish_rules: false,
            functions: Vec::new(),
            stores: Vec::new(),
            source: None,
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
    fn events_may_write_one_file_of_the_record() {
        let of_events = |setting: Setting| allowed(&setting.role_policy(&[EntryPoint::ObjectEvents]), "s3:PutObject");
        assert_eq!(of_events(setting("", &[])), ["arn:aws:s3:::www.example.com/.shipfront/foreign.json"]);
        assert_eq!(of_events(setting("blog/", &[])), ["arn:aws:s3:::www.example.com/.shipfront/blog/foreign.json"]);
        let record = Place::At(Target::parse("s3://records/site").unwrap());
        assert_eq!(
            of_events(Setting { record, ..setting("", &[]) }),
            ["arn:aws:s3:::records/site/foreign.json"],
            "the name is that of the file: {EXTERNAL_WRITES}"
        );
    }

    #[test]
    fn a_preview_reads_production_and_a_promotion_reads_previews() {
        let of = |source: &str, entry_point| {
            let source = Some(Target::parse(source).unwrap());
            Setting { source, ..setting("", &["E1"]) }.role_policy(&[entry_point])
        };
        let preview = of("s3://production/blog", EntryPoint::Preview);
        let there = ["arn:aws:s3:::production/blog/*", "arn:aws:s3:::production/.shipfront/blog/*"];
        assert_eq!(allowed(&preview, "s3:GetObject"), ["arn:aws:s3:::www.example.com/*", there[0], there[1]]);
        assert_eq!(allowed(&preview, "s3:PutObject"), ["arn:aws:s3:::www.example.com/*"]);
        assert_eq!(allowed(&preview, "s3:ListBucket"), ["arn:aws:s3:::www.example.com", "arn:aws:s3:::production"]);
        assert_eq!(allowed(&preview, "cloudfront:CreateInvalidation"), [""; 0]);
        let promotion = of("s3://previews", EntryPoint::Promote);
        assert_eq!(allowed(&promotion, "s3:GetObjectVersion"), ["arn:aws:s3:::previews/*"]);
        assert_eq!(allowed(&promotion, "s3:PutObject"), ["arn:aws:s3:::www.example.com/*"]);
        assert_eq!(allowed(&promotion, "cloudfront:CreateInvalidation").len(), 1);
        let unnamed = setting("", &["E1"]).role_policy(&[EntryPoint::Promote]);
        assert_eq!(allowed(&unnamed, "s3:GetObjectVersion"), ["arn:aws:s3:::SOURCE/*"]);
    }

    #[test]
    fn what_a_site_does_without_is_not_allowed() {
        let bare = Setting { record: Place::Nowhere, distributions: Which::None, ..setting("blog/", &[]) };
        let policy = bare.role_policy(&[EntryPoint::Deploy]);
        assert_eq!(allowed(&policy, "s3:PutObject"), ["arn:aws:s3:::www.example.com/blog/*"]);
        assert!(!policy.to_string().contains("cloudfront:"), "{policy}");
    }

    #[test]
    fn a_role_that_tries_a_store_writes_and_removes_nothing_but_the_folders_of_that() {
        let setting = setting("site/", &["E1"]);
        let policy = setting.role_policy(&[EntryPoint::Conformance]);
        let folders = format!("arn:aws:s3:::www.example.com/site/{}*", crate::commands::conformance::FOLDER);
        for action in
            ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion"]
        {
            assert_eq!(allowed(&policy, action), [folders.as_str()], "{action}");
        }
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
    fn in_another_partition_every_arn_is_of_that_partition() {
        let every = [EntryPoint::Deploy, EntryPoint::Invalidate];
        for partition in ["aws-cn", "aws-us-gov"] {
            let record = Place::At(Target::parse("s3://records/site").unwrap());
            for record in [record, Place::Beside, Place::Nowhere] {
                let kms_key = Some(format!("arn:{partition}:kms:r:1:key/1"));
                let setting = Setting { partition: partition.to_owned(), record, kms_key, ..setting("blog/", &["E1"]) };
                for text in [setting.role_policy(&every).to_string(), setting.bucket_policy().unwrap().to_string()] {
                    assert!(text.contains(&format!("arn:{partition}:s3:::www.example.com/blog/*")), "{text}");
                    assert!(!text.contains("arn:aws:"), "{text}");
                }
            }
        }
    }

    #[test]
    fn the_partition_is_that_of_the_key_or_of_the_region() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            args: PolicyArgs,
        }
        let of = |line: &[&str], region: &str| {
            let args = Line::try_parse_from(["policy"].iter().chain(line)).unwrap().args;
            partition(&args, |name| (name == "AWS_REGION").then(|| region.to_owned()))
        };
        assert_eq!(of(&[], ""), "aws");
        assert_eq!(of(&[], "eu-west-1"), "aws");
        assert_eq!(of(&[], "cn-north-1\n"), "aws-cn");
        assert_eq!(of(&["--region", "us-gov-west-1"], "cn-north-1"), "aws-us-gov");
        assert_eq!(of(&["--kms-key", "arn:aws-cn:kms:cn-north-1:1:key/1"], ""), "aws-cn");
        assert_eq!(of(&["--partition", "aws-us-gov"], "cn-north-1"), "aws-us-gov");
        assert!(Line::try_parse_from(["policy", "--partition", "china"]).is_err());
    }

    #[test]
    fn only_the_folder_of_a_site_and_of_its_record_may_be_listed() {
        let conditions = |setting: Setting| {
            let policy = setting.role_policy(&[EntryPoint::Deploy]);
            let lists = |statement: &&Statement| statement.action.iter().any(|action| action == LIST);
            let found = policy.statement.iter().filter(lists).map(|statement| {
                assert_eq!(statement.action.len(), 1, "what is limited by the prefix is about nothing else");
                let condition =
                    statement.condition.as_ref().map(|condition| condition["StringLike"]["s3:prefix"].clone());
                (statement.resource.clone(), condition.unwrap_or_default())
            });
            found.collect::<Vec<_>>()
        };
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let site = owned(&["arn:aws:s3:::www.example.com"]);
        assert_eq!(conditions(setting("", &[])), [(site.clone(), vec![])]);
        assert_eq!(conditions(setting("blog/", &[])), [(site.clone(), owned(&["blog/*", ".shipfront/blog/*"]))]);
        let elsewhere =
            Setting { record: Place::At(Target::parse("s3://records/a").unwrap()), ..setting("blog/", &[]) };
        let records = (owned(&["arn:aws:s3:::records"]), owned(&["a/*"]));
        assert_eq!(conditions(elsewhere), [(site, owned(&["blog/*"])), records]);
    }

    #[test]
    fn a_prefix_means_itself_whatever_its_characters_mean_in_a_policy() {
        let policy = setting("a*/${aws:username}?/", &["E1"]);
        let role = policy.role_policy(&[EntryPoint::Deploy]);
        let escaped = "a${*}/${$}{aws:username}${?}/";
        assert_eq!(
            allowed(&role, "s3:PutObject"),
            [
                format!("arn:aws:s3:::www.example.com/{escaped}*"),
                format!("arn:aws:s3:::www.example.com/.shipfront/{escaped}*")
            ]
        );
        assert!(role.to_string().contains(&format!("\"{escaped}*\"")), "{role}");
        let bucket = policy.bucket_policy().unwrap().to_string();
        assert!(lets_distribution_read(&bucket, "www.example.com", "a*/${aws:username}?/", "E1"), "{bucket}");
        assert!(!lets_distribution_read(&bucket, "www.example.com", "ab/", "E1"), "{bucket}");
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
