//! Stores that answer without end, or with names of others: a run ends, and touches nothing that is not its own.

use super::{FOLDER, TARGET, attempt, trial};
use crate::world::aws;
use crate::world::site::{ALWAYS, BUCKET, World, run};
use shipfront_edge::{Alteration, Fault};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Pages of a listing that are read of the folder (`src/commands/conformance/trial.rs`).
const PAGES: usize = 100;
/// Bytes that are read of an object (`src/s3/trial.rs`).
const MOST_READ: usize = 32 << 20;
/// What the sockets of a connection may hold beside.
const IN_SOCKETS: usize = 16 << 20;

fn answers(from: &str, to: &str) -> Alteration {
    Alteration { answer_text: vec![(from.to_owned(), to.to_owned())], ..Alteration::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_end_is_given_up_and_what_was_written_is_removed() {
    let world = World::new(&[]).await;
    // The first two find the bucket, and see that the folder is empty. Then no two tokens are the same.
    for page in 0..3 * PAGES as u64 {
        let last = "<IsTruncated>false</IsTruncated>";
        let next =
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>token-{page}</NextContinuationToken>");
        let without_query = vec!["continuation-token".to_owned()];
        let endless = Alteration { without_query, ..answers(last, &next) };
        world.fault("ListObjectsV2", 2 + page, 1, Fault::Alter(Box::new(endless)));
    }
    let run = attempt(&world, &["--check", "create-only"]).expect(1);
    assert!(run.json["warnings"].to_string().contains("has no end"), "{}", run.stdout);
    assert_eq!(world.count("ListObjectsV2"), 2 + PAGES);
    assert_eq!(world.edge.objects(BUCKET).len(), 0, "its keys are known without a listing");
}

/// The edge behind a server that answers each `GetObject` with bytes without end; where it can be reached, and how many
/// bytes it sent.
async fn endless(edge: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, edge.clone(), counted.clone()));
        }
    });
    (url, sent)
}

/// One request a connection.
async fn answer(mut client: TcpStream, edge: String, sent: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    if text.starts_with("GET ") && text.contains("x-id=GetObject") {
        client.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\netag: \"0\"\r\n\r\n").await?;
        // Not without end after all: a run that reads on is to fail, and not to fill the machine.
        while sent.load(Ordering::Relaxed) < 2 * (MOST_READ + IN_SOCKETS) {
            client.write_all(&[b'x'; 1 << 16]).await?;
            sent.fetch_add(1 << 16, Ordering::Relaxed);
        }
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(edge.trim_start_matches("http://")).await?;
    server.write_all(text.trim_end().as_bytes()).await?;
    server.write_all(b"\r\nconnection: close\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_end_is_given_up() {
    let world = World::new(&[]).await;
    let (url, sent) = endless(world.edge.api_url()).await;
    let arguments = ["conformance", TARGET, "--name", "t", "--yes", "--json", "--check", "written-is-read"];
    let mut command = world.command(&arguments);
    command.env("AWS_ENDPOINT_URL", url);
    let run = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap().expect(7);
    assert!(run.stdout.contains("more bytes than were ever written"), "{}", run.stdout);
    let sent = sent.load(Ordering::Relaxed);
    assert!((MOST_READ..MOST_READ + IN_SOCKETS).contains(&sent), "{sent} bytes were taken");
    assert_eq!(world.edge.objects(BUCKET).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_of_keys_that_nobody_asked_about_are_left_where_they_are() {
    let world = trial().await;
    let others =
        [format!("{FOLDER}listing-is-complete/others"), format!("{FOLDER}listing-is-complete/../../page.html")];
    let marked: String = others
        .iter()
        .map(|key| {
            format!(
                "<Deleted><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v1</DeleteMarkerVersionId>\
                 <Key>{key}</Key></Deleted>"
            )
        })
        .collect();
    let more = answers("</DeleteResult>", &format!("{marked}</DeleteResult>"));
    world.fault("DeleteObjects", 0, ALWAYS, Fault::Alter(Box::new(more)));
    attempt(&world, &["--check", "listing-is-complete"]).expect(0);
    let requests = world.edge.requests();
    let mut keys = requests.iter().flat_map(|request| request.key.iter().chain(&request.items));
    assert!(!keys.any(|key| others.contains(key)), "{requests:?}");
    // The markers of its own deletions are not left.
    let versions = aws::s3(&world.edge).list_object_versions().bucket(BUCKET).send().await.unwrap();
    assert_eq!(versions.delete_markers().len() + versions.versions().len(), 0, "{versions:?}");
}
