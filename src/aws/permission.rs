//! What AWS must allow: every call that shipfront makes and the IAM actions it needs, by entry point.
//!
//! This is the only such table. Hints take action names from it; tests compare it with the calls in the code, and
//! the policies in `examples/` and in the documents with it.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// An entry point with its own permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum EntryPoint {
    /// Deploys, also from CodeBuild and from a pipeline; enough for plan, status, and unlock
    Deploy,
    /// Invalidations, also by a pipeline action
    Invalidate,
    /// What a pipeline action also needs to report its result
    PipelineJob,
    /// The function for S3 events
    ObjectEvents,
    /// What doctor reads in addition to a deploy; it reports what it may not read
    Doctor,
    /// Rollbacks
    Rollback,
    /// Previews: the bucket of previews, and reading production
    Preview,
    /// Promotions: a deploy to production from the bucket of previews
    Promote,
    /// Conformance tests, which write and remove a folder of their own, with its versions
    Conformance,
}

/// Requirements of only some setups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setup {
    /// No distribution is named, so it must be found.
    AnyDistribution,
    /// The distribution is a tenant of a multi-tenant one.
    Tenant,
    /// Objects are encrypted with a KMS key of the customer's own.
    KmsKey,
    /// A header rule asks for an ACL.
    Acl,
    /// The distribution reads cache tags.
    CacheTags,
    /// Existing objects are to be tagged: `shipfront tags --backfill`.
    Backfill,
    /// Deploys publish rules: `--publish-rules`.
    PublishedRules,
    /// The function to which they publish has a key-value store.
    RulesStore,
}

/// The resource of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The bucket itself.
    Bucket,
    /// The site's objects and its deploy record.
    Objects,
    /// The folders that `conformance` writes and removes.
    Trials,
    /// The one file of the deploy record that the function for events writes.
    Marks,
    /// The distribution.
    Distribution,
    /// The distribution tenant.
    Tenant,
    /// Cache policies, known by name only once the distribution was read.
    CachePolicies,
    /// CloudFront Functions of the distribution.
    Functions,
    /// The key-value store of one of them.
    Store,
    /// The KMS key.
    Key,
    /// The bucket to copy from: production for a preview, that of previews for a promotion.
    SourceBucket,
    /// The objects in it.
    SourceObjects,
    /// The action does not support a narrower resource.
    All,
}

impl Display for Resource {
    /// As in a policy, with `BUCKET`, `PREFIX`, `ACCOUNT`, `REGION` and `ID` as placeholders for what only the user
    /// knows.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Resource::Bucket => "arn:aws:s3:::BUCKET",
            Resource::Objects => "arn:aws:s3:::BUCKET/PREFIX*",
            Resource::Trials => "arn:aws:s3:::BUCKET/PREFIXshipfront-conformance-*",
            Resource::Marks => "arn:aws:s3:::BUCKET/.shipfront/PREFIXforeign.json",
            Resource::Distribution => "arn:aws:cloudfront::ACCOUNT:distribution/ID",
            Resource::Tenant => "arn:aws:cloudfront::ACCOUNT:distribution-tenant/ID",
            Resource::CachePolicies => "arn:aws:cloudfront::ACCOUNT:cache-policy/*",
            Resource::Functions => "arn:aws:cloudfront::ACCOUNT:function/FUNCTION",
            Resource::Store => "arn:aws:cloudfront::ACCOUNT:key-value-store/STORE",
            Resource::SourceBucket => "arn:aws:s3:::SOURCE",
            Resource::SourceObjects => "arn:aws:s3:::SOURCE/*",
            Resource::Key => "arn:aws:kms:REGION:ACCOUNT:key/ID",
            Resource::All => "*",
        })
    }
}

/// One action that one call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// AWS's own name for the call.
    pub operation: &'static str,
    /// Its name in a policy.
    pub action: &'static str,
    /// The resource.
    pub resource: Resource,
    /// `None` if every setup needs it.
    pub setup: Option<Setup>,
    /// Who makes the call.
    pub entry_points: &'static [EntryPoint],
}

