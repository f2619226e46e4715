//! S3, CloudFront and their faults in one process on loopback, for testing tools that deploy to them.
//!
//! A tool that uploads a site and invalidates what changed has its bugs between the two services: a page that stays
//! stale, an invalidation lost in a crash, a quota first exceeded in production. A mock of a client library hides
//! them. This crate is the other end: the tool sends it HTTP requests with AWS's own SDK, and a test sees what a
//! viewer sees.
//!
//! An [`Edge`] has two listeners on 127.0.0.1:
//! - the **API listener** ([`Edge::api_url`]) serves CloudFront's REST API below `/2020-05-31/`, CodePipeline's job
//!   results (recognized by their header), and path-style S3 elsewhere. Any credentials are accepted, or none; a
//!   request that changes something must have a header `x-amz-*`, `authorization` or `x-shipfront-edge`, which no
//!   web page can make a browser send here;
//! - the **viewer listener** ([`Edge::viewer_url`]) serves `http://<distribution id>.localhost:<port>/` through a
//!   cache that follows CloudFront's documentation and, where that is silent, keeps everything that a tool that
//!   invalidates too little would leave stale. `http://localhost:<port>/` is one of the distributions
//!   ([`Edge::show`]), and `http://localhost:<port>/.shipfront/dashboard/` shows the contents of that cache, and
//!   why they are there.
//!
//! Each bucket has a distribution from the start, with `index.html` as its default root object.
//!
//! ```
//! use shipfront_edge::{Edge, EdgeOptions};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # /// Sends one request over plain HTTP and returns the body of the response.
//! # async fn http(method: &str, base: &str, path: &str, body: &str) -> std::io::Result<String> {
//! #     let address = base.trim_start_matches("http://");
//! #     let mut stream = tokio::net::TcpStream::connect(address).await?;
//! #     let length = body.len();
//! #     let head = format!("host: {address}\r\nx-shipfront-edge: 1\r\ncontent-length: {length}");
//! #     let request = format!("{method} {path} HTTP/1.0\r\n{head}\r\n\r\n{body}");
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await?;
//! #     Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let edge = Edge::start(EdgeOptions::default()).await?;
//! let distribution = edge.ensure_site("www.example.com")?;
//! let (api, viewers) = (edge.api_url(), edge.viewer_url());
//!
//! // AWS's SDK with the endpoint `api` sends the same requests as plain HTTP.
//! http("PUT", &api, "/www.example.com/index.html", "the first page").await?;
//! assert_eq!(http("GET", &viewers, "/", "").await?, "the first page");
//!
//! // Viewers get the cached copy until an invalidation covers each URL that it answers.
//! http("PUT", &api, "/www.example.com/index.html", "the second page").await?;
//! assert_eq!(http("GET", &viewers, "/", "").await?, "the first page");
//! assert!(edge.cached(&distribution)[0].outdated);
//!
//! let batch = "<InvalidationBatch><Paths><Quantity>2</Quantity><Items><Path>/</Path>\
//!     <Path>/index.html</Path></Items></Paths><CallerReference>one</CallerReference></InvalidationBatch>";
//! http("POST", &api, &format!("/2020-05-31/distribution/{distribution}/invalidation"), batch).await?;
//! assert_eq!(http("GET", &viewers, "/", "").await?, "the second page");
//!
//! assert_eq!(edge.evictions(&distribution)[0].answered, ["/", "/index.html"]);
//! let requests: Vec<String> = edge.requests().into_iter().map(|request| request.operation).collect();
//! assert_eq!(requests, ["PutObject", "PutObject", "CreateInvalidation"]);
//! # Ok(())
//! # }
//! ```
//!
//! Methods of [`Edge`] set up and inspect what the two services' own calls cannot:
//! - distributions, as in CloudFront: [`Edge::put_distribution`], [`Edge::put_tenant`], [`Edge::put_cache_policy`];
//! - CloudFront Functions, which run if the crate is built with the feature `functions`: [`Edge::put_function`],
//!   [`Function::run`], [`Edge::put_key_value_store`];
//! - faults, counted and never random: [`Edge::faults`] can break the third upload, lose a response, or crash
//!   between two requests;
//! - quotas and time: [`Edge::set_invalidation_quotas`] with CloudFront's current and earlier rules,
//!   [`Edge::set_invalidation_progress`], [`Edge::stop_clock`], [`Edge::advance_clock`];
//! - what CloudFront's documentation leaves open: [`Edge::set_readings`], or [`Edge::follow`] for what was found
//!   out about it;
//! - what happened: [`Edge::requests`], [`Edge::effects`], [`Edge::invalidations`], [`Edge::objects`],
//!   [`Edge::cached`], [`Edge::evictions`].
//!
//! Data is stored in memory, or in a directory that outlives the process ([`Data`]). The cache, invalidations,
//! multipart uploads in progress and old versions of objects are always in memory.
//!
//! It is neither a CDN nor a proof. It has one edge location, no IAM and no TLS, accepts any signature, and answers
//! as AWS documents; where the documentation is silent, the source code says what was chosen.
//!
//! The feature `functions` requires a C compiler for its engine, QuickJS; without it, functions are stored and
//! listed but not run. The feature `cli` builds the program `shipfront-edge`, for tools that are not written in
//! Rust.

