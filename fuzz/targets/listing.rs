//! A listing from any server: parsed keys are below the prefix, and the listing ends.

use shipfront::aws::{Aws, AwsOptions};
use shipfront::clock::Clock;
use shipfront::s3::{Bucket, Start};
use shipfront_site::Target;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Runtime;

const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

/// A server that answers every request with the same bytes, and a bucket that sends requests to it.
struct World {
    runtime: Runtime,
    bucket: Bucket,
    answer: Arc<Mutex<Vec<u8>>>,
}

fn world() -> World {
    let answer = Arc::new(Mutex::new(EMPTY.as_bytes().to_vec()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let served = answer.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = served.clone();
            std::thread::spawn(move || serve(stream, &served));
        }
    });
    // There is no wait before a retry.
    let (clock, hand) = Clock::by_hand();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            hand.advance(Duration::from_secs(1));
        }
    });
    let runtime = Runtime::new().unwrap();
    let bucket = runtime.block_on(async {
        let options = AwsOptions { endpoint_url: Some(endpoint), local: true, clock, ..AwsOptions::default() };
        let target = Target::parse("s3://www.example.com/blog").unwrap();
        Bucket::open(&Aws::load(&options).await.unwrap(), &target, None, async |_| Ok(())).await.unwrap().0
    });
    World { runtime, bucket, answer }
}

/// One persistent connection. No request has a body.
fn serve(stream: TcpStream, answer: &Mutex<Vec<u8>>) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        while !lines.next()?.ok()?.is_empty() {}
        let body = answer.lock().unwrap().clone();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n", body.len());
        out.write_all(&[head.as_bytes(), &body].concat()).ok()?;
    }
}

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(world);
    *world.answer.lock().unwrap() = bytes.to_vec();
    let Ok(page) = world.runtime.block_on(world.bucket.list(Start::Beginning)) else { return };
    let text = String::from_utf8_lossy(bytes);
    assert!(page.objects.len() <= text.matches("Contents").count());
    assert!(page.next.is_none() || text.contains("true"));
    // A listing that leads back to itself is an error, not an endless loop.
    if let Some(next) = page.next {
        assert!(world.runtime.block_on(world.bucket.list(Start::Token(next))).is_err());
    }
}
