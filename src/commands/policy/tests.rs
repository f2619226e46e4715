//! Tests which permissions each entry point gets.

use super::*;
use crate::s3::policy::{keeps_viewers_out, lets_distribution_read};

fn setting(prefix: &str, ids: &[&str]) -> Setting {
    Setting {
        bucket: "www.example.com".to_owned(),
        prefix: prefix.to_owned(),
        record: Place::SiteFolder,
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
    assert_eq!(allowed(&policy, "s3:DeleteObject"), ["arn:aws:s3:::www.example.com/*", "arn:aws:s3:::records/site/*"]);
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
    for action in ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion"] {
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
        for record in [record, Place::SiteFolder, Place::Nowhere] {
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
            let condition = statement.condition.as_ref().map(|condition| condition["StringLike"]["s3:prefix"].clone());
            (statement.resource.clone(), condition.unwrap_or_default())
        });
        found.collect::<Vec<_>>()
    };
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let site = owned(&["arn:aws:s3:::www.example.com"]);
    assert_eq!(conditions(setting("", &[])), [(site.clone(), vec![])]);
    assert_eq!(conditions(setting("blog/", &[])), [(site.clone(), owned(&["blog/*", ".shipfront/blog/*"]))]);
    let elsewhere = Setting { record: Place::At(Target::parse("s3://records/a").unwrap()), ..setting("blog/", &[]) };
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