#![warn(missing_docs)]

mod alteration;
mod api;
mod body;
mod bucket;
mod cache;
mod chunked;
mod cloudfront;
mod codepipeline;
mod dashboard;
mod directory;
mod distribution;
mod distributions;
mod engine;
mod error;
mod evictions;
pub mod evidence;
mod faults;
mod functions;
mod hosting;
mod invalidation;
mod invocation;
mod journal;
mod key_values;
mod lock;
mod operation;
mod origin;
mod policy;
mod previews;
mod quotas;
mod recording;
mod s3;
mod server;
mod store;
mod tenant;
pub mod testing;
mod timeline;
mod trace;
mod versions;
mod viewer;
mod watch;
mod xml;

use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use crate::testing::{BucketContents, CachedCopy, ObjectSummary};
pub use alteration::Alteration;
pub use bucket::CopyConditions;
pub use codepipeline::JobResult;
pub use dashboard::history::{DeployHistory, HistoryReader, PastDeploy};
pub use directory::Running;
pub use distribution::{
    CACHING_DISABLED, CACHING_OPTIMIZED, CacheBehavior, CachePolicy, CacheSettings, ConnectionMode, Distribution,
    ErrorResponse, FunctionAssociation, Origin, OriginGroup, OriginKind, QueryStrings,
};
pub use error::EdgeError;
pub use evictions::Eviction;
pub use evidence::{Evidence, Readings};
pub use faults::{Fault, Faults, Gate, Rule};
pub use functions::{Function, Stage};
pub use hosting::FunctionsOfBucket;
pub use invalidation::{Invalidation, InvalidationStatus, Progress};
pub use key_values::KeyValueStore;
pub use previews::PREVIEWS_SUFFIX;
pub use quotas::{InProgressQuota, LoadRefusal, QuotaScope, Quotas, RateQuota, RequestQuota, TokenBucket};
pub use recording::RECORDING_VARIABLE;
pub use tenant::Tenant;
pub use timeline::Effect;
pub use trace::{RecordedRequest, RequestCounts};

use distributions::Distributions;
use store::Store;
use timeline::Timeline;

/// How to start the edge. The default is in memory, on any free ports, without latency.
#[derive(Clone, Debug, Default)]
pub struct EdgeOptions {
    /// Where buckets and distributions are stored.
    pub data: Data,
    /// 0 chooses any free port.
    pub api_port: u16,
    /// 0 chooses any free port.
    pub viewer_port: u16,
    /// Added to each API request, like the distance to AWS.
    pub latency: Duration,
}

/// Where buckets and distributions are stored.
#[derive(Clone, Debug, Default)]
pub enum Data {
    /// In memory, lost with the process.
    #[default]
    Memory,
    /// In a directory, available at the next start. One process at a time.
    Directory(PathBuf),
}

