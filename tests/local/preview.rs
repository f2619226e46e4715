//! `preview` serves what was deployed, and later deploys go through it.

use super::Machine;
use crate::world::command::{Run, run};
use crate::world::http::{Answer, request};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Only ends a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `shipfront preview SITE --port 0`.
pub(crate) struct Preview {
    child: Child,
    lines: Receiver<String>,
    /// Its output until it was ready.
    said: String,
    /// `host:port` of the site, as printed.
    pub(super) authority: String,
}

impl Preview {
    pub(crate) fn start(machine: &Machine) -> Preview {
        Preview::start_with(machine, &[])
    }

    /// With more options.
    pub(super) fn start_with(machine: &Machine, options: &[&str]) -> Preview {
        let mut command = machine.command(&[&["preview", "SITE", "--port", "0"], options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut preview = Preview { child, lines, said: String::new(), authority: String::new() };
        while !["After a change: ", "Watching "].iter().any(|ready| preview.said.contains(ready)) {
            match preview.lines.recv_timeout(PATIENCE) {
                Ok(line) => preview.said += &format!("{line}\n"),
                Err(error) => panic!("preview is not ready ({error}): {}", preview.said),
            }
        }
        preview.authority = preview.url_after("Site:      http://").trim_end_matches('/').to_owned();
        preview
    }

    /// Its output until it was ready.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// Where the dashboard is.
    pub(crate) fn dashboard_url(&self) -> String {
        format!("http://localhost:{}/.shipfront/dashboard/", self.authority.rsplit(':').next().unwrap())
    }

    pub(super) fn url_after(&self, label: &str) -> String {
        let (_, rest) = self.said.split_once(label).unwrap_or_else(|| panic!("no {label:?} in {}", self.said));
        rest.split([' ', ',', '\n']).next().unwrap().to_owned()
    }

    /// The path from a browser's point of view: the distribution's name resolves to loopback.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let port = self.authority.rsplit(':').next().unwrap();
        request(&format!("http://127.0.0.1:{port}"), "GET", path, &[("host", &self.authority)]).await
    }

    fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it ends.
    fn end(mut self) -> Run {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        let rest: Vec<String> = self.lines.iter().collect();
        Run { code, stdout, stderr: format!("{}{}", self.said, rest.join("\n")) }
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        // Already ended, most of the time.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cache(answer: &Answer) -> &str {
    answer.header("x-cache").unwrap_or_default().split(' ').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_page_is_served_at_the_urls_that_people_use() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    for (path, key, kind) in [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/index.html", "index.html", "text/html; charset=utf-8"),
        ("/docs/the-lens/", "docs/the-lens/index.html", "text/html; charset=utf-8"),
        ("/downloads/press%20kit.txt", "downloads/press kit.txt", "text/plain; charset=utf-8"),
        ("/blog/caf%C3%A9-men%C3%BC.html", "blog/café-menü.html", "text/html; charset=utf-8"),
        ("/assets/site.dfd3853c.css", "assets/site.dfd3853c.css", "text/css; charset=utf-8"),
        ("/assets/logo.svg", "assets/logo.svg", "image/svg+xml; charset=utf-8"),
        ("/images/greywick-light.png", "images/greywick-light.png", "image/png"),
        ("/site.webmanifest", "site.webmanifest", "application/manifest+json; charset=utf-8"),
    ] {
        let answer = preview.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, std::fs::read(machine.site().join(key)).unwrap(), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
    let missing = preview.get("/nothing/here.html").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.body, std::fs::read(machine.site().join("404.html")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_an_extension_is_served_and_a_directory_leads_to_its_slash() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.site().join(".well-known")).unwrap();
    for key in [".well-known/apple-app-site-association", "apple-app-site-association", "CNAME", "feed", "docs/LICENSE"]
    {
        machine.write(key, key);
    }
    let preview = Preview::start(&machine);
    for key in [".well-known/apple-app-site-association", "apple-app-site-association", "CNAME", "feed", "docs/LICENSE"]
    {
        let answer = preview.get(&format!("/{key}")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, key));
    }
    for (path, location) in [
        ("/docs/the-lens", "/docs/the-lens/"),
        ("/blog?utm_source=x&a=1", "/blog/?utm_source=x&a=1"),
        // Never to another host.
        ("//www.example.com/blog", "//www.example.com/blog/"),
    ] {
        let answer = preview.get(path).await;
        let location = format!("http://{}{location}", preview.authority);
        assert_eq!((answer.status, answer.header("location")), (301, Some(location.as_str())), "{path}");
        // The next site has the same address.
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(preview.get("/.well-known/nothing").await.status, 404);
    // An edit of such a file is served, and the path does not become a directory once it is gone.
    machine.write("CNAME", "another");
    machine.deploy();
    assert_eq!(preview.get("/CNAME").await.text(), "another");
    std::fs::remove_file(machine.site().join("CNAME")).unwrap();
    machine.deploy();
    assert_eq!(preview.get("/CNAME/").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_the_site_that_was_previewed_last_whoever_serves_it() {
    let machine = Machine::new();
    let second = machine.directory().join("second");
    std::fs::create_dir(&second).unwrap();
    std::fs::write(second.join("index.html"), "the second site").unwrap();
    let second = second.to_str().unwrap();
    machine.deploy();
    machine.run(&["deploy", second, "--local"]).ended_with(0);

    let preview = Preview::start(&machine);
    let home = std::fs::read(machine.site().join("index.html")).unwrap();
    assert!(preview.authority.starts_with("localhost:"), "{}", preview.authority);
    assert_eq!(preview.get("/").await.body, home);
    // Some tools use one loopback address for `localhost`, some the other.
    let port = preview.authority.rsplit(':').next().unwrap().to_owned();
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let answer = request(&format!("http://[::1]:{port}"), "GET", "/", &[("host", &preview.authority)]).await;
        assert_eq!(answer.body, home);
    }
    // A deploy of another site does not replace it, and says where it is.
    let deployed = machine.run(&["deploy", second, "--local"]).ended_with(0);
    assert!(deployed.stdout.contains(".localhost:"), "{deployed:?}");
    assert_eq!(preview.get("/").await.body, home);
    // A preview does, even if this process serves it.
    let joined = machine.run(&["preview", second]).ended_with(0);
    joined.says(&format!("Site:      http://{}/", preview.authority));
    assert_eq!(preview.get("/").await.text(), "the second site");
    let first = machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    assert!(!first.stdout.contains("http://localhost"), "{first:?}");
    machine.run(&["preview", "SITE"]).ended_with(0).says(&format!("Site:      http://{}/", preview.authority));
    assert_eq!(preview.get("/").await.body, home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_goes_through_the_running_preview_and_is_seen_at_once() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    for path in ["/about/", "/", "/blog/", "/assets/logo.svg"] {
        assert_eq!(cache(&preview.get(path).await), "Miss", "{path}");
        assert_eq!(cache(&preview.get(path).await), "Hit", "{path}");
    }

    machine.write("about/index.html", "<!doctype html><title>About</title><p>New.</p>");
    let deployed = machine.run(&["deploy", "SITE", "--local"]).ended_with(0);
    deployed.says("Using the local edge at http://127.0.0.1:");
    assert!(deployed.stdout.contains("Deployed 1 change"), "{deployed:?}");
    assert!(deployed.stdout.trim_end().ends_with(&format!("http://{}/", preview.authority)), "{deployed:?}");

    let seen = preview.get("/about/").await;
    assert!(seen.text().contains("New."), "{}", seen.text());
    assert_eq!(cache(&seen), "Miss");
    for path in ["/", "/blog/", "/assets/logo.svg"] {
        assert_eq!(cache(&preview.get(path).await), "Hit", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_preview_says_who_serves_and_ends() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    let second = machine.run(&["preview", "SITE"]).ended_with(0);
    second.says("They are served by another shipfront");
    second.says(&preview.authority);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_tools_address_speaks_s3() {
    let machine = Machine::new();
    let preview = Preview::start(&machine);
    let api = preview.url_after("API:       ");
    let list = request(&api, "GET", "/", &[]).await;
    assert_eq!(list.status, 200);
    assert!(list.text().contains("<ListAllMyBucketsResult"), "{}", list.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_preview_cleanly_and_its_data_stays() {
    for name in ["TERM", "INT"] {
        let machine = Machine::new();
        let preview = Preview::start(&machine);
        preview.signal(name);
        assert_eq!(preview.end().code, Some(0), "SIG{name}");
        assert_eq!(machine.deploy()["outcome"], "nothing-to-do", "SIG{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_preview_leaves_nothing_in_the_way_and_nothing_is_lost() {
    let machine = Machine::new();
    let mut preview = Preview::start(&machine);
    preview.child.kill().unwrap();
    assert_eq!(preview.end().code, None);
    let report = machine.deploy();
    assert_eq!(report["outcome"], "nothing-to-do", "{report:#}");
}

#[test]
fn a_port_in_use_is_reported_with_a_hint() {
    let machine = Machine::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = run(&mut machine.command(&["preview", "SITE", "--port", &port])).ended_with(1);
    refused.says(&format!("port {port} is taken"));
    refused.says("hint: ");
    refused.says("--port");
}

/// On that port, `localhost` would be another program for a tool that resolves it to ::1.
#[test]
fn a_port_that_another_program_has_on_the_other_loopback_address_is_taken() {
    let Ok(taken) = std::net::TcpListener::bind("[::1]:0") else { return };
    let machine = Machine::new();
    let port = taken.local_addr().unwrap().port().to_string();
    run(&mut machine.command(&["preview", "SITE", "--port", &port]))
        .ended_with(1)
        .says(&format!("port {port} is taken"));
}
