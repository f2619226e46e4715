//! Measures how the cover scales with the size of a site: a tenth of its paths changed, budgets of 15, 50 and 500
//! items including 10 wildcards; more wildcards, and paths that only wildcards clear.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shipfront_invalidation::cover::{Budget, Reach, SitePath, cover};

/// A site's paths in order, each with whether it changed: a blog, versioned documentation, tag pages, scripts and
/// images. Two thirds of the changes are consecutive, as when a section is rebuilt; the rest are scattered.
fn site(size: usize) -> Vec<(String, bool)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut paths: Vec<String> = (0..size)
        .map(|number| match random(10) {
            0..4 => {
                let (year, month, day) = (2010 + random(16), 1 + random(12), 1 + random(28));
                format!("/blog/{year}/{month:02}/{day:02}/release-notes-{number}/index.html")
            }
            4..7 => format!("/docs/{}.{}/guide/chapter-{}/page-{number}.html", random(4), random(20), random(40)),
            7 => format!("/tags/{:x}/{number}/", random(512)),
            8 => format!("/assets/js/chunk-{:08x}.{number}.js", random(1 << 32)),
            _ => format!("/images/Fotos%20{}/bild-{number}%C3%A9.png", random(200)),
        })
        .collect();
    paths.sort_unstable();
    let mut run = 0_u64;
    paths
        .into_iter()
        .map(|path| {
            if run == 0 && random(600) == 0 {
                run = 20 + random(40);
            }
            let in_run = run > 0;
            run = run.saturating_sub(1);
            (path, in_run || random(28) == 0)
        })
        .collect()
}

/// Paths with query strings in the cache key, so that only a wildcard clears a page: for no, few, half of the, or
/// all pages.
fn site_paths<'a>(site: &'a [(String, bool)], forced: &str) -> Vec<SitePath<'a>> {
    let is_forced = |at: usize| {
        forced == "all" || forced == "half" && at.is_multiple_of(2) || forced == "few" && at.is_multiple_of(200)
    };
    let path = |(at, (path, changed)): (usize, &'a (String, bool))| match changed {
        true if is_forced(at) => SitePath::changed(path, Reach::WildcardOnly { limit: path.len() - 1 }),
        true => SitePath::changed(path, Reach::Any),
        false => SitePath::unchanged(path),
    };
    site.iter().enumerate().map(path).collect()
}

fn wildcards(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wildcards");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for size in [1_500, 1_000_000] {
        let site = site(size);
        for forced in ["none", "few", "half", "all"] {
            let paths = site_paths(&site, forced);
            for wildcards in [10, 24, 30, 45] {
                let budget = Budget { wildcards, forced_wildcards: 30, ..Budget::of_items(500) };
                let name = BenchmarkId::new(format!("{wildcards} of 500 items, {forced} forced"), size);
                group.bench_with_input(name, &paths, |bencher, paths| bencher.iter(|| cover(black_box(paths), budget)));
            }
        }
    }
    group.finish();
}

fn scaling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cover");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let site = site(size);
        let paths = site_paths(&site, "none");
        group.throughput(Throughput::Elements(size as u64));
        for items in [15, 50, 500] {
            let budget = Budget { wildcards: 10, ..Budget::of_items(items) };
            let name = BenchmarkId::new(format!("at most {items} items"), size);
            group.bench_with_input(name, &paths, |bencher, paths| bencher.iter(|| cover(black_box(paths), budget)));
        }
    }
    group.finish();
}

criterion_group!(benches, scaling, wildcards);
criterion_main!(benches);