/// The state that all requests share.
#[derive(Debug)]
struct State {
    store: Arc<Store>,
    distributions: Arc<Distributions>,
    functions: Arc<functions::Functions>,
    key_value_stores: key_values::KeyValueStores,
    invalidations: invalidation::Invalidations,
    jobs: codepipeline::Jobs,
    cache: cache::Cache,
    evictions: evictions::Evictions,
    faults: Faults,
    trace: trace::Trace,
    timeline: Arc<Timeline>,
    s3: S3,
    latency: Duration,
    started: Instant,
    list_page_size: AtomicUsize,
    readings: RwLock<Readings>,
    recording: RwLock<Option<Arc<recording::Recording>>>,
    history: RwLock<Option<HistoryReader>>,
}

impl State {
    fn list_page_size(&self) -> usize {
        self.list_page_size.load(Ordering::Relaxed)
    }

    fn readings(&self) -> Readings {
        *lock::reading(&self.readings)
    }
}

/// The S3 protocol in front of the store.
struct S3(S3Service);

impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("S3")
    }
}

/// A running local edge. Dropping it closes both listeners.
#[derive(Debug)]
pub struct Edge {
    state: Arc<State>,
    service: s3::Service,
    api_url: String,
    viewer_url: String,
    tasks: Vec<JoinHandle<()>>,
    /// Held as long as this process owns the directory.
    _directory: Option<directory::Lock>,
}

/// The page size of AWS's own lists.
const LIST_PAGE_SIZE: usize = 100;

impl Edge {
    /// Starts both listeners on 127.0.0.1, and the viewer listener also on ::1 if available, because `localhost`
    /// may be either.
    ///
    /// # Errors
    /// A port that is in use; a directory that cannot be written, is damaged, or is in use.
    pub async fn start(options: EdgeOptions) -> Result<Self, EdgeError> {
        let (store, directory, lock) = match &options.data {
            Data::Memory => (Store::in_memory(), None, None),
            Data::Directory(path) => {
                let lock = directory::lock(path)?;
                (Store::open(path)?, Some(path.as_path()), Some(lock))
            }
        };
        let unusable = |error| EdgeError::directory(directory.unwrap_or(Path::new("")), error);
        let distributions = Distributions::open(directory).map_err(unusable)?;
        let functions = Arc::new(functions::Functions::open(directory).map_err(unusable)?);
        let key_value_stores = key_values::KeyValueStores::open(directory).map_err(unusable)?;
        let (store, distributions) = (Arc::new(store), Arc::new(distributions));
        let hosting = Arc::new(hosting::Hosting::new(&distributions, &functions));
        let service = || s3::Service { store: Arc::clone(&store), hosting: Arc::clone(&hosting) };
        let state = Arc::new(State {
            store: Arc::clone(&store),
            distributions: Arc::clone(&distributions),
            functions,
            key_value_stores,
            invalidations: invalidation::Invalidations::default(),
            jobs: codepipeline::Jobs::default(),
            cache: cache::Cache::default(),
            evictions: evictions::Evictions::default(),
            faults: Faults::default(),
            trace: trace::Trace::default(),
            timeline: Arc::clone(store.timeline()),
            s3: S3(S3ServiceBuilder::new(service()).build()),
            latency: options.latency,
            started: Instant::now(),
            list_page_size: AtomicUsize::new(LIST_PAGE_SIZE),
            readings: RwLock::default(),
            recording: RwLock::new(recording::Recording::of_environment()?.map(Arc::new)),
            history: RwLock::default(),
        });
        let (api, api_url) = listen(options.api_port).await?;
        let (viewer, viewer_on_6, viewer_url) = listen_for_viewers(options.viewer_port).await?;
        if let Some(directory) = directory {
            let running = Running { api_url: api_url.clone(), viewer_url: viewer_url.clone() };
            directory::write_address(directory, &running)?;
        }
        let api_state = Arc::clone(&state);
        let mut tasks =
            vec![tokio::spawn(server::serve(api, move |request| api::answer(Arc::clone(&api_state), request)))];
        for listener in [Some(viewer), viewer_on_6].into_iter().flatten() {
            let state = Arc::clone(&state);
            tasks.push(tokio::spawn(server::serve(listener, move |request| {
                let state = Arc::clone(&state);
                async move { Ok(viewer::answer(&state, request).await) }
            })));
        }
        Ok(Self { state, service: service(), api_url, viewer_url, tasks, _directory: lock })
    }

