//! Deploys under faults, kills, pauses and hostile records, for any length of time: nothing is lost, nothing stays
//! stale, nothing hangs.
//!
//! `tests/soak/run` starts it and prints its figures. Each round has its own world; what it does depends on its
//! number, so that `SHIPFRONT_SOAK_FIRST=NUMBER` repeats it.

use crate::world::aws::s3;
use crate::world::http::request;
use crate::world::manifest;
use crate::world::site::{BUCKET, TARGET, World, signal};
use fastrand::Rng;
use shipfront_edge::{Fault, Rule};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const STATE: &str = ".shipfront/state.json";
/// What another tool put there: no deploy may touch it.
const FOREIGN: &str = "foreign/report.pdf";
/// A run that takes longer hangs: the longest waits of a deploy for failing requests are shorter.
const LONGEST: Duration = Duration::from_secs(180);
const STEPS: usize = 6;
const OPERATIONS: [&str; 8] = [
    "PutObject",
    "ListObjectsV2",
    "GetObject",
    "DeleteObjects",
    "CreateInvalidation",
    "GetInvalidation",
    "GetDistributionConfig",
    "ListDistributions",
];

#[derive(Debug, Default)]
struct Figures {
    rounds: u64,
    deploys: u64,
    faults: usize,
    kills: u64,
    pauses: u64,
    hostile: u64,
    lost: Vec<String>,
    stale: Vec<String>,
    hung: u64,
}

/// The contents of the source.
type Site = BTreeMap<String, String>;

struct Round {
    world: World,
    rng: Rng,
    site: Site,
    figures: Figures,
}

impl Round {
    async fn new(number: u64) -> Round {
        let mut round = Round {
            world: World::new(&[]).await,
            rng: Rng::with_seed(number),
            site: Site::new(),
            figures: Figures::default(),
        };
        s3(&round.world.edge)
            .put_object()
            .bucket(BUCKET)
            .key(FOREIGN)
            .body(b"of others".to_vec().into())
            .send()
            .await
            .unwrap();
        for _ in 0..12 {
            round.edit();
        }
        round.finish().await;
        round
    }

    /// Changes, adds or removes a file or two.
    fn edit(&mut self) {
        for _ in 0..=self.rng.usize(..3) {
            let number = self.rng.u8(..14);
            let key = match number % 3 {
                0 => format!("assets/{number}.css"),
                1 => format!("blog/{number}/index.html"),
                _ => format!("{number}.html"),
            };
            if self.rng.u8(..4) == 0 && self.site.len() > 5 {
                if self.site.remove(&key).is_some() {
                    self.world.remove(&key);
                }
                continue;
            }
            let body = format!("{key} {}", self.rng.u32(..));
            self.world.write(&key, &body);
            self.site.insert(key, body);
        }
        self.site.entry("index.html".to_owned()).or_insert_with(|| {
            self.world.write("index.html", "welcome");
            "welcome".to_owned()
        });
    }