const fn always(
    operation: &'static str,
    action: &'static str,
    on: Resource,
    entry_points: &'static [EntryPoint],
) -> Permission {
    Permission { operation, action, resource: on, setup: None, entry_points }
}

const fn with(
    setup: Setup,
    operation: &'static str,
    action: &'static str,
    on: Resource,
    entry_points: &'static [EntryPoint],
) -> Permission {
    Permission { operation, action, resource: on, setup: Some(setup), entry_points }
}

const DOCTOR: &[EntryPoint] = &[EntryPoint::Doctor];
const ROLLBACK: &[EntryPoint] = &[EntryPoint::Rollback];
const BACKFILL: &[EntryPoint] = &[EntryPoint::Deploy];
/// A preview is deployed like any site.
const DEPLOY: &[EntryPoint] = &[EntryPoint::Deploy, EntryPoint::Preview, EntryPoint::Promote];
/// The entry points that publish rules: no function serves those of a preview before its promotion.
const PUBLISH: &[EntryPoint] = &[EntryPoint::Deploy, EntryPoint::Rollback, EntryPoint::Promote];
/// What a rollback does in the same way as a deploy.
const WRITE: &[EntryPoint] = &[EntryPoint::Deploy, EntryPoint::Rollback, EntryPoint::Preview, EntryPoint::Promote];
const TAGGING: &[EntryPoint] = &[EntryPoint::Deploy, EntryPoint::Rollback, EntryPoint::Promote];
const COPY: &[EntryPoint] = &[EntryPoint::Preview, EntryPoint::Promote];
const PROMOTE: &[EntryPoint] = &[EntryPoint::Promote];
const TRIAL: &[EntryPoint] = &[EntryPoint::Conformance];
const JOB: &[EntryPoint] = &[EntryPoint::PipelineJob];
const READ_SITE: &[EntryPoint] =
    &[EntryPoint::Deploy, EntryPoint::ObjectEvents, EntryPoint::Rollback, EntryPoint::Preview, EntryPoint::Promote];
const ASK_STATUS: &[EntryPoint] =
    &[EntryPoint::Deploy, EntryPoint::Invalidate, EntryPoint::Rollback, EntryPoint::Promote];
const EVENTS: &[EntryPoint] = &[EntryPoint::ObjectEvents];
const INVALIDATE: &[EntryPoint] =
    &[EntryPoint::Deploy, EntryPoint::Invalidate, EntryPoint::ObjectEvents, EntryPoint::Rollback, EntryPoint::Promote];
/// A preview invalidates nothing, and has redirects and error pages as production's distribution serves them.
const FIND: &[EntryPoint] = &[
    EntryPoint::Deploy,
    EntryPoint::Invalidate,
    EntryPoint::ObjectEvents,
    EntryPoint::Rollback,
    EntryPoint::Preview,
    EntryPoint::Promote,
];

