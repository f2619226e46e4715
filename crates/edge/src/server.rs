//! A loopback HTTP listener: one task per connection, all of which end with the listener.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long to pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The connection breaks instead of a response.
#[derive(Debug, thiserror::Error)]
#[error("the fault script broke the connection")]
pub(super) struct Reset;

impl From<Infallible> for Reset {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The number of a request's connection, from 1, as an extension of the request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionNumber(pub(super) u64);

/// Accepts connections forever; drop or abort it to stop.
pub(super) async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Reset>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let mut connections = JoinSet::new();
    let mut accepted_so_far = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // For example, out of file descriptors: the next one may succeed once others are closed.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                accepted_so_far += 1;
                let number = ConnectionNumber(accepted_so_far);
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    let service = service_fn(|mut request: Request<Incoming>| {
                        request.extensions_mut().insert(number);
                        let handler = Arc::clone(&handler);
                        async move {
                            if is_loopback(request.headers()) {
                                handler(request).await
                            } else {
                                Ok(refuse())
                            }
                        }
                    });
                    let mut server = http1::Builder::new();
                    // There is no timer, and only this machine could be slow.
                    server.header_read_timeout(None);
                    // A broken connection is the client's own problem.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The host that a request names, in lowercase and without its port.
pub(super) fn host_name(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?.to_ascii_lowercase();
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    Some(host[..end].to_owned())
}

/// A web page could make its own host name resolve to this machine; it cannot choose `Host`.
fn is_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = host_name(headers) else {
        return false;
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| IpAddr::V4(address).is_loopback())
}

fn refuse() -> Response<Body> {
    let text = "The local edge answers on loopback host names only.\n";
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_loopback_hosts_are_answered() {
        let allowed = |host: &'static str| is_loopback(&HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]));
        for host in ["127.0.0.1:80", "127.1.2.3", "localhost:1", "LOCALHOST", "e1.localhost:9", "[::1]:8"] {
            assert!(allowed(host), "{host}");
        }
        for host in ["example.com", "128.0.0.1", "localhost.example.com", "[::2]", "notlocalhost", "127.0.0.1.nip.io"] {
            assert!(!allowed(host), "{host}");
        }
        assert!(!is_loopback(&HeaderMap::new()));
    }
}
