//! The embedded local edge: S3, CloudFront's API and a caching front, in one process on loopback.
//!
//! It is a pre-release check and the bed of the tests, not a CDN. Two listeners:
//! - the **API listener** speaks CloudFront's REST API below `/2020-05-31/`, CodePipeline's answers to
//!   jobs by their header, and path-style S3 elsewhere. Any credentials are accepted, also none;
//! - the **viewer listener** serves `http://<distribution id>.localhost:<port>/` through a cache
//!   that follows CloudFront where it is documented, and elsewhere keeps what a tool that
//!   invalidates too little would leave stale (see `cache`); at `http://dashboard.localhost:<port>/` it
//!   shows what is in that cache, and why.
//!
//! Data lives in memory, or in a directory that outlives the process. The cache, invalidations and
//! multipart uploads in progress are always in memory.

mod api;
mod body;
mod bucket;
mod cache;
mod chunked;
mod cloudfront;
mod codepipeline;
mod dashboard;
mod distribution;
mod distributions;
mod error;
mod faults;
mod invalidation;
mod journal;
mod lock;
mod operation;
mod origin;
mod policy;
mod s3;
mod server;
mod store;
mod tenant;
mod timeline;
mod viewer;
mod watch;
mod xml;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcetera::BaseStrategy;
use jiff::Timestamp;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use codepipeline::JobResult;
pub use distribution::{
    CACHING_DISABLED, CACHING_OPTIMIZED, CacheBehavior, CachePolicy, CacheSettings, ConnectionMode, Distribution,
    ErrorResponse, FunctionAssociation, Origin, OriginGroup, OriginKind, QueryStrings,
};
pub use error::EdgeError;
pub use faults::{Fault, Faults, Gate, RecordedRequest, Rule};
pub use invalidation::{Invalidation, InvalidationStatus, Progress};
pub use tenant::Tenant;
pub use timeline::Effect;

use bucket::BucketSettings;
use distributions::Distributions;
use lock::writing;
use store::Store;
use timeline::Timeline;

/// How the edge is started.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    pub data: Data,
    /// 0 takes any free port.
    pub api_port: u16,
    /// 0 takes any free port.
    pub viewer_port: u16,
    /// Added to each API request, as the way to AWS would.
    pub latency: Duration,
}

/// Where buckets and distributions live.
#[derive(Clone, Debug)]
pub enum Data {
    /// Gone with the process.
    Memory,
    /// Found again at the next start. One process at a time.
    Directory(PathBuf),
}

/// An object, for assertions.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectSummary {
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Without quotation marks.
    pub etag: String,
    pub last_modified: Timestamp,
    /// Content headers, `x-amz-meta-*`, redirect and storage class, by lower-case name.
    pub headers: BTreeMap<String, String>,
}

/// Where a local edge that another process runs can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    pub api_url: String,
    pub viewer_url: String,
}

/// What all requests share.
#[derive(Debug)]
struct State {
    store: Arc<Store>,
    distributions: Arc<Distributions>,
    invalidations: invalidation::Invalidations,
    jobs: codepipeline::Jobs,
    cache: cache::Cache,
    faults: Faults,
    trace: faults::Trace,
    timeline: Arc<Timeline>,
    s3: S3,
    latency: Duration,
    started: Instant,
    list_page_size: AtomicUsize,
}

impl State {
    fn list_page_size(&self) -> usize {
        self.list_page_size.load(Ordering::Relaxed)
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
    /// Held as long as the directory is ours.
    _directory: Option<File>,
}

const LOCK_FILE: &str = "lock";
const ADDRESS_FILE: &str = "edge.json";
/// The page of AWS's own lists.
const LIST_PAGE_SIZE: usize = 100;

impl Edge {
    /// Starts both listeners on 127.0.0.1.
    ///
    /// # Errors
    /// A port that is taken; a directory that cannot be written, is damaged, or is in use.
    pub async fn start(options: EdgeOptions) -> Result<Self, EdgeError> {
        let (store, directory, lock) = match &options.data {
            Data::Memory => (Store::in_memory(), None, None),
            Data::Directory(path) => {
                let lock = lock_directory(path)?;
                (Store::open(path)?, Some(path.as_path()), Some(lock))
            }
        };
        let distributions = Distributions::open(directory)
            .map_err(|error| EdgeError::directory(directory.unwrap_or(Path::new("")), error))?;
        let (store, distributions) = (Arc::new(store), Arc::new(distributions));
        let service = || s3::Service { store: Arc::clone(&store), distributions: Arc::clone(&distributions) };
        let state = Arc::new(State {
            store: Arc::clone(&store),
            distributions: Arc::clone(&distributions),
            invalidations: invalidation::Invalidations::default(),
            jobs: codepipeline::Jobs::default(),
            cache: cache::Cache::default(),
            faults: Faults::default(),
            trace: faults::Trace::default(),
            timeline: Arc::clone(store.timeline()),
            s3: S3(S3ServiceBuilder::new(service()).build()),
            latency: options.latency,
            started: Instant::now(),
            list_page_size: AtomicUsize::new(LIST_PAGE_SIZE),
        });
        let (api, api_url) = listen(options.api_port).await?;
        let (viewer, viewer_url) = listen(options.viewer_port).await?;
        if let Some(directory) = directory {
            let running = Running { api_url: api_url.clone(), viewer_url: viewer_url.clone() };
            let path = directory.join(ADDRESS_FILE);
            let text = serde_json::to_vec(&running).map_err(io::Error::other);
            text.and_then(|text| fs::write(&path, text)).map_err(|error| EdgeError::directory(&path, error))?;
        }
        let api_state = Arc::clone(&state);
        let viewer_state = Arc::clone(&state);
        let tasks = vec![
            tokio::spawn(server::serve(api, move |request| api::answer(Arc::clone(&api_state), request))),
            tokio::spawn(server::serve(viewer, move |request| {
                let state = Arc::clone(&viewer_state);
                async move { Ok(viewer::answer(&state, request).await) }
            })),
        ];
        Ok(Self { state, service: service(), api_url, viewer_url, tasks, _directory: lock })
    }

