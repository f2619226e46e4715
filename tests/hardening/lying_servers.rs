//! Servers that answer as none of AWS's does: endlessly, or with names that cannot go into a request.

use super::bombs::peak;
use crate::world::command::{binary, clean, run as run_to_end};
use crate::world::site::finish;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

/// A server that answers every request with this, followed by endless bytes if requested; returns its URL.
fn serve(start: String, is_endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let start = start.clone();
            std::thread::spawn(move || answer(stream, &start, is_endless));
        }
    });
    url
}

/// Reads a request, and answers. A client that has enough closes the connection.
fn answer(mut stream: TcpStream, start: &str, is_endless: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.write_all(start.as_bytes())?;
    if is_endless {
        loop {
            stream.write_all(&[b' '; 1 << 16])?;
        }
    }
    Ok(())
}

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = clean(binary());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).env("AWS_ENDPOINT_URL", url);
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env("AWS_REGION", "us-east-1");
    command
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_without_end_is_given_up_in_little_memory() {
    let url = serve("<a>".to_owned(), true);
    for arguments in [&["status", "s3://www.example.com"][..], &["invalidate", "/a", "--wait-timeout", "5s"]] {
        let mut child = command(&url, arguments).spawn().unwrap();
        let took = peak(&mut child);
        let run = finish(child);
        assert!(matches!(run.exit, 1 | 4), "{arguments:?}: {} {}", run.exit, run.stderr);
        assert!(took < 250, "{arguments:?} took {took} MiB");
    }
}

#[test]
fn names_of_which_no_request_can_be_made_end_a_run_in_a_line() {
    let long = "x".repeat(70_000);
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("index.html"), "welcome").unwrap();
    let source = source.path().to_str().unwrap();
    let plan = ["plan", source, "s3://www.example.com", "--no-record", "--distribution", "none"];
    let list = |more: &str| format!("<ListBucketResult><Name>www.example.com</Name>{more}</ListBucketResult>");
    let key = format!("<Contents><Key>{long}</Key><Size>7</Size><ETag>x</ETag></Contents>");
    let token = format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{long}</NextContinuationToken>");
    let marker = format!(
        "<DistributionList><Marker></Marker><NextMarker>{long}</NextMarker><MaxItems>1</MaxItems>\
         <IsTruncated>true</IsTruncated><Quantity>0</Quantity></DistributionList>"
    );
    let invalidation = format!("<Invalidation><Id>{long}</Id><Status>InProgress</Status></Invalidation>");
    let typed = ["invalidate", "/a", "--distribution", "E1", "--wait-timeout", "1s"];
    for (answer, arguments, exit, said) in [
        (list(&key), &plan[..], 1, "names longer than S3's"),
        (list(&token), &plan, 1, "names longer than S3's"),
        (marker, &["invalidate", "/a"], 1, "after an invalid ID"),
        (invalidation, &typed, 4, "names no invalidation"),
    ] {
        let run = run_to_end(&mut command(&serve(answer, false), arguments)).ended_with(exit);
        run.says(said);
        assert!(run.stderr.len() < 1000, "{run:?}");
    }
    run_to_end(&mut command("http://127.0.0.1:9", &["invalidate", "/a", "--distribution", &long])).ended_with(2);
}
