//! `DistributionTenant`. Its lists have no length, unlike those of a distribution.

use serde::Serialize;

use crate::tenant::Tenant;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cloudfront) struct DistributionTenant {
    id: String,
    distribution_id: String,
    name: String,
    arn: String,
    domains: Members<Domain>,
    parameters: Members<Parameter>,
    enabled: bool,
    status: &'static str,
}

#[derive(Serialize)]
struct Members<T> {
    member: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Domain {
    domain: String,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

impl From<&Tenant> for DistributionTenant {
    fn from(tenant: &Tenant) -> Self {
        let domain = |domain: &String| Domain { domain: domain.clone(), status: "active" };
        let parameter = |(name, value): (&String, &String)| Parameter { name: name.clone(), value: value.clone() };
        Self {
            id: tenant.id.clone(),
            distribution_id: tenant.distribution_id.clone(),
            name: tenant.id.clone(),
            arn: format!("arn:aws:cloudfront::000000000000:distribution-tenant/{}", tenant.id),
            domains: Members { member: tenant.domains.iter().map(domain).collect() },
            parameters: Members { member: tenant.parameters.iter().map(parameter).collect() },
            enabled: true,
            status: "Deployed",
        }
    }
}
