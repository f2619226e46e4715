//! Whose builds may assume a role without stored keys: the trust policy of a role for a CI service's OpenID Connect
//! tokens.
//!
//! A token says who issued it, its audience, and its subject (`sub`). A policy without the subject would trust
//! every repository of the service.

use crate::aws::policy_document::{Document, Statement, literal};
use shipfront_site::Warning;
use std::str::FromStr;

/// The builds that a role trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The issuer, in IAM's name for its provider: a URL without its scheme.
    provider: String,
    /// The required audience of a token.
    audience: String,
    /// The required subject, as a policy pattern: `*` matches anything.
    subject: String,
    /// What the subject leaves open, if anything.
    breadth: Option<Breadth>,
}

/// Who else can assume a role, and what keeps them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Breadth {
    notice: &'static str,
    remedy: &'static str,
}

impl FromStr for Trust {
    type Err = String;

    fn from_str(text: &str) -> Result<Trust, String> {
        let wrong = || {
            "write github:OWNER/REPO[:ENVIRONMENT], gitlab:GROUP/PROJECT[:BRANCH] or \
             bitbucket:WORKSPACE:WORKSPACE-UUID:REPOSITORY-UUID[:ENVIRONMENT-UUID]"
                .to_owned()
        };
        let (service, builds) = text.split_once(':').ok_or_else(wrong)?;
        let trust = match service {
            "github" => github(builds),
            "gitlab" => gitlab(builds),
            "bitbucket" => bitbucket(builds),
            _ => None,
        };
        trust.ok_or_else(wrong)
    }
}

impl Trust {
    /// What it leaves open, and how to close that.
    pub fn breadth(&self) -> Option<Warning> {
        self.breadth.map(|Breadth { notice, remedy }| Warning::new(notice, remedy))
    }

    /// The policy for a role of an account.
    pub fn document(&self, partition: &str, account: &str) -> Document {
        let Trust { provider, audience, subject, breadth } = self;
        let about = (format!("{provider}:sub"), vec![subject.clone()]);
        let meant = (format!("{provider}:aud"), vec![audience.clone()]);
        let condition = match breadth.is_some() || subject.ends_with(":*") {
            true => [("StringEquals", [meant].into()), ("StringLike", [about].into())].into(),
            false => [("StringEquals", [meant, about].into())].into(),
        };
        Document::of(vec![Statement {
            effect: "Allow",
            principal: Some([("Federated", format!("arn:{partition}:iam::{account}:oidc-provider/{provider}"))].into()),
            action: vec!["sts:AssumeRoleWithWebIdentity".to_owned()],
            condition: Some(condition),
            ..Statement::default()
        }])
    }
}

/// <https://docs.github.com/en/actions/reference/security/oidc>. The subject of repositories created or renamed
/// after July 2026 contains the IDs of owner and repository after an `@`, which no name contains.
fn github(builds: &str) -> Option<Trust> {
    let (repository, environment) = split(builds);
    let (owner, name) = repository.split_once('/')?;
    let with_id = |part: &str| {
        part.split_once('@').map_or((part.to_owned(), None), |(name, id)| (name.to_owned(), Some(id.to_owned())))
    };
    let ((owner_name, owner_id), (repository_name, repository_id)) = (with_id(owner), with_id(name));
    let is_id = |id: &Option<String>| id.as_ref().is_none_or(|id| is_made_of(id, |c| c.is_ascii_digit()));
    let is_one = is_name(&owner_name) && is_name(&repository_name) && owner_id.is_some() == repository_id.is_some();
    if !is_one || !is_id(&owner_id) || !is_id(&repository_id) {
        return None;
    }
    let subject = match environment {
        // A colon would end the field, and GitHub encodes it like this.
        Some(environment) if is_seen(environment) => {
            format!("environment:{}", literal(&environment.replace(':', "%3A")))
        }
        Some(_) => return None,
        None => "*".to_owned(),
    };
    Some(Trust {
        provider: "token.actions.githubusercontent.com".to_owned(),
        audience: "sts.amazonaws.com".to_owned(),
        subject: format!("repo:{repository}:{subject}"),
        breadth: environment.is_none().then_some(Breadth {
            notice: "every workflow of the repository can assume the role, on any branch and for any pull request from it",
            remedy: "name an environment, as in github:OWNER/REPO:production, and protect it",
        }),
    })
}

/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/>.
fn gitlab(builds: &str) -> Option<Trust> {
    let (project, branch) = split(builds);
    if project.split('/').count() < 2 || !project.split('/').all(is_name) {
        return None;
    }
    let subject = match branch {
        Some(branch) if is_seen(branch) => format!("ref_type:branch:ref:{}", literal(branch)),
        Some(_) => return None,
        None => "*".to_owned(),
    };
    Some(Trust {
        provider: "gitlab.com".to_owned(),
        audience: "https://gitlab.com".to_owned(),
        subject: format!("project_path:{project}:{subject}"),
        breadth: branch.is_none().then_some(Breadth {
            notice: "every job of the project can assume the role, on any branch",
            remedy: "name a branch, as in gitlab:GROUP/PROJECT:main, and protect it",
        }),
    })
}

