//! The bucket: its location, how it stores objects, its policy, the deploy record in it.

use crate::aws::Aws;
use crate::commands::doctor::history;
use crate::commands::doctor::permissions::Evidence;
use crate::commands::doctor::{Doctor, Finding, State};
use crate::deploy::new_deploy_id;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;
use crate::record::intent::is_of_verify;
use crate::record::public_access::{PublicAccess, remedy};
use crate::s3::Bucket;
use crate::s3::conditional::{Condition, Written};
use crate::s3::policy::lets_distribution_read;
use shipfront_invalidation::DistributionId;
use shipfront_invalidation::Viewers;
use shipfront_invalidation::viewer::{DistributionShape, OriginAccess, OriginKind, origin_is_bucket};

/// An ETag that no object has.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

impl Doctor {
    /// The bucket and the record, if they can be reached, and the findings about them.
    pub(super) async fn bucket(
        &self,
        aws: &Aws,
        evidence: &mut Evidence,
    ) -> (Option<(Bucket, Option<Record>)>, Vec<Finding>) {
        let opened = Bucket::open(aws, &self.target, self.expected_owner.as_deref(), async |_| Ok(())).await;
        let bucket = match opened {
            Ok((bucket, ())) => bucket,
            Err(error) => {
                evidence.of_error("s3:ListBucket", &error);
                return (None, vec![Finding::of_error("bucket", &error)]);
            }
        };
        evidence.works("s3:ListBucket");
        let region = bucket.region().filter(|_| aws.is_amazon()).map(|region| format!(" in {region}"));
        let name = self.target.bucket();
        let mut findings = vec![Finding::new("bucket", State::Ok, format!("{name}{}", region.unwrap_or_default()))];
        findings.push(encryption(bucket.encryption().await));
        let versions = bucket.keeps_versions().await;
        let keeps_versions = matches!(versions, Ok(true));
        findings.push(history::versioning(versions, self));
        if keeps_versions {
            findings.push(history::lifecycle(bucket.version_rules().await));
        }
        let record = match Record::of(aws, &bucket, &self.place).await {
            Ok(record) => record,
            Err(error) => {
                findings.push(Finding::of_error("deploy record", &error));
                None
            }
        };
        if let Some(record) = &record {
            findings.extend(self.record(aws, record, evidence).await);
        }
        (Some((bucket, record)), findings)
    }

    async fn record(&self, aws: &Aws, record: &Record, evidence: &mut Evidence) -> Vec<Finding> {
        const CHECK: &str = "deploy record";
        const CONDITIONS: &str = "conditional writes";
        // Everything that a deploy reads before it decides anything, to the last row.
        let snapshot = match record.read().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                evidence.of_error("s3:GetObject", &error);
                return vec![Finding::of_error(CHECK, &error)];
            }
        };
        evidence.works("s3:GetObject");
        let place = record.place();
        let mut findings = Vec::new();
        findings.push(match (snapshot.is_new(), snapshot.holder(), &snapshot.state.intent) {
            (true, _, _) => {
                Finding::new(CHECK, State::Ok, format!("none at {place} yet; the first deploy creates one"))
            }
            (_, Some(holder), _) => Finding::new(CHECK, State::Ok, format!("{} is deploying", holder.owner)),
            (_, None, Some(intent)) => {
                let found = match is_of_verify(&intent.deploy) {
                    true => "--verify found URLs that served something else after the last deploy",
                    false => "the last deploy was interrupted: viewers may see old pages",
                };
                Finding::new(CHECK, State::Warning, found).fix("deploy again: shipfront then invalidates what was left")
            }
            (_, None, None) => Finding::new(CHECK, State::Ok, format!("at {place}, and nothing is pending")),
        });
        findings.extend(history::kept(&snapshot.state.deploys()));
        findings.push(match (self.probe, aws.is_amazon()) {
            (true, _) => match probe(aws, record, evidence).await {
                Ok(()) => Finding::new(CONDITIONS, State::Ok, "tested with an object, which was removed again"),
                Err(error) => Finding::of_error(CONDITIONS, &error),
            },
            // <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
            (false, true) => Finding::new(CONDITIONS, State::Ok, "every Amazon S3 bucket supports them"),
            (false, false) if self.is_local => Finding::new(CONDITIONS, State::Ok, "the local edge supports them"),
            // An existing record may come from another store.
            (false, false) => Finding::new(CONDITIONS, State::NotChecked, "this store may not support them")
                .fix("pass --probe to test it with an object beside the record; the first deploy tests it as well"),
        });
        findings
    }

    /// What the bucket policy does, as far as a distribution or the record depends on it.
    pub(super) async fn policy_findings(
        &self,
        aws: &Aws,
        bucket: &Bucket,
        record: Option<&Record>,
        viewers: &Viewers,
        shapes: &[(DistributionId, DistributionShape)],
        evidence: &mut Evidence,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(record) = record {
            const CHECK: &str = "record closed to viewers";
            let place = record.place();
            findings.push(match PublicAccess::of(record, bucket, viewers).await {
                _ if shapes.is_empty() => Finding::new(CHECK, State::NotChecked, "no distribution could be looked at"),
                PublicAccess::NotShown => Finding::new(CHECK, State::Ok, "no distribution shows its folder"),
                PublicAccess::Closed => Finding::new(CHECK, State::Ok, "the bucket policy denies it"),
                PublicAccess::Open => {
                    let found =
                        format!("viewers may be able to read {place}, which has file names and digests but no secrets");
                    Finding::new(CHECK, State::Warning, found).fix(remedy(place, bucket.region()))
                }
                PublicAccess::Unseen => {
                    Finding::new(CHECK, State::NotChecked, "cannot read the bucket policy (s3:GetBucketPolicy)")
                        .fix("allow s3:GetBucketPolicy")
                }
            });
        }
        let policy = bucket.policy().await;
        match &policy {
            Ok(_) => evidence.works("s3:GetBucketPolicy"),
            Err(error) => evidence.of_error("s3:GetBucketPolicy", error),
        }
        for (id, shape) in shapes.iter().filter(|(_, shape)| shape.readable && aws.is_amazon()) {
            findings.extend(origin_access(
                id,
                shape,
                self.target.bucket(),
                self.target.prefix(),
                policy.as_deref().ok(),
            ));
        }
        findings
    }
}