    /// `http://127.0.0.1:<port>` of S3 and of CloudFront's API.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.api_url.clone()
    }

    /// `http://127.0.0.1:<port>` of the default distribution.
    #[must_use]
    pub fn viewer_url(&self) -> String {
        self.viewer_url.clone()
    }

    /// `http://localhost:<port>/.shipfront/dashboard/`, where a browser shows the state of the edge that serves
    /// `viewer_url`.
    #[must_use]
    pub fn dashboard_of(viewer_url: &str) -> String {
        viewer_url.replace("127.0.0.1", "localhost") + dashboard::PATH
    }

    /// Writes a line to the log on the dashboard.
    pub fn note(&self, text: &str) {
        self.state.timeline.watch.note(text);
    }

    /// Adds a deploy's explanations of its invalidation to the dashboard: what an item does, and why a key was
    /// changed.
    pub fn explain(
        &self,
        invalidation: &str,
        effect: impl Fn(&str) -> Option<String>,
        reason: impl Fn(&str) -> Option<&'static str>,
    ) {
        self.state.timeline.watch.explain(invalidation, effect, reason);
    }

    /// From now on, the dashboard shows the deploys in the deploy records.
    pub fn show_history(&self, reader: HistoryReader) {
        *lock::writing(&self.state.history) = Some(reader);
    }

    /// Creates the bucket and its distribution if they do not exist; returns the distribution's ID.
    ///
    /// # Errors
    /// A name that S3 would not accept, or a disk that refuses the change.
    pub fn ensure_site(&self, bucket: &str) -> Result<String, EdgeError> {
        use s3s::validation::{AwsNameValidation, NameValidation};
        if !AwsNameValidation::new().validate_bucket_name(bucket) {
            return Err(EdgeError::BucketName(bucket.to_owned()));
        }
        self.service.create(bucket).map_err(EdgeError::Write)
    }

    /// From now on, the distribution of each bucket has its own functions, which deploys to it may replace.
    ///
    /// # Errors
    /// A function that CloudFront would not accept, or a disk that refuses the change.
    pub fn host_sites(&self, functions: FunctionsOfBucket) -> Result<(), EdgeError> {
        self.service.hosting.begin(functions).map_err(EdgeError::Write)
    }

    /// Closes both listeners and waits until they are closed.
    pub async fn stop(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in std::mem::take(&mut self.tasks) {
            // An error means that it was cancelled, as requested.
            let _ = task.await;
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(port: u16) -> Result<(TcpListener, String), EdgeError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => EdgeError::PortTaken { port },
        _ => EdgeError::Listen { port, source },
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

/// Number of attempts to find a port that is free on both addresses.
const TRIES: usize = 8;

/// The viewer listener, and its twin on ::1 with the same port, so that `localhost` is never another program there.
async fn listen_for_viewers(port: u16) -> Result<(TcpListener, Option<TcpListener>, String), EdgeError> {
    let mut tries = 1;
    loop {
        let (listener, url) = listen(port).await?;
        let found = listener.local_addr().map_err(|source| EdgeError::Listen { port, source })?.port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, found)).await {
            Ok(twin) => return Ok((listener, Some(twin), url)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => match port {
                0 if tries < TRIES => tries += 1,
                _ => return Err(EdgeError::PortTaken { port: found }),
            },
            // A machine without IPv6.
            Err(_) => return Ok((listener, None, url)),
        }
    }
}