/// Every call, the action it is chiefly about first. Sources:
/// S3 <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>,
/// conditional writes <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
/// and deletes <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>,
/// uploads in parts <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>,
/// CloudFront <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudfront.html>,
/// key-value stores <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudfrontkeyvaluestore.html>,
/// CodePipeline <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodepipeline.html>.
pub const PERMISSIONS: &[Permission] = &[
    always("ListObjectsV2", "s3:ListBucket", Resource::Bucket, READ_SITE),
    always("GetObject", "s3:GetObject", Resource::Objects, READ_SITE),
    // Without it, S3 answers 403 for a missing key, so missing could not be distinguished from unreadable.
    always("GetObject", "s3:ListBucket", Resource::Bucket, READ_SITE),
    with(Setup::KmsKey, "GetObject", "kms:Decrypt", Resource::Key, READ_SITE),
    always("HeadObject", "s3:GetObject", Resource::Objects, READ_SITE),
    always("HeadObject", "s3:ListBucket", Resource::Bucket, READ_SITE),
    with(Setup::KmsKey, "HeadObject", "kms:Decrypt", Resource::Key, READ_SITE),
    always("PutObject", "s3:PutObject", Resource::Objects, WRITE),
    // For `If-Match`.
    always("PutObject", "s3:GetObject", Resource::Objects, WRITE),
    // Events write their marks: nothing in the site, and nothing else in its record.
    always("PutObject", "s3:PutObject", Resource::Marks, EVENTS),
    with(Setup::KmsKey, "PutObject", "kms:GenerateDataKey", Resource::Key, READ_SITE),
    with(Setup::Acl, "PutObject", "s3:PutObjectAcl", Resource::Objects, DEPLOY),
    always("CreateMultipartUpload", "s3:PutObject", Resource::Objects, WRITE),
    with(Setup::KmsKey, "CreateMultipartUpload", "kms:GenerateDataKey", Resource::Key, WRITE),
    with(Setup::Acl, "CreateMultipartUpload", "s3:PutObjectAcl", Resource::Objects, DEPLOY),
    always("UploadPart", "s3:PutObject", Resource::Objects, DEPLOY),
    with(Setup::KmsKey, "UploadPart", "kms:Decrypt", Resource::Key, DEPLOY),
    always("CompleteMultipartUpload", "s3:PutObject", Resource::Objects, WRITE),
    with(Setup::KmsKey, "CompleteMultipartUpload", "kms:Decrypt", Resource::Key, WRITE),
    always("AbortMultipartUpload", "s3:AbortMultipartUpload", Resource::Objects, WRITE),
    always("DeleteObjects", "s3:DeleteObject", Resource::Objects, WRITE),
    // For a key that is deleted only while it has its ETag.
    always("DeleteObjects", "s3:GetObject", Resource::Objects, WRITE),
    with(Setup::Backfill, "CopyObject", "s3:PutObject", Resource::Objects, BACKFILL),
    with(Setup::Backfill, "CopyObject", "s3:GetObject", Resource::Objects, BACKFILL),
    with(Setup::Backfill, "CopyObject", "s3:GetObjectTagging", Resource::Objects, BACKFILL),
    with(Setup::Backfill, "CopyObject", "s3:PutObjectTagging", Resource::Objects, BACKFILL),
    // A copy includes an object's annotations unless the request excludes them. Whether an object without any needs
    // these is not documented.
    with(Setup::Backfill, "CopyObject", "s3:GetObjectAnnotation", Resource::Objects, BACKFILL),
    with(Setup::Backfill, "CopyObject", "s3:PutObjectAnnotation", Resource::Objects, BACKFILL),
    with(
        Setup::Backfill,
        "GetObjectLockConfiguration",
        "s3:GetBucketObjectLockConfiguration",
        Resource::Bucket,
        BACKFILL,
    ),
    with(Setup::Backfill, "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", Resource::Bucket, BACKFILL),
    // A copy of a version (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-policies-s3.html>).
    // Annotations are lost.
    always("CopyObject", "s3:GetObjectVersion", Resource::Objects, ROLLBACK),
    always("CopyObject", "s3:GetObjectVersionTagging", Resource::Objects, ROLLBACK),
    always("CopyObject", "s3:GetObject", Resource::Objects, ROLLBACK),
    always("CopyObject", "s3:PutObject", Resource::Objects, ROLLBACK),
    always("CopyObject", "s3:PutObjectTagging", Resource::Objects, ROLLBACK),
    with(Setup::KmsKey, "CopyObject", "kms:Decrypt", Resource::Key, ROLLBACK),
    with(Setup::KmsKey, "CopyObject", "kms:GenerateDataKey", Resource::Key, ROLLBACK),
    always("UploadPartCopy", "s3:GetObjectVersion", Resource::Objects, ROLLBACK),
    always("UploadPartCopy", "s3:PutObject", Resource::Objects, ROLLBACK),
    always("HeadObject", "s3:GetObjectVersion", Resource::Objects, ROLLBACK),
    // For objects whose version ID no record has.
    always("ListObjectVersions", "s3:ListBucketVersions", Resource::Bucket, ROLLBACK),
    always("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", Resource::Bucket, ROLLBACK),
    // The source of the copy is in another bucket: production for a preview, that of previews for a promotion.
    always("CopyObject", "s3:PutObject", Resource::Objects, COPY),
    always("CopyObject", "s3:GetObject", Resource::SourceObjects, COPY),
    always("CopyObject", "s3:GetObjectTagging", Resource::SourceObjects, COPY),
    always("CopyObject", "s3:PutObjectTagging", Resource::Objects, COPY),
    always("CopyObject", "s3:GetObjectVersion", Resource::SourceObjects, PROMOTE),
    always("CopyObject", "s3:GetObjectVersionTagging", Resource::SourceObjects, PROMOTE),
    always("UploadPartCopy", "s3:PutObject", Resource::Objects, COPY),
    always("UploadPartCopy", "s3:GetObject", Resource::SourceObjects, COPY),
    always("GetObject", "s3:GetObject", Resource::SourceObjects, COPY),
    always("GetObject", "s3:ListBucket", Resource::SourceBucket, COPY),
    always("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", Resource::Bucket, PROMOTE),
    always("GetBucketPolicy", "s3:GetBucketPolicy", Resource::Bucket, WRITE),
    always("GetBucketEncryption", "s3:GetEncryptionConfiguration", Resource::Bucket, DOCTOR),
    always("GetBucketVersioning", "s3:GetBucketVersioning", Resource::Bucket, DOCTOR),
    always("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", Resource::Bucket, DOCTOR),
    with(Setup::AnyDistribution, "ListDistributions", "cloudfront:ListDistributions", Resource::All, FIND),
    always("GetDistributionConfig", "cloudfront:GetDistributionConfig", Resource::Distribution, READ_SITE),
    with(Setup::CacheTags, "GetDistribution", "cloudfront:GetDistribution", Resource::Distribution, TAGGING),
    always("GetCachePolicy", "cloudfront:GetCachePolicy", Resource::CachePolicies, READ_SITE),
    with(Setup::Tenant, "GetDistributionTenant", "cloudfront:GetDistributionTenant", Resource::Tenant, READ_SITE),
    with(Setup::PublishedRules, "DescribeFunction", "cloudfront:DescribeFunction", Resource::Functions, PUBLISH),
    with(Setup::PublishedRules, "GetFunction", "cloudfront:GetFunction", Resource::Functions, PUBLISH),
    with(Setup::PublishedRules, "UpdateFunction", "cloudfront:UpdateFunction", Resource::Functions, PUBLISH),
    with(Setup::PublishedRules, "TestFunction", "cloudfront:TestFunction", Resource::Functions, PUBLISH),
    with(Setup::PublishedRules, "PublishFunction", "cloudfront:PublishFunction", Resource::Functions, PUBLISH),
    with(
        Setup::RulesStore,
        "DescribeKeyValueStore",
        "cloudfront-keyvaluestore:DescribeKeyValueStore",
        Resource::Store,
        PUBLISH,
    ),
    with(Setup::RulesStore, "ListKeys", "cloudfront-keyvaluestore:ListKeys", Resource::Store, PUBLISH),
    with(Setup::RulesStore, "UpdateKeys", "cloudfront-keyvaluestore:UpdateKeys", Resource::Store, PUBLISH),
    always("CreateInvalidation", "cloudfront:CreateInvalidation", Resource::Distribution, INVALIDATE),
    always("GetInvalidation", "cloudfront:GetInvalidation", Resource::Distribution, ASK_STATUS),
    with(
        Setup::Tenant,
        "CreateInvalidationForDistributionTenant",
        "cloudfront:CreateInvalidationForDistributionTenant",
        Resource::Tenant,
        INVALIDATE,
    ),
    with(
        Setup::Tenant,
        "GetInvalidationForDistributionTenant",
        "cloudfront:GetInvalidationForDistributionTenant",
        Resource::Tenant,
        ASK_STATUS,
    ),
    always("PutJobSuccessResult", "codepipeline:PutJobSuccessResult", Resource::All, JOB),
    always("PutJobFailureResult", "codepipeline:PutJobFailureResult", Resource::All, JOB),
    // Everything that is tested, whatever the setup. Versions are read by ID, and permanently removed.
    always("ListObjectsV2", "s3:ListBucket", Resource::Bucket, TRIAL),
    always("GetObject", "s3:GetObject", Resource::Trials, TRIAL),
    always("GetObject", "s3:GetObjectVersion", Resource::Trials, TRIAL),
    always("HeadObject", "s3:GetObject", Resource::Trials, TRIAL),
    always("PutObject", "s3:PutObject", Resource::Trials, TRIAL),
    always("CreateMultipartUpload", "s3:PutObject", Resource::Trials, TRIAL),
    always("UploadPart", "s3:PutObject", Resource::Trials, TRIAL),
    always("CompleteMultipartUpload", "s3:PutObject", Resource::Trials, TRIAL),
    always("AbortMultipartUpload", "s3:AbortMultipartUpload", Resource::Trials, TRIAL),
    always("CopyObject", "s3:PutObject", Resource::Trials, TRIAL),
    always("CopyObject", "s3:GetObject", Resource::Trials, TRIAL),
    always("CopyObject", "s3:GetObjectVersion", Resource::Trials, TRIAL),
    always("DeleteObjects", "s3:DeleteObject", Resource::Trials, TRIAL),
    always("DeleteObjects", "s3:DeleteObjectVersion", Resource::Trials, TRIAL),
    always("DeleteObject", "s3:DeleteObject", Resource::Trials, TRIAL),
    always("DeleteObject", "s3:DeleteObjectVersion", Resource::Trials, TRIAL),
    always("GetBucketVersioning", "s3:GetBucketVersioning", Resource::Bucket, TRIAL),
    with(Setup::KmsKey, "PutObject", "kms:GenerateDataKey", Resource::Key, TRIAL),
    with(Setup::KmsKey, "GetObject", "kms:Decrypt", Resource::Key, TRIAL),
    always("GetDistribution", "cloudfront:GetDistribution", Resource::Distribution, TRIAL),
    always("GetDistributionConfig", "cloudfront:GetDistributionConfig", Resource::Distribution, TRIAL),
    always("GetCachePolicy", "cloudfront:GetCachePolicy", Resource::CachePolicies, TRIAL),
    always("CreateInvalidation", "cloudfront:CreateInvalidation", Resource::Distribution, TRIAL),
    always("GetInvalidation", "cloudfront:GetInvalidation", Resource::Distribution, TRIAL),
    with(Setup::Tenant, "GetDistributionTenant", "cloudfront:GetDistributionTenant", Resource::Tenant, TRIAL),
    with(
        Setup::Tenant,
        "CreateInvalidationForDistributionTenant",
        "cloudfront:CreateInvalidationForDistributionTenant",
        Resource::Tenant,
        TRIAL,
    ),
    with(
        Setup::Tenant,
        "GetInvalidationForDistributionTenant",
        "cloudfront:GetInvalidationForDistributionTenant",
        Resource::Tenant,
        TRIAL,
    ),
];

