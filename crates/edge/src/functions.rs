//! CloudFront Functions: their code in two stages, kept across restarts in one file.
//!
//! Sources: <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_UpdateFunction.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-functions>.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory;
use crate::distribution::identifier;
use crate::invalidation::Refusal;
use crate::lock::{reading, writing};

/// Maximum size of the code, in bytes.
pub(super) const LARGEST_CODE: usize = 10 * 1024;
/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 64;
const RUNTIMES: [&str; 2] = ["cloudfront-js-1.0", "cloudfront-js-2.0"];
/// The only runtime that reads key-value stores.
const RUNTIME_WITH_STORES: &str = "cloudfront-js-2.0";

/// A function's configuration and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// A description.
    pub comment: String,
    /// `cloudfront-js-2.0` or `cloudfront-js-1.0`.
    pub runtime: String,
    /// JavaScript, at most 10 KB.
    pub code: String,
    /// The ARN of the key-value store that it may read.
    pub key_value_store: Option<String>,
}

impl Function {
    /// The function of [`Distribution::with_index_rewrite`](crate::Distribution::with_index_rewrite).
    #[must_use]
    pub fn index_rewrite() -> Self {
        Self {
            name: "index-rewrite".to_owned(),
            comment: "/dir/ and /dir are /dir/index.html".to_owned(),
            runtime: RUNTIME_WITH_STORES.to_owned(),
            code: INDEX_REWRITE.to_owned(),
            key_value_store: None,
        }
    }
}

const INDEX_REWRITE: &str = "function handler(event) {
  const request = event.request, name = request.uri.split('/').pop();
  if (name === '') request.uri += 'index.html';
  else if (name.indexOf('.') < 0) request.uri += '/index.html';
  return request;
}
";

/// A stage of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What `UpdateFunction` changes and `TestFunction` tests.
    Development,
    /// What viewers get.
    Live,
}

impl Stage {
    /// The stage of this name; `None` if there is none.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Development, Self::Live].into_iter().find(|stage| stage.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Development => "DEVELOPMENT",
            Self::Live => "LIVE",
        }
    }
}

/// A function in one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) function: Function,
    pub(super) etag: String,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stages {
    development: Version,
    live: Option<Version>,
    /// The previous ETags of the development stage.
    earlier: Vec<String>,
}

impl Stages {
    fn version(&self, stage: Stage) -> Option<&Version> {
        match stage {
            Stage::Development => Some(&self.development),
            Stage::Live => self.live.as_ref(),
        }
    }

    /// Whether the development stage is also live.
    fn is_published(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.function == self.development.function)
    }
}

/// All functions, by name.
#[derive(Debug)]
pub(super) struct Functions {
    all: RwLock<BTreeMap<String, Stages>>,
    path: Option<PathBuf>,
}

/// The function's ARN in the only account.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:cloudfront::000000000000:function/{name}")
}

/// The name in a function's ARN.
pub(super) fn name_in(arn: &str) -> Option<&str> {
    arn.rsplit_once(":function/").map(|(_, name)| name)
}

impl Functions {
    /// Loads the functions in `directory`; without one, they are kept in memory.
    pub(super) fn open(directory: Option<&Path>) -> io::Result<Self> {
        let path = directory.map(|directory| directory.join("functions.json"));
        let all = path.as_deref().map(directory::kept).transpose()?.flatten().unwrap_or_default();
        Ok(Self { all: RwLock::new(all), path })
    }

    /// A function in a stage, and whether its development stage is live.
    pub(super) fn get(&self, name: &str, stage: Stage) -> Option<(Version, bool)> {
        let all = reading(&self.all);
        let found = all.get(name)?;
        Some((found.version(stage)?.clone(), found.is_published()))
    }

    /// Each function in each of its stages, by name.
    pub(super) fn all(&self) -> Vec<(Version, Stage, bool)> {
        let all = reading(&self.all);
        let each = |found: &Stages| {
            let stages = [Stage::Development, Stage::Live];
            stages.map(|stage| Some((found.version(stage)?.clone(), stage, found.is_published())))
        };
        all.values().flat_map(each).flatten().collect()
    }

    /// Creates a function in the development stage.
    pub(super) fn create(&self, function: Function, now: Timestamp) -> Result<Version, Refusal> {
        check(&function)?;
        self.change(|all| {
            if all.contains_key(&function.name) {
                return Err(Refusal::new(409, "FunctionAlreadyExists", "A function with this name already exists."));
            }
            let etag = identifier(&format!("{now} {function:?}"));
            let development = Version { function: function.clone(), etag, created: now, modified: now };
            all.insert(function.name, Stages { development: development.clone(), live: None, earlier: Vec::new() });
            Ok(development)
        })
    }

    /// Replaces the development stage of a function, if it is what the client expects.
    pub(super) fn update(
        &self,
        function: Function,
        if_match: Option<&str>,
        now: Timestamp,
    ) -> Result<Version, Refusal> {
        self.change(|all| {
            let found = all.get_mut(&function.name).ok_or_else(missing)?;
            found.check_precondition(if_match)?;
            check(&function)?;
            let etag = identifier(&format!("{} {now} {function:?}", found.development.etag));
            let earlier = std::mem::replace(&mut found.development.etag, etag);
            found.earlier.push(earlier);
            found.development.function = function;
            found.development.modified = now;
            Ok(found.development.clone())
        })
    }

