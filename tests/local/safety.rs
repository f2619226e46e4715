//! The local edge on a machine with other users, and next to a browser that shows pages of others.

use super::Machine;
use crate::world::aws;
use crate::world::command::run;
use crate::world::http::send;
use shipfront_edge::Edge;
use std::path::Path;

/// The status of a request that a web page may make a browser send, with these headers.
async fn status(edge: &Edge, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    send(&edge.api_url(), method, path, headers, body).await.unwrap().status
}

#[tokio::test]
async fn no_page_on_the_web_can_change_anything() {
    let edge = aws::edge().await;
    let distribution = edge.ensure_site("site").unwrap();
    let batch = b"<InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>/*</Path></Items></Paths>\
        <CallerReference>one</CallerReference></InvalidationBatch>";
    let invalidation = format!("/2020-05-31/distribution/{distribution}/invalidation");
    let delete = b"<Delete><Object><Key>index.html</Key></Object></Delete>";
    let requests: [(&str, &str, &[u8]); 5] = [
        ("PUT", "/site/index.html", b"welcome"),
        ("POST", &invalidation, batch),
        ("POST", "/site?delete", delete),
        ("POST", "/site/big.bin?uploads", b""),
        ("DELETE", "/site/index.html", b""),
    ];
    let page = ("content-type", "text/plain");
    let ours = ("x-shipfront-edge", "1");
    for (method, path, body) in requests {
        for headers in [&[page][..], &[page, ("origin", "https://evil.example")], &[ours, ("origin", "null")]] {
            assert_eq!(status(&edge, method, path, headers, body).await, 403, "{method} {path} {headers:?}");
        }
    }
    assert!(edge.objects("site").is_empty() && edge.invalidations(&distribution).is_empty());
    // No site gets permission to send such headers.
    let asked = [("origin", "https://evil.example"), ("access-control-request-method", "PUT")];
    let answer = send(&edge.api_url(), "OPTIONS", "/site/index.html", &asked, b"").await.unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), None);
    // A request with the header, or from an AWS client, is answered.
    assert_eq!(status(&edge, "PUT", "/site/index.html", &[ours], b"welcome").await, 200);
    assert_eq!(status(&edge, "POST", &invalidation, &[("x-amz-date", "20261126T120000Z")], batch).await, 201);
    assert_eq!(status(&edge, "GET", "/site/index.html", &[], b"").await, 200);
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn its_data_is_the_owners_alone() {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new();
    let deploy = |directory: &Path| {
        let mut command = machine.command(&["deploy", "SITE", "--local"]);
        run(command.env("SHIPFRONT_EDGE_DIRECTORY", directory)).ended_with(0);
    };
    let at = |name: &str| machine.directory().join(name);
    deploy(&at("deep/edge"));
    assert_eq!((mode(&at("deep/edge")), mode(&at("deep"))), (0o700, 0o700));
    // Created by an earlier version.
    set_permissions(at("deep/edge"), Permissions::from_mode(0o755)).unwrap();
    deploy(&at("deep/edge"));
    assert_eq!(mode(&at("deep/edge")), 0o700);
    // Somebody's own folder stays as it is.
    create_dir(at("mine")).unwrap();
    set_permissions(at("mine"), Permissions::from_mode(0o755)).unwrap();
    write(at("mine/file"), "mine").unwrap();
    deploy(&at("mine"));
    assert_eq!(mode(&at("mine")), 0o755);
    // Its contents are closed nevertheless.
    assert_eq!((mode(&at("mine/bodies")), mode(&at("mine/buckets"))), (0o700, 0o700));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_to_its_data_is_not_followed() {
    let machine = Machine::new();
    let data = machine.directory().join("above/edge");
    std::fs::create_dir_all(&data).unwrap();
    let link = machine.site().join("deep/link");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    for to in [data.clone(), data.parent().unwrap().to_owned()] {
        std::os::unix::fs::symlink(to, &link).unwrap();
        let run = |options: &[&str]| {
            let mut command = machine.command(&[&["deploy", "SITE", "--local"], options].concat());
            run(command.env("SHIPFRONT_EDGE_DIRECTORY", &data))
        };
        run(&["--follow-links"]).ended_with(6).says("overlap");
        run(&[]).ended_with(0);
        std::fs::remove_file(&link).unwrap();
    }
}

#[test]
fn a_source_that_holds_its_data_is_refused_before_there_is_any() {
    let machine = Machine::new();
    let inside = machine.site().join("data/edge");
    for command in ["deploy", "plan"] {
        let mut command = machine.command(&[command, "SITE", "--local"]);
        let refused = run(command.env("SHIPFRONT_EDGE_DIRECTORY", &inside)).ended_with(6);
        refused.says("overlap");
        refused.says("hint: name another source, or set SHIPFRONT_EDGE_DIRECTORY");
    }
    let mut preview = machine.command(&["preview", "SITE"]);
    run(preview.env("SHIPFRONT_EDGE_DIRECTORY", &inside)).ended_with(6);
    assert!(!inside.exists() && !machine.site().join("data").exists());
    // And a source that is a part of the data.
    let mut command = machine.command(&["deploy", "SITE", "--local"]);
    run(command.env("SHIPFRONT_EDGE_DIRECTORY", machine.directory())).ended_with(6);
}