    /// The directory that holds the data of the user's own local edge.
    ///
    /// # Errors
    /// When no home directory is known.
    pub fn default_directory() -> Result<PathBuf, EdgeError> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| EdgeError::NoHome)?;
        Ok(strategy.data_dir().join("shipfront").join("edge"))
    }

    /// The local edge of another process that has `directory` open; `None` when there is none.
    #[must_use]
    pub fn running(directory: &Path) -> Option<Running> {
        let lock = File::open(directory.join(LOCK_FILE)).ok()?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let text = fs::read(directory.join(ADDRESS_FILE)).ok()?;
                serde_json::from_slice(&text).ok()
            }
            _ => None,
        }
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

    /// `http://dashboard.localhost:<port>/`, where a browser sees what is at the edge that serves `viewer_url`.
    #[must_use]
    pub fn dashboard_of(viewer_url: &str) -> String {
        viewer_url.replace("127.0.0.1", dashboard::HOST_NAME) + "/"
    }

    /// Writes a line into the log that the dashboard shows.
    pub fn note(&self, text: &str) {
        self.state.timeline.watch.note(text);
    }

    /// From now on, the distributions of new buckets rewrite directories to their index.html.
    pub fn rewrite_indexes(&self) {
        self.state.distributions.index_rewrite.store(true, Ordering::Relaxed);
    }

    /// Makes the bucket and its distribution when they are missing; the distribution's id.
    ///
    /// # Errors
    /// A name that S3 would not take, or a disk that does not.
    pub fn ensure_site(&self, bucket: &str) -> Result<String, EdgeError> {
        use s3s::validation::{AwsNameValidation, NameValidation};
        if !AwsNameValidation::new().validate_bucket_name(bucket) {
            return Err(EdgeError::BucketName(bucket.to_owned()));
        }
        self.service.create(bucket).map_err(EdgeError::Write)
    }

    /// The distribution with this id.
    #[must_use]
    pub fn distribution(&self, id: &str) -> Option<Distribution> {
        self.state.distributions.get(id)
    }

    /// All distributions, in the order in which they came to be.
    #[must_use]
    pub fn distributions(&self) -> Vec<Distribution> {
        self.state.distributions.all()
    }

    /// Adds or replaces a distribution, and gives it another ETag.
    ///
    /// # Errors
    /// A behaviour whose target does not exist, or a disk that does not take the change.
    pub fn put_distribution(&self, distribution: Distribution) -> Result<(), EdgeError> {
        self.state.distributions.put(distribution).map_err(EdgeError::Write)
    }

    /// Says whether the configuration of a distribution is still on its way to the edges, which until then
    /// read no cache tags.
    pub fn set_deploying(&self, id: &str, deploying: bool) {
        self.state.distributions.set_deploying(id, deploying);
    }

    /// Forgets a distribution.
    ///
    /// # Errors
    /// A disk that does not take the change.
    pub fn remove_distribution(&self, id: &str) -> Result<(), EdgeError> {
        self.state.distributions.remove(id).map_err(EdgeError::Write)
    }

    /// Adds or replaces a tenant of a distribution.
    ///
    /// # Errors
    /// A distribution that does not exist, or a disk that does not take the change.
    pub fn put_tenant(&self, tenant: Tenant) -> Result<(), EdgeError> {
        if self.distribution(&tenant.distribution_id).is_none() {
            return Err(EdgeError::NoSuchDistribution(tenant.distribution_id));
        }
        self.state.distributions.put_tenant(tenant).map_err(EdgeError::Write)
    }

    /// Chooses the distribution that answers on hosts that name none; the first one until then.
    ///
    /// # Errors
    /// A distribution that does not exist, or a disk that does not take the change.
    pub fn set_default(&self, id: &str) -> Result<(), EdgeError> {
        if self.distribution(id).is_none() {
            return Err(EdgeError::NoSuchDistribution(id.to_owned()));
        }
        self.state.distributions.set_default(id).map_err(EdgeError::Write)
    }

    /// Adds or replaces a cache policy, for this process.
    pub fn put_cache_policy(&self, policy: CachePolicy) {
        self.state.distributions.put_policy(policy);
    }

    /// The objects of a bucket in the order of their keys' bytes; none when it does not exist.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> Vec<ObjectSummary> {
        let objects = self.state.store.bucket(bucket).map(|bucket| bucket.all());
        let objects = objects.unwrap_or_default().into_iter();
        let summaries = objects.map(|(key, object)| ObjectSummary {
            key,
            size: object.body.size(),
            etag: object.etag.clone(),
            last_modified: Timestamp::from_second(object.modified).unwrap_or_default(),
            headers: object.headers.clone(),
        });
        summaries.collect()
    }

    /// Gives a bucket a region: requests signed for another are answered 301, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_bucket_region(&self, bucket: &str, region: &str) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.region = Some(region.to_owned()))
    }

    /// Makes ETags of later writes say nothing of the bytes, as SSE-KMS does, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_opaque_etags(&self, bucket: &str, opaque: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.opaque_etags = opaque)
    }

    /// Makes the origin answer 403 for a missing key, as without `s3:ListBucket`, and not 404.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_missing_forbidden(&self, bucket: &str, forbidden: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.missing_is_forbidden = forbidden)
    }

    /// Makes writes succeed whatever their conditions say, as some other stores do, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_ignore_conditions(&self, bucket: &str, ignore: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.ignores_conditions = ignore)
    }

    /// Makes each page of a listing come backwards, as no page of S3 does, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_lists_backwards(&self, bucket: &str, backwards: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.lists_backwards = backwards)
    }

    /// Lets objects have ACLs, as buckets of before 2023 do, for this process.
    ///
    /// # Errors
    /// A bucket that does not exist.
    pub fn set_acls(&self, bucket: &str, acls: bool) -> Result<(), EdgeError> {
        self.settings(bucket, |settings| settings.acls = acls)
    }

    fn settings(&self, bucket: &str, change: impl FnOnce(&mut BucketSettings)) -> Result<(), EdgeError> {
        let missing = |_| EdgeError::NoSuchBucket(bucket.to_owned());
        let found = self.state.store.bucket(bucket).map_err(missing)?;
        change(&mut writing(&found.settings));
        Ok(())
    }

    /// The fault script.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The latest API requests in the order of their arrival, those that were reset too.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.trace.all()
    }

    /// Forgets the requests so far; their numbers go on.
    pub fn clear_requests(&self) {
        self.state.trace.clear();
    }

    /// The invalidations of a distribution or of a tenant, in the order of their acceptance.
    #[must_use]
    pub fn invalidations(&self, distribution: &str) -> Vec<Invalidation> {
        self.state.invalidations.list(distribution)
    }

    /// The answers to CodePipeline's jobs, by the job's id, in the order in which they came.
    #[must_use]
    pub fn job_results(&self) -> Vec<(String, JobResult)> {
        self.state.jobs.all()
    }

    /// How long later invalidations are in progress. The default is until the first poll.
    pub fn set_invalidation_progress(&self, progress: Progress) {
        self.state.invalidations.set_progress(progress);
    }

    /// Answers `TooManyInvalidationsInProgress` past so many items in progress a distribution.
    pub fn limit_invalidations_in_progress(&self, items: Option<usize>) {
        self.state.invalidations.limit_in_progress(items);
    }

    /// How many distributions or invalidations one page of a list holds, at most.
    pub fn set_list_page_size(&self, size: usize) {
        self.state.list_page_size.store(size.max(1), Ordering::Relaxed);
    }

    /// Puts the clock forward: of the cache, of invalidations, and what S3 says of the time and of
    /// when it stored what comes later.
    pub fn advance_clock(&self, by: Duration) {
        self.state.timeline.advance(by);
    }

    /// What changed objects and cached copies, in the order in which it did, whether or not
    /// anybody got an answer.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state.timeline.effects()
    }

    /// Forgets what changed so far.
    pub fn clear_effects(&self) {
        self.state.timeline.clear_effects();
    }

    /// Closes both listeners and waits until they are closed.
    pub async fn stop(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in std::mem::take(&mut self.tasks) {
            // Cancelled, which is what was asked for.
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

fn lock_directory(path: &Path) -> Result<File, EdgeError> {
    fs::create_dir_all(path).map_err(|error| EdgeError::directory(path, error))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK_FILE))
        .map_err(|error| EdgeError::directory(path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EdgeError::DirectoryInUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(EdgeError::directory(path, error)),
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