/// What to allow if a call for a version of an object was denied.
pub(crate) fn version_hint() -> String {
    let of_versions = PERMISSIONS.iter().filter(|permission| permission.action.contains("ObjectVersion"));
    let mut actions: Vec<&str> = of_versions.map(|permission| permission.action).collect();
    actions.sort_unstable();
    actions.dedup();
    format!(
        "allow {} on {}; 'shipfront policy --for rollback' prints all of it",
        actions.join(" and "),
        Resource::Objects
    )
}

/// What to allow if a call was denied. For a call that only one setup makes, every action: AWS does not always say
/// which missing one denied it.
pub(crate) fn hint(operation: &str) -> String {
    let is_meant = |permission: &&Permission| permission.operation == operation && permission.entry_points != ROLLBACK;
    let of_setup = PERMISSIONS.iter().filter(|permission| is_meant(permission) && permission.setup.is_some());
    let actions: Vec<&str> = of_setup.map(|permission| permission.action).collect();
    let first = PERMISSIONS.iter().find(|permission| permission.operation == operation);
    if let (Some(Permission { setup: Some(_), resource, .. }), [most @ .., last]) = (first, actions.as_slice())
        && !most.is_empty()
    {
        return format!("allow {} and {last} on {resource}", most.join(", "));
    }
    match PERMISSIONS.iter().find(|permission| permission.operation == operation) {
        // Said explicitly, so that it does not look like carelessness.
        Some(Permission { action, resource: all @ Resource::All, .. }) => {
            format!("allow {action} on {all} (AWS supports no narrower resource)")
        }
        Some(Permission { action, resource, .. }) => format!("allow {action} on {resource}"),
        None => format!("allow the action behind {operation}"),
    }
}

