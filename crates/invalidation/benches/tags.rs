//! Measures how the choice among tags and paths scales: a tenth of the paths changed, about thirty tags each.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shipfront_invalidation::cover::{Budget, Reach, SitePath};
use shipfront_invalidation::tags::planner::{TaggedPath, cover};
use shipfront_invalidation::tags::{Bytes, Tagger, Tags, Upload};

/// An object of a site: its path, its tags, and whether it changed.
struct Object {
    path: String,
    tags: Tags,
    changed: bool,
}

/// A site after twenty deploys and one more: each changes one section in four to four fifths, and the frequently
/// changed objects in all other sections. `size` objects in forty sections.
fn site(size: usize) -> Vec<Object> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let tagger = Tagger::new("s3://www.example.com");
    let authors = ["lovelace", "hopper", "hamilton", "clarke", "goldberg", "liskov"];
    let mut objects: Vec<(u64, bool, Object)> = (0..size)
        .map(|number| {
            let (section, hot) = (random(40), random(50) == 0);
            let author = authors[random(6) as usize];
            let kind = ["html", "html", "html", "xml", "png"][random(5) as usize];
            let path = format!("/docs/{section}/{}/{author}-on-topic-{number}.{kind}", random(30));
            (section, hot, Object { path, tags: Tags::NONE, changed: false })
        })
        .collect();
    let references = ["css/site.css", "js/site.js", "js/search.js"].map(str::to_owned);
    for deploy in 0..=20_u64 {
        let chosen = random(4);
        for (section, hot, object) in &mut objects {
            let changes = deploy == 0 || *hot || *section % 4 == chosen && *section < 20 && random(5) > 0;
            object.changed = changes && deploy > 0;
            if changes && deploy < 20 {
                let previous = object.tags.clone();
                let bytes = if deploy == 0 { Bytes::New } else { Bytes::Changed { previous: &previous } };
                let id = deploy.to_string();
                let upload = Upload { key: &object.path[1..], references: &references, deploy: &id, bytes };
                object.tags = tagger.tags(&upload);
            }
        }
    }
    objects.into_iter().map(|(.., object)| object).collect()
}

fn scaling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tags");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for size in [1_000, 10_000, 100_000] {
        let site = site(size);
        let paths: Vec<TaggedPath<'_>> = site
            .iter()
            .map(|Object { path, tags, changed }| {
                let path = if *changed { SitePath::changed(path, Reach::Any) } else { SitePath::unchanged(path) };
                TaggedPath { path, tags: tags.as_slice() }
            })
            .collect();
        group.throughput(Throughput::Elements(size as u64));
        for items in [15, 50, 500] {
            let budget = Budget { wildcards: 10, ..Budget::of_items(items) };
            let name = BenchmarkId::new(format!("at most {items} items"), size);
            group.bench_with_input(name, &paths, |bencher, paths| bencher.iter(|| cover(black_box(paths), budget)));
        }
    }
    group.finish();
}

criterion_group!(benches, scaling);
criterion_main!(benches);
