//! Distribution tenants: viewers of a multi-tenant distribution, each with its own parameters, host and cache.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/distribution-config-options.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::distribution::Distribution;

/// A tenant of a distribution. On this machine, viewers reach it at `<id>.localhost`, with `-` for each `_`, which
/// a host name cannot contain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Such as `dt_2x3y`.
    pub id: String,
    /// The multi-tenant distribution.
    pub distribution_id: String,
    /// The values of `{{name}}` in the distribution's origins.
    pub parameters: BTreeMap<String, String>,
    /// The host names of its viewers on AWS.
    pub domains: Vec<String>,
}

impl Tenant {
    /// Whether the tenant answers at `<label>.localhost`, with `label` in lowercase.
    pub(super) fn answers_at(&self, label: &str) -> bool {
        self.id.to_ascii_lowercase().replace('_', "-") == label
    }

    /// The distribution as the viewers of this tenant see it: under the tenant's ID, which gives it its own cache.
    pub(super) fn view(&self, parent: &Distribution) -> Distribution {
        let mut view = Distribution { id: self.id.clone(), ..parent.clone() };
        for (name, value) in &self.parameters {
            let place = format!("{{{{{name}}}}}");
            for origin in &mut view.origins {
                origin.origin_path = origin.origin_path.replace(&place, value);
                origin.domain_name = origin.domain_name.replace(&place, value);
            }
        }
        view
    }
}