/// <https://support.atlassian.com/bitbucket-cloud/docs/integrate-pipelines-with-resource-servers-using-oidc/>. The
/// last part of a subject is the step, which differs in each run.
fn bitbucket(builds: &str) -> Option<Trust> {
    let parts: Vec<&str> = builds.split(':').collect();
    let (workspace, ids) = parts.split_first()?;
    let bare = |id: &&str| id.trim_start_matches('{').trim_end_matches('}').to_ascii_lowercase();
    let ids: Vec<String> = ids.iter().map(bare).collect();
    let is_id = |id: &String| is_made_of(id, |c| c.is_ascii_hexdigit() || c == '-');
    if !is_name(workspace) || !ids.iter().all(is_id) {
        return None;
    }
    let (of_workspace, subject, breadth) = match ids.as_slice() {
        [workspace, repository, environment] => (workspace, format!("{{{repository}}}:{{{environment}}}:*"), None),
        [workspace, repository] => {
            let breadth = Breadth {
                notice: "every step of the repository's pipelines can assume the role, on any branch",
                remedy: "add the ID of a deployment environment after that of the repository, and protect the environment",
            };
            (workspace, format!("{{{repository}}}:*"), Some(breadth))
        }
        _ => return None,
    };
    Some(Trust {
        provider: format!("api.bitbucket.org/2.0/workspaces/{workspace}/pipelines-config/identity/oidc"),
        audience: format!("ari:cloud:bitbucket::workspace/{of_workspace}"),
        subject,
        breadth,
    })
}

/// The parts before and after the first colon.
fn split(builds: &str) -> (&str, Option<&str>) {
    builds.split_once(':').map_or((builds, None), |(before, behind)| (before, Some(behind)))
}

/// Whether it is a name of a user, a group or a repository: nothing in it has a special meaning in a policy.
fn is_name(text: &str) -> bool {
    is_made_of(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_made_of(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// Whether it is a name of a branch or an environment, which may contain nearly anything.
fn is_seen(text: &str) -> bool {
    is_made_of(text, |c| !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(builds: &str) -> serde_json::Value {
        let trust: Trust = builds.parse().unwrap();
        let mut document = serde_json::to_value(trust.document("aws", "123456789012")).unwrap();
        document["Statement"][0].take()
    }

    #[test]
    fn a_role_trusts_one_environment_of_one_repository() {
        let statement = policy("github:example/www:production");
        assert_eq!(
            statement,
            serde_json::json!({
                "Effect": "Allow",
                "Principal": {
                    "Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
                },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {
                    "token.actions.githubusercontent.com:aud": ["sts.amazonaws.com"],
                    "token.actions.githubusercontent.com:sub": ["repo:example/www:environment:production"]
                }}
            })
        );
    }

    #[test]
    fn each_service_has_its_issuer_its_audience_and_its_subject() {
        for (builds, test, provider, audience, subject) in [
            (
                "github:example/www",
                "StringLike",
                "token.actions.githubusercontent.com",
                "sts.amazonaws.com",
                "repo:example/www:*",
            ),
            (
                "github:example@12/www@34:production",
                "StringEquals",
                "token.actions.githubusercontent.com",
                "sts.amazonaws.com",
                "repo:example@12/www@34:environment:production",
            ),
            (
                "github:example/www:a b:$*",
                "StringEquals",
                "token.actions.githubusercontent.com",
                "sts.amazonaws.com",
                "repo:example/www:environment:a b%3A${$}${*}",
            ),
            (
                "gitlab:group/sub/www:main",
                "StringEquals",
                "gitlab.com",
                "https://gitlab.com",
                "project_path:group/sub/www:ref_type:branch:ref:main",
            ),
            ("gitlab:group/www", "StringLike", "gitlab.com", "https://gitlab.com", "project_path:group/www:*"),
            (
                "bitbucket:example:{AB-1}:cd-2:ef-3",
                "StringLike",
                "api.bitbucket.org/2.0/workspaces/example/pipelines-config/identity/oidc",
                "ari:cloud:bitbucket::workspace/ab-1",
                "{cd-2}:{ef-3}:*",
            ),
        ] {
            let statement = policy(builds);
            let principal = statement["Principal"]["Federated"].as_str().unwrap();
            assert_eq!(principal, format!("arn:aws:iam::123456789012:oidc-provider/{provider}"));
            let condition = &statement["Condition"];
            assert_eq!(condition["StringEquals"][format!("{provider}:aud")][0], audience);
            assert_eq!(condition[test][format!("{provider}:sub")][0], subject, "{builds}: {condition}");
            let open = builds.parse::<Trust>().unwrap().breadth().is_some();
            assert_eq!(open, matches!(builds, "github:example/www" | "gitlab:group/www"), "{builds}");
        }
    }

    #[test]
    fn what_would_trust_others_than_meant_is_refused() {
        for wrong in [
            "github",
            "github:",
            "github:example",
            "github:*/www",
            "github:example/*",
            "github:example/www:",
            "github:a/b/c",
            "github:example/www:a\nb",
            "github:example@1/www",
            "github:example@x/www@1",
            "github:example@/www@",
            "gitlab:www",
            "gitlab:*/www",
            "gitlab:a//b",
            "bitbucket:example:1",
            "bitbucket:example:1:*",
            "bitbucket:*:1:2",
            "jenkins:a/b",
        ] {
            assert!(wrong.parse::<Trust>().is_err(), "{wrong:?}");
        }
    }
}
