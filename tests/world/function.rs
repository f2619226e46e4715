//! The binary as a Lambda function: `bootstrap` against a small Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use super::command::{binary, repository};
use super::site::World;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

/// The default time limit of an invocation.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The function's response: a value, or an error with its message.
pub(crate) type Answer = Result<Value, String>;

/// A function's execution environment. Dropping it ends the process.
pub(crate) struct Function {
    child: Child,
    api: Arc<Api>,
    events: mpsc::UnboundedSender<Event>,
    directory: TempDir,
}

struct Event {
    id: String,
    body: Bytes,
    deadline: u128,
    answer: oneshot::Sender<Answer>,
}

struct Api {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    open: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    asked: Notify,
}

impl Function {
    /// Starts the binary under the name that makes it a function, in the world's environment.
    pub(crate) async fn start(world: &World, variables: &[(&str, &str)]) -> Function {
        let directory = tempfile::tempdir().unwrap();
        let bootstrap = directory.path().join("bootstrap");
        symlink(binary(), &bootstrap).unwrap();
        let (sender, receiver) = mpsc::unbounded_channel();
        let api =
            Arc::new(Api { events: tokio::sync::Mutex::new(receiver), open: Mutex::default(), asked: Notify::new() });
        let address = serve(api.clone()).await;
        let mut command = Command::new(bootstrap);
        world.settle(&mut command);
        let log = fs::File::create(directory.path().join("log")).unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "site-shipfront")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("TMPDIR", directory.path().join("tmp"))
            .envs(variables.iter().copied())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log));
        let child = command.spawn().unwrap();
        Function { child, api, events: sender, directory }
    }

    /// Delivers an event, and waits for the response.
    pub(crate) async fn invoke(&self, event: &Value) -> Answer {
        self.invoke_within(event, TIMEOUT).await
    }

    /// The same, with the test's own time limit.
    pub(crate) async fn invoke_within(&self, event: &Value, timeout: Duration) -> Answer {
        self.send(event.to_string().into(), timeout).await
    }

    /// Delivers bytes as an event.
    pub(crate) async fn send(&self, body: Bytes, timeout: Duration) -> Answer {
        let deadline = (SystemTime::now() + timeout).duration_since(UNIX_EPOCH).unwrap().as_millis();
        let id = format!("{:032x}", fastrand::u128(..));
        let (answer, answered) = oneshot::channel();
        self.events.send(Event { id, body, deadline, answer }).map_err(|_| ()).unwrap();
        // Lambda would kill the function at its deadline; here the test fails.
        match tokio::time::timeout(timeout + TIMEOUT, answered).await {
            Ok(Ok(answer)) => answer,
            other => panic!("no answer ({other:?}); the function's log:\n{}", self.log()),
        }
    }

    /// Waits until the function asks for its first event.
    pub(crate) async fn is_ready(&self) {
        self.api.asked.notified().await;
    }

    /// Everything that the function wrote to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The function's own disk.
    pub(crate) fn disk(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An event of the documented shape, from `tests/events/`.
pub(crate) fn event(name: &str) -> Value {
    let path = repository(&format!("tests/events/{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

async fn serve(api: Arc<Api>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let api = api.clone();
            let service = service_fn(move |request| answer(api.clone(), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(api: Arc<Api>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default().to_owned();
    let body = body.collect().await.unwrap().to_bytes();
    let steps: Vec<&str> = path.split('/').collect();
    let mut response = Response::new(Full::default());
    match (&parts.method, steps.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => {
            api.asked.notify_one();
            let Some(event) = api.events.lock().await.recv().await else { return Ok(response) };
            let headers = response.headers_mut();
            headers.insert("lambda-runtime-aws-request-id", event.id.parse().unwrap());
            headers.insert("lambda-runtime-deadline-ms", event.deadline.to_string().parse().unwrap());
            let arn = "arn:aws:lambda:eu-west-1:111122223333:function:site-shipfront";
            headers.insert("lambda-runtime-invoked-function-arn", arn.parse().unwrap());
            *response.body_mut() = Full::new(event.body);
            api.open.lock().unwrap().insert(event.id, event.answer);
        }
        (&Method::POST, ["invocation", id, outcome]) => {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let answer = match *outcome {
                "response" => Ok(value),
                _ => Err(value["errorMessage"].as_str().unwrap_or_default().to_owned()),
            };
            let open = api.open.lock().unwrap().remove(*id);
            let _ = open.unwrap().send(answer);
            *response.status_mut() = hyper::StatusCode::ACCEPTED;
        }
        _ => *response.status_mut() = hyper::StatusCode::NOT_FOUND,
    }
    Ok(response)
}
