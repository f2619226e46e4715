//! All distributions and cache policies of an edge, kept across restarts in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::directory;
use crate::distribution::{
    CACHING_DISABLED, CACHING_OPTIMIZED, CacheBehavior, CachePolicy, CacheSettings, DAY, Distribution, QueryStrings,
    YEAR, identifier,
};
use crate::lock::{reading, writing};
use crate::tenant::Tenant;

/// All distributions, and which one answers on a host that does not name one.
#[derive(Debug)]
pub(super) struct Distributions {
    state: RwLock<State>,
    policies: RwLock<BTreeMap<String, CachePolicy>>,
    path: Option<PathBuf>,
    /// The distributions whose configuration is still on its way to the edge locations.
    deploying: RwLock<BTreeSet<String>>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct State {
    distributions: Vec<Distribution>,
    default: Option<String>,
    #[serde(default)]
    tenants: Vec<Tenant>,
}

/// TTLs and query strings of a behavior, wherever they are configured.
#[derive(Clone, Debug)]
pub(super) struct Caching {
    pub(super) min_ttl: Duration,
    pub(super) default_ttl: Duration,
    pub(super) max_ttl: Duration,
    pub(super) query_strings: QueryStrings,
}

impl Distributions {
    /// Loads the distributions in `directory`; without one, they are kept in memory.
    pub(super) fn open(directory: Option<&Path>) -> io::Result<Self> {
        let path = directory.map(|directory| directory.join("distributions.json"));
        let state: State = path.as_deref().map(directory::kept).transpose()?.flatten().unwrap_or_default();
        let managed = |id: &str, name: &str, times: [u64; 3]| CachePolicy {
            id: id.to_owned(),
            name: name.to_owned(),
            min_ttl: times[0],
            default_ttl: times[1],
            max_ttl: times[2],
            query_strings: QueryStrings::None,
        };
        let policies = [
            managed(CACHING_OPTIMIZED, "Managed-CachingOptimized", [1, DAY, YEAR]),
            managed(CACHING_DISABLED, "Managed-CachingDisabled", [0, 0, 0]),
        ];
        let policies = policies.map(|policy| (policy.id.clone(), policy));
        Ok(Self {
            state: RwLock::new(state),
            policies: RwLock::new(policies.into()),
            path,
            deploying: RwLock::default(),
        })
    }

    pub(super) fn get(&self, id: &str) -> Option<Distribution> {
        let state = reading(&self.state);
        let mut all = state.distributions.iter();
        all.find(|distribution| distribution.id.eq_ignore_ascii_case(id)).cloned()
    }

    pub(super) fn set_deploying(&self, id: &str, deploying: bool) {
        let mut ids = writing(&self.deploying);
        if deploying {
            ids.insert(id.to_owned());
        } else {
            ids.remove(id);
        }
    }

    pub(super) fn is_deploying(&self, id: &str) -> bool {
        reading(&self.deploying).contains(id)
    }

    pub(super) fn tenant(&self, id: &str) -> Option<Tenant> {
        let state = reading(&self.state);
        state.tenants.iter().find(|tenant| tenant.id == id).cloned()
    }

    /// The tenants of all distributions, in order of creation.
    pub(super) fn tenants(&self) -> Vec<Tenant> {
        reading(&self.state).tenants.clone()
    }

    /// What answers at `<label>.localhost`: a distribution, or one as a tenant of it serves it.
    pub(super) fn at(&self, label: &str) -> Option<Distribution> {
        let tenant = reading(&self.state).tenants.iter().find(|tenant| tenant.answers_at(label)).cloned();
        match tenant {
            Some(tenant) => Some(tenant.view(&self.get(&tenant.distribution_id)?)),
            None => self.get(label),
        }
    }

    /// Whether a behavior has the function with this ARN.
    pub(super) fn has_function(&self, arn: &str) -> bool {
        reading(&self.state).distributions.iter().any(|found| found.has_function(arn))
    }

    /// In order of creation.
    pub(super) fn all(&self) -> Vec<Distribution> {
        reading(&self.state).distributions.clone()
    }

