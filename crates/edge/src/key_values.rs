//! Key-value stores of CloudFront Functions, and the API of their contents (`cloudfront-keyvaluestore`).
//!
//! Sources:
//! <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_Operations_Amazon_CloudFront_KeyValueStore.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html#limits-keyvaluestores>.
//! A request needs a signature of version 4A, for all regions; only its form is checked. AWS accepts no other
//! version (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/kvs-with-functions-kvp.html>).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use jiff::Timestamp;
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use s3s::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::directory;
use crate::distribution::identifier;
use crate::invalidation::Refusal;
use crate::lock::{reading, writing};
use crate::xml::query_parameter;

/// The prefix of every path of the API.
const PREFIX: &str = "/key-value-stores/";
/// Maximum sizes of a key, of a value, and of all of them together, in bytes.
const LONGEST_KEY: usize = 512;
const LONGEST_VALUE: usize = 1024;
const LARGEST_STORE: usize = 5 * 1024 * 1024;
/// Maximum number of keys in one update, and its maximum size in bytes.
const LARGEST_UPDATE: usize = 50;
const LARGEST_UPDATE_BODY: usize = 3 * 1024 * 1024;
/// The page size of a list, unless the client chooses another.
const PAGE: usize = 10;

/// A key-value store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyValueStore {
    /// Unique.
    pub name: String,
    /// A description.
    pub comment: String,
    /// The ARN, which identifies the store in requests for its contents.
    pub arn: String,
    /// The values that functions read.
    #[serde(with = "shared")]
    pub values: Arc<BTreeMap<String, String>>,
    pub(super) etag: String,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

/// Serializes shared values as if they were not shared.
mod shared {
    use super::{Arc, BTreeMap};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        values: &Arc<BTreeMap<String, String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        values.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<BTreeMap<String, String>>, D::Error> {
        BTreeMap::deserialize(deserializer).map(Arc::new)
    }
}

impl KeyValueStore {
    /// The ID at the end of the ARN.
    pub(super) fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    fn size(&self) -> usize {
        self.values.iter().map(|(key, value)| key.len() + value.len()).sum()
    }
}

/// All stores, in order of creation.
#[derive(Debug)]
pub(super) struct KeyValueStores {
    all: RwLock<Vec<KeyValueStore>>,
    path: Option<PathBuf>,
}

/// An ID in the form of AWS's, which depends only on `seed`.
fn uuid(seed: &str) -> String {
    let number = u128::from_be_bytes(Md5::digest(seed).into());
    let digits = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

impl KeyValueStores {
    /// Loads the stores in `directory`; without one, they are kept in memory.
    pub(super) fn open(directory: Option<&Path>) -> io::Result<Self> {
        let path = directory.map(|directory| directory.join("key-value-stores.json"));
        let all = path.as_deref().map(directory::kept).transpose()?.flatten().unwrap_or_default();
        Ok(Self { all: RwLock::new(all), path })
    }

    /// The store of this name.
    pub(super) fn named(&self, name: &str) -> Option<KeyValueStore> {
        reading(&self.all).iter().find(|store| store.name == name).cloned()
    }

    /// The store with this ARN.
    pub(super) fn at(&self, arn: &str) -> Option<KeyValueStore> {
        reading(&self.all).iter().find(|store| store.arn == arn).cloned()
    }

    /// Adds a store, or replaces its contents.
    pub(super) fn put(
        &self,
        name: &str,
        comment: &str,
        values: BTreeMap<String, String>,
        now: Timestamp,
    ) -> io::Result<KeyValueStore> {
        let id = uuid(&format!("key-value store {name}"));
        let store = KeyValueStore {
            name: name.to_owned(),
            comment: comment.to_owned(),
            arn: format!("arn:aws:cloudfront::000000000000:key-value-store/{id}"),
            etag: identifier(&format!("{now} {values:?}")),
            values: Arc::new(values),
            created: now,
            modified: now,
        };
        self.change(|all| {
            all.retain(|old| old.name != name);
            all.push(store.clone());
        })?;
        Ok(store)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<KeyValueStore>)) -> io::Result<()> {
        let mut all = writing(&self.all);
        let mut changed = all.clone();
        change(&mut changed);
        if let Some(path) = &self.path {
            directory::keep(path, &changed)?;
        }
        *all = changed;
        Ok(())
    }

    /// Puts and deletes atomically, if the store is what the client expects.
    fn update(&self, arn: &str, if_match: &str, update: Update, now: Timestamp) -> Result<KeyValueStore, Refusal> {
        let store = self.at(arn).ok_or_else(missing)?;
        if store.etag != if_match {
            return Err(Refusal::new(409, "ConflictException", "The ETag is not that of the key-value store."));
        }
        let mut values = store.values.as_ref().clone();
        for deleted in update.deletes {
            if values.remove(&deleted.key).is_none() {
                return Err(Refusal::new(
                    404,
                    "ResourceNotFoundException",
                    format!("There is no key {}.", deleted.key),
                ));
            }
        }
        for put in update.puts {
            if put.key.is_empty() || put.key.len() > LONGEST_KEY || put.value.len() > LONGEST_VALUE {
                let message =
                    format!("A key has at most {LONGEST_KEY} bytes, and a value at most {LONGEST_VALUE}: {}.", put.key);
                return Err(Refusal::new(400, "ValidationException", message));
            }
            values.insert(put.key, put.value);
        }
        let etag = identifier(&format!("{} {now} {values:?}", store.etag));
        let changed = KeyValueStore { values: Arc::new(values), etag, modified: now, ..store };
        if changed.size() > LARGEST_STORE {
            let message = format!("The key-value store would be larger than {LARGEST_STORE} bytes.");
            return Err(Refusal::new(402, "ServiceQuotaExceededException", message));
        }
        let kept = self.change(|all| {
            if let Some(old) = all.iter_mut().find(|old| old.arn == arn) {
                *old = changed.clone();
            }
        });
        kept.map_err(|error| Refusal::new(500, "InternalServerException", error.to_string()))?;
        Ok(changed)
    }
}

