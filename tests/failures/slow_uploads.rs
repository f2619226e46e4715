//! A connection that takes nothing for seconds, because it is slow or shared: the upload goes on once it does.

use crate::world::site::{TARGET, World, run};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What passes before the connection takes nothing, in bytes: more than any request but a large upload has.
const PASSES: u64 = 1 << 20;
/// Longer than the SDK lets a body stall, unless it is told otherwise: a second after five.
const NOTHING: Duration = Duration::from_secs(8);
/// What the system may hold of a connection, in bytes: a part is larger, so it cannot be sent meanwhile.
const RECEIVED_AHEAD: u32 = 64 << 10;

/// A way to the edge on which each connection takes nothing for a while; returns its URL.
fn slow_way(edge: String) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVED_AHEAD).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(64).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(accept(listener, edge));
    url
}

async fn accept(listener: TcpListener, edge: String) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(pass(client, edge.clone()));
    }
}

async fn pass(client: TcpStream, edge: String) -> std::io::Result<()> {
    let server = TcpStream::connect(edge).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    if copy(&mut (&mut from_client).take(PASSES), &mut to_server).await? == PASSES {
        tokio::time::sleep(NOTHING).await;
    }
    copy(&mut from_client, &mut to_server).await?;
    to_server.shutdown().await?;
    answers.await?.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_go_on_for_seconds_is_not_given_up() {
    let world = World::new(&[("index.html", "welcome")]).await;
    world.write("film.webm", vec![7; 33 << 20]);
    let edge = world.edge.api_url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut command = world.command(&world.arguments("deploy", TARGET, &[]));
    let url = slow_way(edge);
    let done = tokio::task::spawn_blocking(move || run(command.env("AWS_ENDPOINT_URL", url)));
    let report = done.await.unwrap().expect(0);
    assert_eq!((report.outcome(), world.keys().len()), ("deployed", 2));
    assert_eq!(world.count("UploadPart"), 3, "none is sent twice");
}
