//! The commit that was deployed and the build that did it, with their URLs, from the variables of CI services.

use crate::deploy::rollback::{PROMOTED, RESTORED};

/// Maximum length of a URL, in characters; a longer one is not a link.
const LONGEST: usize = 2000;
/// Number of characters of a commit to show, as Git does.
const SHORT_COMMIT: usize = 10;

/// Where a site comes from, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Provenance {
    /// The commit that was built.
    pub(super) commit: Option<Named>,
    /// The run of the CI service.
    pub(super) build: Option<Named>,
}

/// Something that may have a web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name.
    pub(super) name: String,
    /// Its page: an `http` or `https` URL.
    pub(super) url: Option<String>,
}

impl Provenance {
    /// The provenance according to the environment: GitHub Actions, GitLab, Bitbucket and CodeBuild, by their
    /// documented variables. If the source is not a build of this commit, such as an earlier deploy, the commit is
    /// omitted.
    pub(super) fn of(source: &str, variable: impl Fn(&str) -> Option<String>) -> Provenance {
        let get = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let found = github(&get).or_else(|| gitlab(&get)).or_else(|| bitbucket(&get)).or_else(|| codebuild(&get));
        let provenance = found.unwrap_or_default();
        let is_build = ![RESTORED, PROMOTED].iter().any(|other| source.starts_with(other));
        Provenance { commit: provenance.commit.filter(|_| is_build), ..provenance }
    }
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>
fn github(get: &impl Fn(&str) -> Option<String>) -> Option<Provenance> {
    let commit = get("GITHUB_SHA")?;
    let repository = get("GITHUB_SERVER_URL").zip(get("GITHUB_REPOSITORY"));
    let repository = repository.map(|(server, repository)| format!("{server}/{repository}"));
    let run = |repository: &String| Some(format!("{repository}/actions/runs/{}", get("GITHUB_RUN_ID")?));
    Some(Provenance {
        build: get("GITHUB_RUN_NUMBER")
            .map(|number| Named::new(format!("run {number}"), repository.as_ref().and_then(run))),
        commit: Some(Named::commit(&commit, repository.map(|repository| format!("{repository}/commit/{commit}")))),
    })
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>
fn gitlab(get: &impl Fn(&str) -> Option<String>) -> Option<Provenance> {
    let commit = get("CI_COMMIT_SHA")?;
    let url = get("CI_PROJECT_URL").map(|project| format!("{project}/-/commit/{commit}"));
    Some(Provenance {
        commit: Some(Named::commit(&commit, url)),
        build: get("CI_JOB_ID").map(|id| Named::new(format!("job {id}"), get("CI_JOB_URL"))),
    })
}

/// <https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/>
fn bitbucket(get: &impl Fn(&str) -> Option<String>) -> Option<Provenance> {
    let commit = get("BITBUCKET_COMMIT")?;
    let repository = get("BITBUCKET_GIT_HTTP_ORIGIN");
    let below = |rest: String| repository.as_ref().map(|repository| format!("{repository}/{rest}"));
    let build = |number: String| {
        let url = below(format!("pipelines/results/{number}"));
        Named::new(format!("pipeline {number}"), url)
    };
    Some(Provenance {
        commit: Some(Named::commit(&commit, below(format!("commits/{commit}")))),
        build: get("BITBUCKET_BUILD_NUMBER").map(build),
    })
}

/// <https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html>
fn codebuild(get: &impl Fn(&str) -> Option<String>) -> Option<Provenance> {
    let number = get("CODEBUILD_BUILD_NUMBER")?;
    // If the repository is known to have such pages. A URL that contains a password does not begin like this.
    let pages = |commit: &str| {
        let repository = get("CODEBUILD_SOURCE_REPO_URL")?;
        let repository = repository.strip_suffix(".git").unwrap_or(&repository);
        repository.starts_with("https://github.com/").then(|| format!("{repository}/commit/{commit}"))
    };
    Some(Provenance {
        commit: get("CODEBUILD_RESOLVED_SOURCE_VERSION").map(|commit| Named::commit(&commit, pages(&commit))),
        build: Some(Named::new(format!("build {number}"), get("CODEBUILD_BUILD_URL"))),
    })
}

impl Named {
    fn new(name: String, url: Option<String>) -> Named {
        Named { name, url: url.filter(|url| is_web(url)) }
    }

    fn commit(id: &str, url: Option<String>) -> Named {
        Named::new(id.chars().take(SHORT_COMMIT).collect(), url)
    }
}

/// Whether a link may lead there: a web page, spelled as URLs are, with nothing before the host that could hide it.
pub(super) fn is_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
        && url.len() <= LONGEST
        && url.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &str, variables: &[(&str, &str)]) -> Provenance {
        Provenance::of(source, |asked| {
            let found = variables.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn named(name: &str, url: &str) -> Option<Named> {
        Some(Named { name: name.to_owned(), url: (!url.is_empty()).then(|| url.to_owned()) })
    }

    #[test]
    fn each_service_has_its_pages() {
        let github = [
            ("GITHUB_SHA", "0123456789abcdef"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "a/b"),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_RUN_NUMBER", "3"),
        ];
        let found = of("public", &github);
        assert_eq!(found.commit, named("0123456789", "https://github.com/a/b/commit/0123456789abcdef"));
        assert_eq!(found.build, named("run 3", "https://github.com/a/b/actions/runs/77"));
        assert_eq!(of("deploy:x", &github), Provenance { commit: None, ..found }, "a rollback deploys no build of it");
        let found = of(
            "public",
            &[
                ("CI_COMMIT_SHA", "abc"),
                ("CI_PROJECT_URL", "https://gitlab.com/a/b"),
                ("CI_JOB_ID", "9"),
                ("CI_JOB_URL", "https://gitlab.com/a/b/-/jobs/9"),
            ],
        );
        assert_eq!(found.commit, named("abc", "https://gitlab.com/a/b/-/commit/abc"));
        assert_eq!(found.build, named("job 9", "https://gitlab.com/a/b/-/jobs/9"));
        let found = of(
            "public",
            &[
                ("BITBUCKET_COMMIT", "abc"),
                ("BITBUCKET_GIT_HTTP_ORIGIN", "http://bitbucket.org/a/b"),
                ("BITBUCKET_BUILD_NUMBER", "4"),
            ],
        );
        assert_eq!(found.commit, named("abc", "http://bitbucket.org/a/b/commits/abc"));
        assert_eq!(found.build, named("pipeline 4", "http://bitbucket.org/a/b/pipelines/results/4"));
        let codebuild = |repository| {
            of(
                "public",
                &[
                    ("CODEBUILD_BUILD_NUMBER", "12"),
                    ("CODEBUILD_BUILD_URL", "https://console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/x"),
                    ("CODEBUILD_RESOLVED_SOURCE_VERSION", "abc"),
                    ("CODEBUILD_SOURCE_REPO_URL", repository),
                ],
            )
        };
        let found = codebuild("https://github.com/a/b.git");
        assert_eq!(found.commit, named("abc", "https://github.com/a/b/commit/abc"));
        assert_eq!(
            found.build,
            named("build 12", "https://console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/x")
        );
        for other in
            ["https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/b", "https://me:secret@github.com/a/b", ""]
        {
            assert_eq!(codebuild(other).commit, named("abc", ""), "{other}");
        }
        assert_eq!(of("public", &[]), Provenance::default());
        assert_eq!(of("public", &[("GITHUB_SHA", " ")]), Provenance::default());
    }

    #[test]
    fn a_link_leads_to_the_web_and_nowhere_else() {
        for good in ["https://example.com", "http://localhost:8650/", "https://a.example/x?y=%20#z"] {
            assert!(is_web(good), "{good}");
        }
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        for bad in [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//example.com",
            "https://",
            "http:///x",
            "https://user:password@example.com/",
            "https://example.com/\"onclick=x",
            "https://example.com/<x>",
            "https://example.com/ x",
            "https://example.com/\n",
            "https://exämple.com/",
            "https:\\\\example.com",
            "",
            &long,
        ] {
            assert!(!is_web(bad), "{bad:?}");
        }
        let hostile = of(
            "public",
            &[("GITHUB_SHA", "a"), ("GITHUB_SERVER_URL", "javascript:alert(1)//"), ("GITHUB_REPOSITORY", "a/b")],
        );
        assert_eq!(hostile.commit, named("a", ""));
    }
}
