//! Files of the record that are small in the bucket and would use all memory once they are read.

use crate::world::manifest;
use crate::world::site::{BUCKET, TARGET, World, denied, finish};
use flate2::{Compress, Compression, FlushCompress};
use std::process::Child;
use std::time::Duration;

const SITE: [(&str, &str); 2] = [("a.css", "a{}"), ("index.html", "welcome")];
const STATE: &str = ".shipfront/state.json";

/// A gzip file of a few megabytes that begins with `start` and then has this many megabytes of one byte.
fn bomb(start: &[u8], byte: u8, megabytes: usize) -> Vec<u8> {
    let deflated = |bytes: &[u8]| {
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        // A full flush: the same bytes may be repeated any number of times.
        Compress::new(Compression::best(), false).compress_vec(bytes, &mut out, FlushCompress::Full).unwrap();
        out
    };
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    out.extend(deflated(start));
    out.extend(deflated(&vec![byte; 1 << 20]).repeat(megabytes));
    // The last block, empty, and a wrong checksum: nothing should read this far.
    out.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// The peak memory of a process, in MiB.
pub(super) fn peak(child: &mut Child) -> u64 {
    let (status, mut peak) = (format!("/proc/{}/status", child.id()), 0);
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) / 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn starts_like(kind: &str) -> Vec<u8> {
    format!("{{\"shipfront\":\"{kind}\",\"format\":1,\"deploy\":\"d1\"}}\n").into_bytes()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_unpacks_to_gigabytes_is_refused_in_little_memory() {
    let world = World::deployed(&SITE).await;
    world.write("index.html", "an edit");
    world.fault("CreateInvalidation", 0, 1, denied());
    world.deploy(&[]).expect(4);
    let (key, plan) = manifest::named(&world.edge, BUCKET).await;
    let state = manifest::read(&world.edge, BUCKET, STATE).await;
    let mut long_state = state.clone();
    long_state.extend(vec![b' '; 300 << 20]);
    let row = b"{\"key\":\"a\",\"size\":1,\"etag\":\"x\",\"more\":[";
    let line = |kind: &str| bomb(&starts_like(kind), b'7', 3072);
    // Endless rows: the first is not a row, so it is refused at once if lines are bounded.
    let cases = [
        ("a line of 3 GB in a manifest", &key, line("manifest")),
        ("a line of 3 GB in a plan", &plan, line("plan")),
        ("lines of 3 GB in a manifest", &key, bomb(&starts_like("manifest"), b'\n', 3072)),
        ("a field of 3 GB", &key, bomb(&[starts_like("manifest").as_slice(), row].concat(), b'[', 3072)),
        ("a first line of 3 GB", &key, bomb(b"{", b' ', 3072)),
    ];
    for (what, name, bytes) in cases {
        assert!(bytes.len() < 8 << 20, "{what}: {} bytes", bytes.len());
        let before = manifest::read(&world.edge, BUCKET, name).await;
        world.put(name, bytes).await;
        for command in ["deploy", "plan", "status", "doctor"] {
            let arguments = match command {
                "deploy" | "plan" => world.arguments(command, TARGET, &[]),
                other => vec![other, TARGET, "--json"],
            };
            let mut child = world.command(&arguments).spawn().unwrap();
            let took = peak(&mut child);
            let run = finish(child);
            let expected = if command == "doctor" { 1 } else { 6 };
            assert_eq!(run.exit, expected, "{what}, {command}: {}", run.stderr);
            assert!(took < 250, "{what}: {command} took {took} MiB");
        }
        world.put(name, before).await;
    }
    world.put(STATE, long_state).await;
    let mut child = world.command(&world.arguments("plan", TARGET, &[])).spawn().unwrap();
    let took = peak(&mut child);
    finish(child).expect(6).says("has more than 1048576 bytes");
    assert!(took < 250, "a state of 300 MB: {took} MiB");
    world.put(STATE, state).await;
    world.deploy(&[]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_settings_without_end_is_refused() {
    let world = World::new(&SITE).await;
    let file = world.outside().join("endless.toml");
    std::fs::write(&file, vec![b'#'; 5 << 20]).unwrap();
    let arguments = world.arguments("plan", TARGET, &["--config", file.to_str().unwrap()]);
    world.run(&arguments).expect(2).says("has more than");
}