    fn start(&mut self) -> Child {
        self.figures.deploys += 1;
        let options = ["--prune-after", "0s", "--lock-timeout", "2s", "--wait-timeout", "5s"];
        let mut command = self.world.command(&self.world.arguments("deploy", TARGET, &options));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Waits for a deploy, and ends one that hangs; returns its exit code.
    fn end(&mut self, mut child: Child) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if began.elapsed() > LONGEST {
                self.figures.hung += 1;
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Every viewer requests everything, so that all of it is cached.
    async fn view(&self) -> Vec<(String, String)> {
        let (base, host) =
            (self.world.edge.viewer_url(), format!("{}.localhost", self.world.distribution.to_ascii_lowercase()));
        let mut seen = Vec::new();
        for key in self.site.keys() {
            let answer = request(&base, "GET", &format!("/{key}"), &[("host", &host)]).await;
            seen.push((key.clone(), answer.text()));
        }
        seen
    }

    fn outlive_lease(&self) {
        self.world.edge.advance_clock(shipfront::record::lease::LEASE + Duration::from_secs(1));
    }

    fn random_faults(&mut self) {
        for _ in 0..=self.rng.usize(..4) {
            let fault = match self.rng.u8(..7) {
                0 => Fault::SlowDown,
                1 => Fault::ResetBefore,
                2 => Fault::ResetAfter,
                3 => Fault::TruncateBody,
                4 => Fault::Delay(Duration::from_millis(self.rng.u64(..300))),
                5 => Fault::Error { status: 500, code: "InternalError".into(), message: "again".into() },
                _ => Fault::Error { status: 403, code: "AccessDenied".into(), message: "no".into() },
            };
            let operation = OPERATIONS[self.rng.usize(..OPERATIONS.len())].to_owned();
            let key = (self.rng.u8(..4) == 0).then(|| STATE.to_owned());
            let (skip, count) = (self.rng.u64(..8), self.rng.u64(1..4));
            self.world.edge.faults().add(Rule { operation: Some(operation), key, skip, count, fault });
        }
    }

    async fn step(&mut self) {
        self.view().await;
        self.edit();
        match self.rng.u8(..5) {
            0 => {
                self.random_faults();
                let child = self.start();
                self.end(child);
            }
            1 => {
                let mut child = self.start();
                std::thread::sleep(Duration::from_millis(self.rng.u64(..400)));
                child.kill().unwrap();
                child.wait().unwrap();
                self.figures.kills += 1;
                self.outlive_lease();
            }
            2 => {
                // Stopped for longer than a lease, while another one deploys.
                let paused = self.start();
                std::thread::sleep(Duration::from_millis(self.rng.u64(..300)));
                signal(&paused, "STOP");
                self.figures.pauses += 1;
                self.outlive_lease();
                let other = self.start();
                self.end(other);
                signal(&paused, "CONT");
                self.end(paused);
            }
            3 => self.hostile_record().await,
            _ => {
                let after_effect = self.rng.bool();
                self.world.edge.faults().crash_at(self.rng.u64(1..40), after_effect);
                let mut child = self.start();
                let began = Instant::now();
                while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(3) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let _ = child.kill();
                child.wait().unwrap();
                self.figures.kills += 1;
                self.outlive_lease();
            }
        }
        self.world.edge.faults().clear();
        self.world.edge.faults().revive();
    }

    /// A forged record: a deploy with it refuses, or does no harm; then it is restored.
    async fn hostile_record(&mut self) {
        let records: Vec<String> = self.world.edge.objects(BUCKET).into_iter().map(|object| object.key).collect();
        let records: Vec<String> = records.into_iter().filter(|key| key.starts_with(".shipfront/")).collect();
        let name = records[self.rng.usize(..records.len())].clone();
        let whole = manifest::read(&self.world.edge, BUCKET, &name).await;
        let mut hostile = whole.clone();
        match self.rng.u8(..4) {
            0 => hostile.truncate(whole.len() / 2),
            1 => hostile = b"\x1b[2J\n::error::no record".to_vec(),
            2 => hostile = vec![b'['; 200_000],
            _ => {
                let at = self.rng.usize(..hostile.len());
                hostile[at] ^= 1 << self.rng.u8(..8);
            }
        }
        let before = self.objects();
        self.world.put(&name, hostile).await;
        self.figures.hostile += 1;
        let child = self.start();
        if self.end(child) == Some(6) && self.objects() != before {
            self.figures.lost.push(format!("a refused deploy under a hostile {name} changed the site"));
        }
        // Unless the deploy went through nevertheless, and replaced it.
        let objects = self.world.edge.objects(BUCKET);
        let is_read = self.world.run(&["status", TARGET, "--json"]).exit != 6;
        if !is_read || name != STATE && objects.iter().any(|object| object.key == name) {
            self.world.put(&name, whole).await;
        }
    }

    fn objects(&self) -> Vec<(String, String)> {
        let objects = self.world.edge.objects(BUCKET).into_iter();
        objects
            .filter(|object| !object.key.starts_with(".shipfront/"))
            .map(|object| (object.key, object.etag))
            .collect()
    }

    /// Deploys until that succeeds, and compares what viewers get and what the bucket contains with the source.
    async fn finish(&mut self) {
        self.outlive_lease();
        let mut exits = Vec::new();
        while exits.last() != Some(&Some(0)) && exits.len() < 4 {
            let child = self.start();
            exits.push(self.end(child));
        }
        if exits.last() != Some(&Some(0)) {
            self.figures.lost.push(format!("no deploy succeeds any more: {exits:?}"));
        }
        for (key, body) in self.view().await {
            if self.site[&key] != body {
                self.figures.stale.push(format!("{key}: {body:?} in place of {:?}", self.site[&key]));
            }
        }
        let held: Vec<String> = self.objects().into_iter().map(|(key, _)| key).collect();
        let expected = self.site.keys().cloned().chain([FOREIGN.to_owned()]);
        for key in expected.filter(|key| !held.contains(key)) {
            self.figures.lost.push(key);
        }
        let failed = |status: u16| status == 0 || status >= 500 || status == 403;
        self.figures.faults += self.world.edge.requests().iter().filter(|request| failed(request.status)).count();
        self.world.edge.clear_requests();
    }
}

#[ignore = "for as long as one likes: tests/soak/run"]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_stays_stale() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = Duration::from_secs(number("SHIPFRONT_SOAK_SECONDS").unwrap_or(60));
    let first = number("SHIPFRONT_SOAK_FIRST").unwrap_or(1);
    let (began, mut all) = (Instant::now(), Figures::default());
    while began.elapsed() < limit {
        let seed = first + all.rounds;
        let mut round = Round::new(seed).await;
        for _ in 0..STEPS {
            round.step().await;
        }
        round.finish().await;
        let Figures { deploys, faults, kills, pauses, hostile, lost, stale, hung, .. } = round.figures;
        all.rounds += 1;
        all.deploys += deploys;
        all.faults += faults;
        all.kills += kills;
        all.pauses += pauses;
        all.hostile += hostile;
        all.hung += hung;
        all.lost.extend(lost.into_iter().map(|what| format!("round {seed}: {what}")));
        all.stale.extend(stale.into_iter().map(|what| format!("round {seed}: {what}")));
    }
    let Figures { rounds, deploys, faults, kills, pauses, hostile, lost, stale, hung } = &all;
    println!("soak: {} s, {rounds} rounds from {first}", began.elapsed().as_secs());
    println!("deploys {deploys}, faults {faults}, kills {kills}, pauses {pauses}, hostile records {hostile}");
    println!("lost {}, stale {}, hung {hung}", lost.len(), stale.len());
    assert!(lost.is_empty() && stale.is_empty() && *hung == 0, "{all:#?}");
}
