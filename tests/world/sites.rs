//! Sites as maps, and deploys of them inside the test process: for tests that run hundreds.

use super::aws;
use clap::Parser;
use serde::Deserialize;
use serde_json::Value;
use shipfront::aws::{Aws, AwsOptions};
use shipfront::cli::{Cli, Command};
use shipfront::clock::{Clock, Hand};
use shipfront::config;
use shipfront::deploy::rollback::{Choice, Promoted, Rollback};
use shipfront::deploy::{Deploy, Settings};
use shipfront::error::Error;
use shipfront::report::Report;
use shipfront::terminal::{Terminal, Volume};
use shipfront_edge::Edge;
use shipfront_site::Target;
use shipfront_site::rules::HeaderRule;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Contents by key.
pub(crate) type Site = BTreeMap<String, String>;

/// A site of these files.
pub(crate) fn site(files: &[(&str, &str)]) -> Site {
    files.iter().map(|&(key, body)| (key.to_owned(), body.to_owned())).collect()
}

/// Whether visitors and crawlers request it directly.
pub(crate) fn is_page(key: &str) -> bool {
    key == "/" || key.ends_with(".html") || key.ends_with("feed.xml")
}

/// The assets that a page names as `src="/..."`.
pub(crate) fn references(body: &str) -> impl Iterator<Item = &str> {
    body.split("src=\"/").skip(1).filter_map(|rest| rest.split('"').next())
}

/// A source directory that contains a site.
pub(crate) fn directory(site: &Site) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), site);
    directory
}

/// Makes a directory contain a site and nothing else.
pub(crate) fn write(directory: &Path, site: &Site) {
    fs::remove_dir_all(directory).unwrap();
    fs::create_dir_all(directory).unwrap();
    for (key, body) in site {
        let path = directory.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, body).unwrap();
    }
}

/// An edge and one client of it.
pub(crate) struct Place {
    pub(crate) edge: Edge,
    pub(crate) aws: Aws,
    clock: Clock,
}

impl Place {
    pub(crate) async fn new() -> Place {
        Place::with_clock(Clock::default()).await
    }

    /// An edge whose clients use a clock that the test advances.
    pub(crate) async fn by_hand() -> (Place, Hand) {
        let (clock, hand) = Clock::by_hand();
        (Place::with_clock(clock).await, hand)
    }

    /// An edge that delays each response.
    pub(crate) async fn slow(latency: Duration) -> Place {
        let edge = aws::slow(latency).await;
        let clock = Clock::default();
        let aws = client(&edge, &clock).await;
        Place { edge, aws, clock }
    }

    async fn with_clock(clock: Clock) -> Place {
        let edge = aws::edge().await;
        let aws = client(&edge, &clock).await;
        Place { edge, aws, clock }
    }

    /// Makes the distribution of a bucket read cache tags; returns its ID.
    pub(crate) fn tagged_site(&self, bucket: &str) -> String {
        let id = self.edge.ensure_site(bucket).unwrap();
        let mut distribution = self.edge.distribution(&id).unwrap();
        distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
        self.edge.put_distribution(distribution).unwrap();
        id
    }

    /// Runs a deploy to its end.
    pub(crate) async fn deploy(&self, source: &Path, target: &str, options: &[&str]) -> Result<Report, Error> {
        run(settings(source, target, options), self.aws.clone()).await
    }

    /// Shows what a deploy would do.
    pub(crate) async fn plan(&self, source: &Path, target: &str, options: &[&str]) -> Result<Report, Error> {
        let (settings, terminal) = (settings(source, target, options), Terminal::new(Volume::Quiet, true));
        let deploy = Deploy::new(&settings, &self.aws, &terminal, CancellationToken::new());
        let plan = Box::pin(deploy.plan()).await;
        plan.map(|plan| Report::new(plan, &terminal))
    }

    /// Runs a deploy under header rules to its end.
    pub(crate) async fn deploy_under(&self, rules: &[Value], source: &Path, target: &str) -> Result<Report, Error> {
        let rules = rules.iter().map(|rule| HeaderRule::deserialize(rule).unwrap()).collect();
        run(Settings { headers: rules, ..settings(source, target, &[]) }, self.aws.clone()).await
    }

    /// A deploy with its own connections, that ends when it is dropped.
    pub(crate) async fn start(&self, source: &Path, target: &str, options: &[&str]) -> Result<Report, Error> {
        run(settings(source, target, options), client(&self.edge, &self.clock).await).await
    }

    /// Runs a deploy that dies at its `nth` request, before or after that takes effect, and lets the edge answer
    /// again; returns how it ended, if it had no such request.
    pub(crate) async fn crash(
        &self,
        source: &Path,
        target: &str,
        options: &[&str],
        nth: u64,
        after_effect: bool,
    ) -> Option<Result<Report, Error>> {
        self.edge.faults().crash_at(nth, after_effect);
        self.die(source, target, options).await
    }

    /// Runs a deploy until the scripted crash; returns how it ended, if that never came.
    pub(crate) async fn die(&self, source: &Path, target: &str, options: &[&str]) -> Option<Result<Report, Error>> {
        self.until_crash(Box::pin(self.start(source, target, options))).await
    }

    /// Runs a rollback to its end.
    pub(crate) async fn rollback(&self, target: &str, options: &[&str]) -> Result<Report, Error> {
        restore(target, options, self.aws.clone()).await
    }