fn encryption(found: Result<Option<String>>) -> Finding {
    const CHECK: &str = "encryption";
    match found {
        Ok(Some(algorithm)) if algorithm.starts_with("aws:kms") => {
            let found = format!("{algorithm}: ETags are not digests, so files are compared through the deploy record");
            Finding::new(CHECK, State::Warning, found).fix(
                "if no key of your own is required, use AES256 (SSE-S3); else allow kms:GenerateDataKey and kms:Decrypt \
                 to the deploying role, and kms:Decrypt in the key's policy to cloudfront.amazonaws.com",
            )
        }
        Ok(algorithm) => Finding::new(CHECK, State::Ok, algorithm.unwrap_or_else(|| "S3's own".to_owned())),
        Err(error) => Finding::unanswered(CHECK, &error),
    }
}

/// Whether CloudFront can read the objects, and nobody can bypass it.
fn origin_access(
    id: &DistributionId,
    shape: &DistributionShape,
    bucket: &str,
    prefix: &str,
    policy: Option<&str>,
) -> Vec<Finding> {
    let finding = |state, found: String| Finding::new(format!("origin access of {id}"), state, found);
    let of_origin = |origin: &shipfront_invalidation::viewer::Origin| {
        let name = &origin.id;
        let print = format!("'shipfront policy --bucket-policy --bucket {bucket} --distribution {}'", id.as_str());
        Some(match (origin_is_bucket(&origin.domain_name, bucket), origin.access) {
            (OriginKind::Other, _) => return None,
            (OriginKind::S3Website, _) => finding(State::Warning, format!("{name} is a website endpoint: the bucket must be public, and CloudFront uses HTTP to reach it"))
                .fix("use the bucket's REST endpoint with an origin access control, and a CloudFront Function for directories (examples/hosting)"),
            (OriginKind::S3Rest, OriginAccess::Open) => finding(State::Warning, format!("{name} has no origin access control: the bucket must be public"))
                .fix(format!("add an origin access control (OAC) to the origin, and set the bucket policy that {print} prints")),
            (OriginKind::S3Rest, OriginAccess::Identity) => finding(State::Warning, format!("{name} uses an origin access identity, which AWS calls legacy"))
                .fix(format!("replace it with an origin access control (OAC), and the bucket policy with what {print} prints")),
            (OriginKind::S3Rest, OriginAccess::Control) => match policy {
                None => finding(State::NotChecked, format!("{name} has an origin access control; cannot read the bucket policy (s3:GetBucketPolicy)"))
                    .fix("allow s3:GetBucketPolicy"),
                // A tenant reads as its distribution, whose ID it does not reveal.
                Some(_) if matches!(id, DistributionId::Tenant(_)) => {
                    finding(State::NotChecked, format!("{name} has an origin access control; the bucket policy cannot be checked for tenants"))
                }
                Some(policy) if lets_distribution_read(policy, bucket, prefix, id.as_str()) => {
                    finding(State::Ok, format!("{name} has an origin access control, which the bucket policy allows"))
                }
                Some(_) => finding(State::Error, format!("{name} has an origin access control, which the bucket policy does not allow: viewers get 403"))
                    .fix(format!("set the bucket policy that {print} prints")),
            },
        })
    };
    shape.origins.iter().filter_map(of_origin).collect()
}

