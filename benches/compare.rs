//! Measures how comparing scales: walking a source into S3's key order, the merge of source, target and record, and
//! the digests that compare bytes.

#![expect(clippy::expect_used, reason = "without its files there is nothing to measure")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use shipfront::deploy::diff::join;
use shipfront::deploy::entry::Entry;
use shipfront::deploy::walk::{WalkRules, walk};
use shipfront::record::manifest::Row;
use shipfront::s3::RemoteObject;
use shipfront_site::Key;
use shipfront_site::etag::{self, Etag, md5, multipart, part_size};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Keys as generators name them, in no order.
fn keys(count: usize) -> Vec<String> {
    let name = |number: usize| match number % 5 {
        0 | 1 => format!("blog/{}/{:02}/post-{number}/index.html", 2010 + number % 15, 1 + number % 12),
        2 => format!("docs/topic-{}/page-{number}.html", number % 97),
        3 => format!("assets/chunk-{number:06x}.js"),
        _ => format!("images/{:02}/photo-{number}.webp", number % 53),
    };
    (0..count).map(name).collect()
}

fn key_order(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("walk");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for count in [1_000, 10_000, 50_000] {
        let source = tempfile::tempdir().expect("a directory for the source");
        for key in keys(count) {
            let path = source.path().join(key);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a directory of the source");
            fs::write(path, "x").expect("a file of the source");
        }
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::from_parameter(count), source.path(), |bencher, source| {
            bencher.iter(|| walk(black_box(source), "", &WalkRules::default()));
        });
    }
    group.finish();
}

fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for count in [10_000, 100_000, 1_000_000] {
        let mut keys = keys(count);
        keys.sort_unstable();
        let etag = |key: &str| Etag::Single(md5(key.as_bytes()));
        // Each side lacks one key in a hundred, a different one each.
        let having = |which: usize| keys.iter().enumerate().filter(move |(at, _)| at % 100 != which);
        let files: Vec<Entry> = having(0).map(|(_, key)| Entry::file(key.as_str(), 1000)).collect();
        let objects: Vec<RemoteObject> = having(1)
            .map(|(_, key)| RemoteObject { key: key.clone(), size: 1000, etag: etag(key), modified: 0 })
            .collect();
        let row = |key: &str| Row::new(1000, etag(key));
        let rows: Vec<(Key, Row)> = having(2).map(|(_, key)| (key.as_str().into(), row(key))).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || objects.clone(),
                |objects| join(&files, 0, objects, rows.iter().map(|(key, row)| (key.clone(), row.clone()))),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn hashing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for size in [KIB, 25 * KIB, MIB, 16 * MIB] {
        let bytes = vec![7; size];
        let single = Etag::Single(md5(&bytes));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("single part", size), &bytes, |bencher, bytes| {
            bencher.iter(|| etag::matches(&black_box(bytes)[..], size as u64, &single));
        });
    }
    let size = 40 * MIB;
    let bytes = vec![7; size];
    let digests: Vec<_> = bytes.chunks(part_size(size as u64) as usize).map(md5).collect();
    let parts = multipart(&digests);
    group.throughput(Throughput::Bytes(size as u64));
    // Several part sizes fit the number of parts, and all are tried in one read.
    group.bench_with_input(BenchmarkId::new("three parts", size), &bytes, |bencher, bytes| {
        bencher.iter(|| etag::matches(&black_box(bytes)[..], size as u64, &parts));
    });
    group.finish();
}

criterion_group!(benches, key_order, merge, hashing);
criterion_main!(benches);