/// What a role with these entry points needs in a setup like this.
pub fn needed(entry_points: &[EntryPoint], setups: &[Setup]) -> BTreeSet<(&'static str, Resource)> {
    let applies = |permission: &&Permission| {
        permission.entry_points.iter().any(|entry_point| entry_points.contains(entry_point))
            && permission.setup.is_none_or(|setup| setups.contains(&setup))
    };
    PERMISSIONS.iter().filter(applies).map(|permission| (permission.action, permission.resource)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalidating_takes_two_actions_on_one_distribution_and_more_only_where_it_must() {
        let plain = needed(&[EntryPoint::Invalidate], &[]);
        let both = ["cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"];
        assert_eq!(plain, both.map(|action| (action, Resource::Distribution)).into());
        let searching = needed(&[EntryPoint::Invalidate], &[Setup::AnyDistribution]);
        assert_eq!(
            searching.difference(&plain).copied().collect::<Vec<_>>(),
            [("cloudfront:ListDistributions", Resource::All)]
        );
    }

    #[test]
    fn of_a_call_that_takes_many_actions_all_are_named() {
        let copy = hint("CopyObject");
        let of_backfill =
            |permission: &&Permission| permission.operation == "CopyObject" && permission.entry_points == BACKFILL;
        for permission in PERMISSIONS.iter().filter(of_backfill) {
            assert!(copy.contains(permission.action), "{} is not in {copy}", permission.action);
        }
        assert!(copy.contains("s3:GetObjectAnnotation") && copy.contains("s3:PutObjectAnnotation"), "{copy}");
        assert_eq!(hint("PutObject"), "allow s3:PutObject on arn:aws:s3:::BUCKET/PREFIX*");
    }

    #[test]
    fn a_version_that_may_not_be_read_is_named_with_all_that_takes() {
        let hint = version_hint();
        assert!(hint.contains("s3:GetObjectVersion and s3:GetObjectVersionTagging on"), "{hint}");
    }

    #[test]
    fn only_a_deploy_may_write_to_the_site_and_events_one_file_of_its_record() {
        let writes = |action: &str| action.starts_with("s3:") && !action.contains("Get") && !action.contains("List");
        for entry_point in [EntryPoint::Invalidate, EntryPoint::PipelineJob, EntryPoint::ObjectEvents] {
            let actions = needed(&[entry_point], &[Setup::AnyDistribution, Setup::Tenant, Setup::KmsKey]);
            let mut written = actions.iter().filter(|(action, _)| writes(action)).map(|(_, resource)| *resource);
            let allowed = |resource| entry_point == EntryPoint::ObjectEvents && resource == Resource::Marks;
            assert!(written.all(allowed), "{entry_point:?}: {actions:?}");
        }
    }
}