/// Writes an object next to the record in the same way as the record, tries what must be refused, and removes it.
async fn probe(aws: &Aws, record: &Record, evidence: &mut Evidence) -> Result<()> {
    let (bucket, key) = (record.bucket(), format!("doctor-{}", new_deploy_id(aws.clock())));
    let written = match bucket.put_if(&key, b"{}", Condition::Absent).await {
        Ok(Written::Yes(etag)) => etag,
        Ok(Written::Refused) => {
            return Err(Error::failed(format!("S3 says that {key} is there, which nobody wrote"))
                .hint("'shipfront conformance' checks what the endpoint supports"));
        }
        Err(error) => {
            evidence.of_error("s3:PutObject", &error);
            return Err(match error.kind() {
                ErrorKind::NotImplemented => crate::record::lease::unconditional(),
                _ => error,
            });
        }
    };
    evidence.works("s3:PutObject");
    let mut refused = Ok(());
    for condition in [Condition::Absent, Condition::Match(NO_ETAG)] {
        match bucket.put_if(&key, b"{} ", condition).await {
            Ok(Written::Refused) => {}
            Ok(Written::Yes(_)) => refused = Err(crate::record::lease::unconditional()),
            Err(error) => refused = Err(error),
        }
    }
    // Whatever happened to it.
    let _ = written;
    let left = bucket.delete(&[(&key, None)]).await;
    match left.map(|left| left.into_iter().next()) {
        Ok(None) => {
            evidence.works("s3:DeleteObject");
            refused
        }
        Ok(Some((_, error))) | Err(error) => {
            evidence.of_error("s3:DeleteObject", &error);
            let message = format!("the object {key} was written to {} and cannot be removed: {error}", record.place());
            Err(Error::failed(message).hint("allow s3:DeleteObject, and remove the object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shipfront_invalidation::viewer::Origin;

    fn states(domain: &str, access: OriginAccess, policy: Option<&str>) -> Vec<State> {
        let origin = Origin { id: "o".into(), domain_name: domain.to_owned(), access, ..Origin::default() };
        let shape = DistributionShape { origins: vec![origin], ..DistributionShape::default() };
        let id = DistributionId::Distribution("E1".to_owned());
        origin_access(&id, &shape, "b", "", policy).into_iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn an_origin_access_control_is_right_only_where_the_bucket_policy_lets_it_in() {
        const REST: &str = "b.s3.eu-west-1.amazonaws.com";
        let allow = |arn: &str| {
            format!(
                r#"{{"Statement": [{{"Effect": "Allow", "Principal": {{"Service": "cloudfront.amazonaws.com"}},
                "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*",
                "Condition": {{"StringEquals": {{"AWS:SourceArn": "{arn}"}}}}}}]}}"#
            )
        };
        let ours = allow("arn:aws:cloudfront::1:distribution/E1");
        assert_eq!(states(REST, OriginAccess::Control, Some(&ours)), [State::Ok]);
        assert_eq!(
            states(REST, OriginAccess::Control, Some(&allow("arn:aws:cloudfront::1:distribution/E2"))),
            [State::Error]
        );
        assert_eq!(states(REST, OriginAccess::Control, Some("")), [State::Error]);
        assert_eq!(states(REST, OriginAccess::Control, None), [State::NotChecked]);
        assert_eq!(states(REST, OriginAccess::Open, Some(&ours)), [State::Warning]);
        assert_eq!(states(REST, OriginAccess::Identity, Some(&ours)), [State::Warning]);
        assert_eq!(states("b.s3-website.eu-west-1.amazonaws.com", OriginAccess::Open, None), [State::Warning]);
        assert_eq!(states("api.example.com", OriginAccess::Open, None), []);
    }

    #[test]
    fn encryption_by_a_key_of_ones_own_is_a_warning_and_a_refusal_is_no_answer() {
        assert_eq!(encryption(Ok(Some("AES256".to_owned()))).state, State::Ok);
        assert_eq!(encryption(Ok(Some("aws:kms".to_owned()))).state, State::Warning);
        assert_eq!(encryption(Err(Error::failed("no"))).state, State::NotChecked);
    }
}