    /// Publishes the development stage of a function.
    pub(super) fn publish(&self, name: &str, if_match: Option<&str>, now: Timestamp) -> Result<Version, Refusal> {
        self.change(|all| {
            let found = all.get_mut(name).ok_or_else(missing)?;
            found.check_precondition(if_match)?;
            let etag = identifier(&format!("live {}", found.development.etag));
            let live = Version { etag, modified: now, ..found.development.clone() };
            found.live = Some(live.clone());
            Ok(live)
        })
    }

    /// Adds or replaces a function, live at once.
    pub(super) fn put(&self, function: &Function, now: Timestamp) -> Result<(), Refusal> {
        let name = function.name.as_str();
        let version = match self.get(name, Stage::Development) {
            None => self.create(function.clone(), now)?,
            Some((before, _)) => self.update(function.clone(), Some(&before.etag), now)?,
        };
        self.publish(name, Some(&version.etag), now).map(|_| ())
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Stages>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut all = writing(&self.all);
        let mut changed = all.clone();
        let result = change(&mut changed)?;
        if let Some(path) = &self.path {
            directory::keep(path, &changed).map_err(|error| Refusal::new(500, "InternalError", error.to_string()))?;
        }
        *all = changed;
        Ok(result)
    }
}

impl Stages {
    /// AWS's documentation does not say which error a previous ETag gets, and which one that never existed.
    fn check_precondition(&self, if_match: Option<&str>) -> Result<(), Refusal> {
        match if_match {
            Some(etag) if etag == self.development.etag => Ok(()),
            Some(etag) if self.earlier.iter().any(|earlier| earlier == etag) => Err(Refusal::new(
                412,
                "PreconditionFailed",
                "The precondition in one or more of the request fields evaluated to false.",
            )),
            _ => Err(invalid_version()),
        }
    }
}

pub(super) fn missing() -> Refusal {
    Refusal::new(404, "NoSuchFunctionExists", "The function does not exist.")
}

pub(super) fn invalid_version() -> Refusal {
    Refusal::new(400, "InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
}

fn check(function: &Function) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(400, "InvalidArgument", message));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = &function.name;
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_name) {
        return refuse(format!("{name} is not a name of a function."));
    }
    if !RUNTIMES.contains(&function.runtime.as_str()) {
        return refuse(format!("{} is not a runtime.", function.runtime));
    }
    if function.key_value_store.is_some() && function.runtime != RUNTIME_WITH_STORES {
        return refuse(format!("Key-value stores take the runtime {RUNTIME_WITH_STORES}."));
    }
    if function.code.is_empty() {
        return refuse("The function has no code.".to_owned());
    }
    if function.code.len() > LARGEST_CODE {
        let message = format!("The function is larger than {LARGEST_CODE} bytes.");
        return Err(Refusal::new(413, "FunctionSizeLimitExceeded", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(code: &str) -> Function {
        Function {
            name: "rules".to_owned(),
            comment: String::new(),
            runtime: "cloudfront-js-2.0".to_owned(),
            code: code.to_owned(),
            key_value_store: None,
        }
    }

    #[test]
    fn what_is_published_stays_while_the_other_stage_changes() {
        let (functions, now) = (Functions::open(None).unwrap(), Timestamp::UNIX_EPOCH);
        let first = functions.create(function("1"), now).unwrap();
        assert!(functions.get("rules", Stage::Live).is_none());
        let live = functions.publish("rules", Some(&first.etag), now).unwrap();
        assert_ne!(live.etag, first.etag, "the stages have ETags of their own");
        let second = functions.update(function("2"), Some(&first.etag), now).unwrap();
        let (kept, is_published) = functions.get("rules", Stage::Live).unwrap();
        assert_eq!((kept.function.code.as_str(), is_published), ("1", false));
        let code = |refusal: Refusal| (refusal.status, refusal.code);
        let stale = functions.update(function("3"), Some(&first.etag), now).unwrap_err();
        assert_eq!(code(stale), (412, "PreconditionFailed"));
        for unknown in [None, Some("E0"), Some(live.etag.as_str())] {
            let refused = functions.publish("rules", unknown, now).unwrap_err();
            assert_eq!(code(refused), (400, "InvalidIfMatchVersion"));
        }
        assert_eq!(functions.publish("rules", Some(&second.etag), now).unwrap().function.code, "2");
        assert_eq!(code(functions.create(function("1"), now).unwrap_err()), (409, "FunctionAlreadyExists"));
        assert_eq!(code(functions.publish("other", None, now).unwrap_err()), (404, "NoSuchFunctionExists"));
    }

    #[test]
    fn what_aws_would_not_take_is_refused() {
        let (functions, now) = (Functions::open(None).unwrap(), Timestamp::UNIX_EPOCH);
        let code = |function: Function| functions.create(function, now).unwrap_err().code;
        assert_eq!(code(function(&"x".repeat(LARGEST_CODE + 1))), "FunctionSizeLimitExceeded");
        assert_eq!(code(function("")), "InvalidArgument");
        assert_eq!(code(Function { name: "a.b".to_owned(), ..function("1") }), "InvalidArgument");
        assert_eq!(code(Function { runtime: "nodejs".to_owned(), ..function("1") }), "InvalidArgument");
        let old = Function { runtime: "cloudfront-js-1.0".to_owned(), ..function("1") };
        assert_eq!(code(Function { key_value_store: Some("arn".to_owned()), ..old }), "InvalidArgument");
        assert!(functions.create(function(&"x".repeat(LARGEST_CODE)), now).is_ok());
    }

    #[test]
    fn functions_are_kept_across_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Functions::open(Some(directory.path())).unwrap();
        open().put(&function("1"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(open().get("rules", Stage::Live).unwrap().0.function, function("1"));
    }
}