    /// Runs a rollback that dies at its `nth` request, as [`Place::crash`] does a deploy.
    pub(crate) async fn crash_rollback(
        &self,
        target: &str,
        options: &[&str],
        nth: u64,
        after_effect: bool,
    ) -> Option<Result<Report, Error>> {
        self.edge.faults().crash_at(nth, after_effect);
        let restoring = async { restore(target, options, client(&self.edge, &self.clock).await).await };
        self.until_crash(Box::pin(restoring)).await
    }

    /// Runs work until the scripted crash; returns its result, if that never came.
    pub(crate) async fn until_crash<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        let crash = async {
            while !self.edge.faults().has_crashed() {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        };
        // Its own connections die with it.
        let fate = tokio::select! {
            biased;
            () = crash => None,
            ended = run => Some(ended),
        };
        self.edge.faults().clear();
        self.edge.faults().revive();
        fate
    }

    /// A client with its own connections, which end when it is dropped.
    pub(crate) async fn fresh(&self) -> Aws {
        client(&self.edge, &self.clock).await
    }

    /// Advances the clock past the end of a lease that a dead run holds.
    pub(crate) fn outlive_lease(&self) {
        self.edge.advance_clock(shipfront::record::lease::LEASE + Duration::from_secs(1));
    }

    /// The state of the record of a bucket.
    pub(crate) async fn state(&self, bucket: &str) -> Option<Value> {
        let got = aws::s3(&self.edge).get_object().bucket(bucket).key(".shipfront/state.json").send().await.ok()?;
        let body = got.body.collect().await.unwrap().to_vec();
        Some(serde_json::from_slice(&body).unwrap())
    }

    /// Replaces an object as another tool would.
    pub(crate) async fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>, media_type: &str) {
        let put = aws::s3(&self.edge).put_object().bucket(bucket).key(key).content_type(media_type);
        put.body(body.into().into()).send().await.unwrap();
    }
}

/// Runs a deploy at a place until it ends, possibly by the signal that `stop` represents.
pub(crate) async fn until(
    place: &Place,
    source: &Path,
    target: &str,
    options: &[&str],
    stop: CancellationToken,
) -> Result<Report, Error> {
    stoppable(settings(source, target, options), client(&place.edge, &place.clock).await, stop).await
}

async fn client(edge: &Edge, clock: &Clock) -> Aws {
    let (endpoint_url, clock) = (Some(edge.api_url()), clock.clone());
    Aws::load(&AwsOptions { endpoint_url, local: true, clock, ..AwsOptions::default() }).await.unwrap()
}

fn settings(source: &Path, target: &str, options: &[&str]) -> Settings {
    let line = ["shipfront", "deploy", source.to_str().unwrap(), target].into_iter().chain(options.iter().copied());
    let Command::Deploy(args) = Cli::parse_from(line).command else { panic!("no deploy") };
    config::settings(source.to_owned(), Target::parse(target).unwrap(), &args.options, None).unwrap()
}

async fn run(settings: Settings, aws: Aws) -> Result<Report, Error> {
    stoppable(settings, aws, CancellationToken::new()).await
}

async fn stoppable(settings: Settings, aws: Aws, stop: CancellationToken) -> Result<Report, Error> {
    let terminal = Terminal::new(Volume::Quiet, true);
    let deploy = Deploy::new(&settings, &aws, &terminal, stop);
    let run = Box::pin(deploy.run()).await;
    run.map(|run| Report::new(run, &terminal))
}

/// Promotes a preview at `previews` to the site, with a client.
pub(crate) async fn promote(
    target: &str,
    (name, previews): (&str, &str),
    options: &[&str],
    aws: Aws,
) -> Result<Report, Error> {
    let line = ["shipfront", "promote", name, target].into_iter().chain(options.iter().copied());
    let Command::Promote(args) = Cli::parse_from(line).command else { panic!("no promotion") };
    let settings = config::previews::promote_settings(&args, Target::parse(target).unwrap(), None).unwrap();
    let place = config::previews::target_of(&Target::parse(previews).unwrap(), name).unwrap();
    let choice = Choice::Preview(Promoted { name: name.to_owned(), target: place, deploy: None });
    let terminal = Terminal::new(Volume::Quiet, true);
    let deploy = Deploy::new(&settings, &aws, &terminal, CancellationToken::new());
    let run = Box::pin(deploy.rollback(&Rollback { choice, overwrite_foreign: false, allow_incomplete: false })).await;
    run.map(|run| Report::new(run, &terminal))
}

/// Restores an earlier deploy of a site, with a client.
pub(crate) async fn restore(target: &str, options: &[&str], aws: Aws) -> Result<Report, Error> {
    let line = ["shipfront", "rollback", target].into_iter().chain(options.iter().copied());
    let Command::Rollback(args) = Cli::parse_from(line).command else { panic!("no rollback") };
    let settings = config::history::rollback_settings(&args, Target::parse(target).unwrap(), None).unwrap();
    let terminal = Terminal::new(Volume::Quiet, true);
    let deploy = Deploy::new(&settings, &aws, &terminal, CancellationToken::new());
    let run = Box::pin(deploy.rollback(&config::history::rollback(&args))).await;
    run.map(|run| Report::new(run, &terminal))
}
