//! The distribution that typed paths are sent to.

use super::Account;
use crate::world::command::{run, shipfront};
use serde_json::Value;

impl Account {
    /// One more distribution, which viewers know by `alias`.
    fn add(&self, bucket: &str, alias: &str) -> String {
        let id = self.edge.ensure_site(bucket).unwrap();
        self.alias(&id, alias);
        id
    }

    fn alias(&self, id: &str, alias: &str) {
        let mut distribution = self.edge.distribution(id).unwrap();
        distribution.aliases = vec![alias.to_owned()];
        self.edge.put_distribution(distribution).unwrap();
    }

    /// How many invalidations each of them accepted.
    fn taken(&self, ids: &[&str]) -> Vec<usize> {
        ids.iter().map(|id| self.edge.invalidations(id).len()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_distribution_is_found_without_being_named() {
    let account = Account::new().await;
    account.invalidate(&["/a"]).ended_with(0);
    account.invalidate(&["--distribution", "auto", "/b"]).ended_with(0);
    assert_eq!(account.sent(), [["/a"], ["/b"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_names_its_distribution_by_its_host() {
    let account = Account::new().await;
    account.alias(&account.id, "www.example.com");
    let shop = account.add("shop", "shop.example.com");
    let many = account.add("many", "*.example.org");
    account.edge.set_list_page_size(1);
    account.invalidate(&["https://Shop.Example.com/basket/", "/img/*"]).ended_with(0);
    assert_eq!(account.taken(&[&account.id, &shop, &many]), [0, 1, 0]);
    assert_eq!(account.edge.invalidations(&shop)[0].items, ["/basket/", "/img/*"]);
    account.invalidate(&["http://a.example.org:8080/x"]).ended_with(0);
    assert_eq!(account.taken(&[&account.id, &shop, &many]), [0, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_several_may_be_meant_nothing_is_sent_and_they_are_named() {
    let account = Account::new().await;
    let shop = account.add("shop", "shop.example.com");
    let refused = account.invalidate(&["/a"]).ended_with(2);
    refused.says(&account.id);
    refused.says(&shop);
    refused.says("hint: pass --distribution ID");
    assert_eq!(account.requests("CreateInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_distribution_serves_is_refused_even_beside_one_that_is_served() {
    let account = Account::new().await;
    account.alias(&account.id, "www.example.com");
    account.invalidate(&["https://ww.example.com/a"]).ended_with(2).says("serves ww.example.com");
    let both = account.invalidate(&["https://www.example.com/a", "https://ww.example.com/b"]).ended_with(2);
    both.says("serves ww.example.com");
    assert_eq!(account.requests("CreateInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_be_named_and_each_is_reported() {
    let account = Account::new().await;
    let shop = account.add("shop", "shop.example.com");
    let report = account.invalidate(&["--json", "--distribution", &account.id, "--distribution", &shop, "/a"]);
    let report = report.ended_with(0).json();
    assert_eq!(account.taken(&[&account.id, &shop]), [1, 1]);
    assert_eq!(report["invalidations"].as_array().unwrap().len(), 2, "{report:#}");
    let by_variable = &mut shipfront(&account.edge, &["invalidate", "/b"]);
    run(by_variable.env("SHIPFRONT_DISTRIBUTION", &shop)).ended_with(0);
    assert_eq!(account.taken(&[&account.id, &shop]), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_that_does_not_exist_is_a_usage_error() {
    let account = Account::new().await;
    let many: Vec<String> = (0..151).map(|number| format!("/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for paths in [&["/a"][..], &many] {
        let refused = account.invalidate(&[&["--json", "--distribution", "E0000000000000"], paths].concat());
        let refused = refused.ended_with(2);
        refused.says("E0000000000000 does not exist");
        refused.says("hint: ");
        assert_eq!(refused.json()["outcome"], "failed");
    }
    account.invalidate(&["--distribution", "www.example.com", "/a"]).ended_with(2).says("is not a distribution ID");
    account.invalidate(&["--distribution", "none", "/a"]).ended_with(2).says("leaves nothing to invalidate");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exists_is_reported_though_another_does_not() {
    let account = Account::new().await;
    let report = account.invalidate(&["--json", "--distribution", &format!("E0000000000000,{}", account.id), "/a"]);
    let report = report.ended_with(4).json();
    assert_eq!(account.sent(), [["/a"]]);
    assert_eq!(report["outcome"], "stale");
    let accepted = report["invalidations"].as_array().unwrap().iter().filter(|sent| sent["id"] != Value::Null);
    assert_eq!(accepted.count(), 1, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_look_is_reported_with_the_permission_and_a_workaround() {
    let account = Account::new().await;
    account.refuse("ListDistributions", 403, "AccessDenied");
    let refused = account.invalidate(&["/a"]).ended_with(2);
    refused.says("cloudfront:ListDistributions");
    refused.says("--distribution ID");
    assert!(!refused.stderr.contains("plain sync"), "there is nothing to sync: {refused:?}");
    assert_eq!(account.requests("CreateInvalidation"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_distribution_is_not_chosen() {
    let account = Account::new().await;
    let shop = account.add("shop", "shop.example.com");
    let mut disabled = account.edge.distribution(&shop).unwrap();
    disabled.enabled = false;
    account.edge.put_distribution(disabled).unwrap();
    account.invalidate(&["/a"]).ended_with(0);
    assert_eq!(account.taken(&[&account.id, &shop]), [1, 0]);
}