    /// The distribution that answers if a host does not name one: the shown one, the chosen one, or the first.
    pub(super) fn default(&self) -> Option<Distribution> {
        let shown = self.path.as_deref().and_then(Path::parent).and_then(directory::shown);
        if let Some(distribution) = shown.and_then(|id| self.get(&id)) {
            return Some(distribution);
        }
        let id = reading(&self.state).default.clone();
        id.and_then(|id| self.get(&id)).or_else(|| self.all().into_iter().next())
    }

    pub(super) fn set_default(&self, id: &str) -> io::Result<()> {
        self.change(|state| state.default = Some(id.to_owned()))
    }

    /// The ID of the distribution of `bucket`, which is created if it does not exist.
    pub(super) fn ensure(&self, bucket: &str) -> io::Result<String> {
        let distribution = Distribution::for_bucket(bucket);
        let id = distribution.id.clone();
        if self.get(&id).is_none() {
            self.put(distribution)?;
        }
        Ok(id)
    }

    /// Adds or replaces.
    pub(super) fn put(&self, mut distribution: Distribution) -> io::Result<()> {
        if let Some(target) = distribution.dangling() {
            let message = format!("{target}: no origin and no origin group has this id");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.change(|state| {
            let mut all = state.distributions.iter_mut();
            let old = all.find(|old| old.id == distribution.id);
            let before = old.as_ref().map_or("", |old| old.etag.as_str());
            distribution.etag = identifier(&format!("{before}{distribution:?}"));
            match old {
                Some(old) => *old = distribution,
                None => state.distributions.push(distribution),
            }
        })
    }

    /// Adds or replaces.
    pub(super) fn put_tenant(&self, tenant: Tenant) -> io::Result<()> {
        self.change(|state| {
            state.tenants.retain(|old| old.id != tenant.id);
            state.tenants.push(tenant);
        })
    }

    pub(super) fn remove(&self, id: &str) -> io::Result<()> {
        self.change(|state| state.distributions.retain(|distribution| distribution.id != id))
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = writing(&self.state);
        let mut changed = state.clone();
        change(&mut changed);
        if let Some(path) = &self.path {
            directory::keep(path, &changed)?;
        }
        *state = changed;
        Ok(())
    }

    pub(super) fn put_policy(&self, policy: CachePolicy) {
        writing(&self.policies).insert(policy.id.clone(), policy);
    }

    pub(super) fn policy(&self, id: &str) -> Option<CachePolicy> {
        reading(&self.policies).get(id).cloned()
    }

    /// An unknown policy keeps nothing, so copies are never staler than on AWS.
    pub(super) fn caching(&self, behavior: &CacheBehavior) -> Caching {
        let (times, query_strings) = match &behavior.cache {
            CacheSettings::Legacy { query_string, min_ttl, default_ttl, max_ttl } => {
                let query = if *query_string { QueryStrings::All } else { QueryStrings::None };
                ([*min_ttl, *default_ttl, *max_ttl], query)
            }
            CacheSettings::Policy(id) => match self.policy(id) {
                Some(policy) => ([policy.min_ttl, policy.default_ttl, policy.max_ttl], policy.query_strings),
                None => ([0; 3], QueryStrings::All),
            },
        };
        let [min_ttl, default_ttl, max_ttl] = times.map(Duration::from_secs);
        Caching { min_ttl, default_ttl, max_ttl, query_strings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_another_version_and_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let distributions = Distributions::open(Some(directory.path())).unwrap();
        let id = distributions.ensure("b").unwrap();
        let mut distribution = distributions.get(&id).unwrap();
        let before = distribution.etag.clone();
        distribution.default_root_object = "home.html".to_owned();
        distributions.put(distribution).unwrap();
        let again = Distributions::open(Some(directory.path())).unwrap().get(&id).unwrap();
        assert_eq!(again.default_root_object, "home.html");
        assert_ne!(again.etag, before);
        assert_eq!(id.len(), 14);
    }

    #[test]
    fn a_behavior_without_an_origin_is_refused() {
        let distributions = Distributions::open(None).unwrap();
        let mut distribution = Distribution::for_bucket("b");
        distribution.behaviors.push(CacheBehavior::new("/x", "nowhere"));
        assert!(distributions.put(distribution).is_err());
    }
}