/// The request body of `UpdateKeys`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Update {
    puts: Vec<Put>,
    deletes: Vec<Delete>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    key: String,
}

/// A request, by AWS's name for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// The ARN of the store.
    pub(super) store: String,
    key: Option<String>,
}

/// The operation of a path; `None` for a path of another service.
pub(super) fn operation(method: &Method, path: &str) -> Option<Operation> {
    let rest = path.strip_prefix(PREFIX)?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // Some clients send the slash within an ARN unencoded, others as a triplet.
    let (store, rest) = match rest.find("/keys") {
        Some(at) => (decoded(&rest[..at]), &rest[at..]),
        None => (decoded(rest), ""),
    };
    if !store.starts_with("arn:") {
        return None;
    }
    let key = rest.strip_prefix("/keys/").map(decoded);
    let name = match (method.as_str(), rest, &key) {
        ("GET", "", _) => "DescribeKeyValueStore",
        ("GET", "/keys", _) => "ListKeys",
        ("POST", "/keys", _) => "UpdateKeys",
        ("GET", _, Some(_)) => "GetKey",
        _ => "Unknown",
    };
    Some(Operation { name, store, key })
}

/// Whether a request is signed as only this API of CloudFront requires.
pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    let is_4a = |value: &HeaderValue| value.as_bytes().starts_with(b"AWS4-ECDSA-P256-SHA256 ");
    headers.get(AUTHORIZATION).is_some_and(is_4a) && headers.contains_key("x-amz-region-set")
}

/// Answers a request; adds the keys of an `UpdateKeys` to `items` for the trace.
pub(super) fn answer(
    stores: &KeyValueStores,
    operation: &Operation,
    if_match: Option<&str>,
    query: &str,
    body: &[u8],
    items: &mut Vec<String>,
    now: Timestamp,
) -> Response<Body> {
    let result = match operation.name {
        "DescribeKeyValueStore" => describe(stores, operation),
        "ListKeys" => list(stores, operation, query),
        "GetKey" => get(stores, operation),
        "UpdateKeys" => update(stores, operation, if_match, body, items, now),
        _ => Err(Refusal::new(501, "NotImplemented", "The local edge does not know this operation.")),
    };
    result.unwrap_or_else(|refusal| refuse(refusal.status, refusal.code, &refusal.message))
}

/// An error response in this API's JSON.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Response<Body> {
    let mut response = document(&json!({"Message": message}), None);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

fn document(content: &Value, etag: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::from(content.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

fn missing() -> Refusal {
    Refusal::new(404, "ResourceNotFoundException", "The key-value store does not exist.")
}

fn find(stores: &KeyValueStores, operation: &Operation) -> Result<KeyValueStore, Refusal> {
    stores.at(&operation.store).ok_or_else(missing)
}

fn counts(store: &KeyValueStore) -> Value {
    json!({"ItemCount": store.values.len(), "TotalSizeInBytes": store.size()})
}

fn describe(stores: &KeyValueStores, operation: &Operation) -> Result<Response<Body>, Refusal> {
    let store = find(stores, operation)?;
    let mut content = counts(&store);
    content["KvsARN"] = json!(store.arn);
    content["Created"] = json!(store.created.as_second());
    content["LastModified"] = json!(store.modified.as_second());
    content["Status"] = json!("READY");
    Ok(document(&content, Some(&store.etag)))
}

fn get(stores: &KeyValueStores, operation: &Operation) -> Result<Response<Body>, Refusal> {
    let store = find(stores, operation)?;
    let key = operation.key.as_deref().unwrap_or_default();
    let value = store.values.get(key);
    let value = value.ok_or_else(|| Refusal::new(404, "ResourceNotFoundException", "The key does not exist."))?;
    let mut content = counts(&store);
    content["Key"] = json!(key);
    content["Value"] = json!(value);
    Ok(document(&content, None))
}

fn list(stores: &KeyValueStores, operation: &Operation, query: &str) -> Result<Response<Body>, Refusal> {
    let store = find(stores, operation)?;
    let limit = match query_parameter(query, "MaxResults") {
        None => PAGE,
        Some(text) => text.parse().ok().filter(|limit| (1..=LARGEST_UPDATE).contains(limit)).ok_or_else(|| {
            let message = format!("MaxResults is not a number from 1 to {LARGEST_UPDATE}.");
            Refusal::new(400, "ValidationException", message)
        })?,
    };
    let after = query_parameter(query, "NextToken").unwrap_or_default();
    let mut rest = store.values.iter().filter(|(key, _)| **key > after).peekable();
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let items: Vec<Value> = page.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    let mut content = json!({"Items": items});
    if let (Some(_), Some((last, _))) = (rest.peek(), page.last()) {
        content["NextToken"] = json!(last);
    }
    Ok(document(&content, None))
}

fn update(
    stores: &KeyValueStores,
    operation: &Operation,
    if_match: Option<&str>,
    body: &[u8],
    items: &mut Vec<String>,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let invalid = |message: String| Refusal::new(400, "ValidationException", message);
    let if_match = if_match.ok_or_else(|| invalid("If-Match is missing.".to_owned()))?;
    let update: Update = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    let keys = update.puts.iter().map(|put| &put.key).chain(update.deletes.iter().map(|deleted| &deleted.key));
    items.extend(keys.cloned());
    if items.len() > LARGEST_UPDATE || body.len() > LARGEST_UPDATE_BODY {
        return Err(invalid(format!("An update has at most {LARGEST_UPDATE} keys and {LARGEST_UPDATE_BODY} bytes.")));
    }
    let changed = stores.update(&operation.store, if_match, update, now)?;
    Ok(document(&counts(&changed), Some(&changed.etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn update_of(puts: &[(&str, &str)], deletes: &[&str]) -> Vec<u8> {
        let puts: Vec<Value> = puts.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let deletes: Vec<Value> = deletes.iter().map(|key| json!({"Key": key})).collect();
        json!({"Puts": puts, "Deletes": deletes}).to_string().into_bytes()
    }

    #[test]
    fn a_path_names_its_operation_its_store_and_its_key() {
        let found = operation(
            &Method::GET,
            "/key-value-stores/arn%3Aaws%3Acloudfront%3A%3A0%3Akey-value-store%2FE1/keys/a%2Fb",
        );
        let found = found.unwrap();
        assert_eq!((found.name, found.store.as_str()), ("GetKey", "arn:aws:cloudfront::0:key-value-store/E1"));
        assert_eq!(found.key.as_deref(), Some("a/b"));
        let name = |method, path| operation(&method, path).map(|operation| operation.name);
        assert_eq!(name(Method::POST, "/key-value-stores/arn:aws:x/E1/keys"), Some("UpdateKeys"));
        assert_eq!(name(Method::GET, "/key-value-stores/arn:aws:x/E1"), Some("DescribeKeyValueStore"));
        assert_eq!(name(Method::GET, "/key-value-stores/a-key-of-a-bucket"), None);
    }

    #[test]
    fn an_update_holds_as_a_whole_and_for_the_store_that_was_read_only() {
        let stores = KeyValueStores::open(None).unwrap();
        let store = stores.put("s", "", BTreeMap::from([("a".to_owned(), "1".to_owned())]), NOW).unwrap();
        let operation = operation(&Method::POST, &format!("/key-value-stores/{}/keys", store.arn)).unwrap();
        let update = |etag: Option<&str>, body: Vec<u8>| {
            let result = update(&stores, &operation, etag, &body, &mut Vec::new(), NOW);
            result.map(|_| ()).map_err(|refusal| (refusal.status, refusal.code))
        };
        assert_eq!(update(Some("E0"), update_of(&[("b", "2")], &[])), Err((409, "ConflictException")));
        assert_eq!(update(None, update_of(&[("b", "2")], &[])), Err((400, "ValidationException")));
        let halfway = update_of(&[("b", "2")], &["missing"]);
        assert_eq!(update(Some(&store.etag), halfway), Err((404, "ResourceNotFoundException")));
        assert_eq!(stores.named("s").unwrap().values, store.values);
        let keys: Vec<String> = (0..51).map(|number| number.to_string()).collect();
        let puts: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
        assert_eq!(update(Some(&store.etag), update_of(&puts, &[])), Err((400, "ValidationException")));
        let long = "x".repeat(LONGEST_KEY + 1);
        assert_eq!(update(Some(&store.etag), update_of(&[(&long, "")], &[])), Err((400, "ValidationException")));
        assert_eq!(update(Some(&store.etag), update_of(&[("b", "2")], &["a"])), Ok(()));
        assert_eq!(*stores.named("s").unwrap().values, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
        assert_eq!(update(Some(&store.etag), update_of(&[("c", "3")], &[])), Err((409, "ConflictException")));
    }
}
