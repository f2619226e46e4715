//! CloudFront's API through its SDK.

use std::time::Duration;

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::error::SdkError;
use aws_sdk_cloudfront::operation::create_invalidation::{CreateInvalidationError, CreateInvalidationOutput};
use aws_sdk_cloudfront::types::{InvalidationBatch, Paths};
use shipfront_edge::{
    CACHING_OPTIMIZED, CacheBehavior, CachePolicy, CacheSettings, FunctionAssociation, Origin, OriginGroup, OriginKind,
    Progress, QueryStrings,
};

use crate::world::aws::{cloudfront, code, edge, s3};

pub(super) type Created = Result<CreateInvalidationOutput, SdkError<CreateInvalidationError>>;

pub(super) async fn invalidate(client: &Client, id: &str, reference: &str, items: &[&str]) -> Created {
    let items: Vec<_> = items.iter().map(|&item| item.to_owned()).collect();
    let quantity = i32::try_from(items.len()).unwrap();
    let paths = Paths::builder().quantity(quantity).set_items(Some(items)).build().unwrap();
    let batch = InvalidationBatch::builder().paths(paths).caller_reference(reference);
    let batch = batch.build().unwrap();
    client.create_invalidation().distribution_id(id).invalidation_batch(batch).send().await
}

fn refusal(result: Created) -> String {
    let error = result.unwrap_err();
    code(&error).unwrap().to_owned()
}

#[tokio::test]
async fn an_invalidation_is_accepted_polled_and_listed() {
    let edge = edge().await;
    let id = edge.ensure_site("site").unwrap();
    let client = cloudfront(&edge);
    let created = invalidate(&client, &id, "one", &["/a&b", "/caf%C3%A9/*", "#tag"]).await.unwrap();
    assert!(created.location().unwrap().contains(&id));
    let invalidation = created.invalidation().unwrap();
    assert_eq!(invalidation.status(), "InProgress");
    let again = invalidate(&client, &id, "one", &["/a&b", "/caf%C3%A9/*", "#tag"]).await.unwrap();
    assert_eq!(again.invalidation().unwrap().id(), invalidation.id());

    let got = client.get_invalidation().distribution_id(&id).id(invalidation.id());
    let got = got.send().await.unwrap();
    let got = got.invalidation().unwrap();
    assert_eq!(got.status(), "Completed");
    let items = got.invalidation_batch().unwrap().paths().unwrap().items();
    assert_eq!(items, ["/a&b", "/caf%C3%A9/*", "#tag"]);

    invalidate(&client, &id, "two", &["/c"]).await.unwrap();
    let list = client.list_invalidations().distribution_id(&id).send().await.unwrap();
    let list = list.invalidation_list().unwrap();
    assert_eq!((list.quantity(), list.is_truncated()), (2, false));
    assert_eq!(list.items()[1].status(), "Completed");
    assert_eq!(edge.invalidations(&id)[1].items, ["/c"]);
    let recorded = edge.requests();
    assert_eq!(recorded[0].operation, "CreateInvalidation");
    assert_eq!(recorded[0].key.as_deref(), Some(id.as_str()));
    assert_eq!((recorded[0].status, recorded[0].items.len()), (201, 3));
}

#[tokio::test]
async fn batches_that_cloudfront_refuses_are_refused() {
    let edge = edge().await;
    let id = edge.ensure_site("site").unwrap();
    let client = cloudfront(&edge);
    for bad in ["a", "/a b", "/café", "/~user", "/a[0]"] {
        let result = invalidate(&client, &id, bad, &["/good", bad]).await;
        assert_eq!(refusal(result), "InvalidArgument", "{bad}");
    }
    assert_eq!(refusal(invalidate(&client, &id, "none", &[]).await), "InvalidArgument");
    let nowhere = invalidate(&client, "E0000000000000", "x", &["/a"]).await;
    assert_eq!(refusal(nowhere), "NoSuchDistribution");
    invalidate(&client, &id, "used", &["/a"]).await.unwrap();
    let other = invalidate(&client, &id, "used", &["/b"]).await;
    assert_eq!(refusal(other), "InvalidationBatchAlreadyExists");
    let paths = Paths::builder().quantity(2).items("/a").build().unwrap();
    let batch = InvalidationBatch::builder().paths(paths).caller_reference("q").build().unwrap();
    let result = client.create_invalidation().distribution_id(&id).invalidation_batch(batch);
    assert_eq!(refusal(result.send().await), "InconsistentQuantities");
    let many: Vec<String> = (0..3001).map(|number| format!("/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(refusal(invalidate(&client, &id, "many", &many).await), "BatchTooLarge");
    assert_eq!(edge.invalidations(&id).len(), 1);
}

#[tokio::test]
async fn progress_and_its_limit_can_be_scripted() {
    let edge = edge().await;
    let id = edge.ensure_site("site").unwrap();
    let client = cloudfront(&edge);
    let status = async |invalidation: &str| {
        let got = client.get_invalidation().distribution_id(&id).id(invalidation).send().await;
        got.unwrap().invalidation().unwrap().status().to_owned()
    };
    let create = async |reference: &str| {
        let created = invalidate(&client, &id, reference, &["/a", "/b"]).await;
        created.map(|created| created.invalidation().unwrap().id().to_owned())
    };
    edge.set_invalidation_progress(Progress::Polls(2));
    edge.limit_invalidations_in_progress(Some(3));
    let slow = create("polls").await.unwrap();
    let refused = create("more").await.unwrap_err();
    assert_eq!(code(&refused), Some("TooManyInvalidationsInProgress"));
    assert_eq!(status(&slow).await, "InProgress");
    assert_eq!(status(&slow).await, "InProgress");
    assert_eq!(status(&slow).await, "Completed");

    edge.set_invalidation_progress(Progress::After(Duration::from_secs(20)));
    let timed = create("more").await.unwrap();
    edge.advance_clock(Duration::from_secs(10));
    assert_eq!(status(&timed).await, "InProgress");
    edge.advance_clock(Duration::from_secs(10));
    assert_eq!(status(&timed).await, "Completed");
}

#[tokio::test]
async fn distributions_are_listed_in_pages_and_read_in_full() {
    let edge = edge().await;
    let s3 = s3(&edge);
    for bucket in ["one", "two", "www.example.com"] {
        s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    edge.set_list_page_size(1);
    let client = cloudfront(&edge);
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let page = client.list_distributions().set_marker(marker).send().await.unwrap();
        let page = page.distribution_list().unwrap().clone();
        found.extend(page.items().to_vec());
        marker = page.next_marker().map(str::to_owned);
        assert_eq!(page.is_truncated(), marker.is_some());
        if marker.is_none() {
            break;
        }
    }
    let domains: Vec<_> = found.iter().map(|found| found.origins().unwrap().items()[0].domain_name()).collect();
    assert_eq!(
        domains,
        [
            "one.s3.us-east-1.amazonaws.com",
            "two.s3.us-east-1.amazonaws.com",
            "www.example.com.s3.us-east-1.amazonaws.com"
        ]
    );

    let id = edge.ensure_site("one").unwrap();
    assert_eq!(found[0].id(), id);
    let mut distribution = edge.distribution(&id).unwrap();
    distribution.aliases = vec!["www.example.com".to_owned()];
    distribution.cache_tag_header = Some("x-amz-meta-cache-tag".to_owned());
    distribution.origins.push(Origin {
        id: "website".to_owned(),
        domain_name: "one.s3-website-us-east-1.amazonaws.com".to_owned(),
        origin_path: "/production".to_owned(),
        kind: OriginKind::Website,
    });
    distribution.origin_groups.push(OriginGroup {
        id: "both".to_owned(),
        members: vec!["S3-one".to_owned(), "website".to_owned()],
        status_codes: vec![403, 404],
    });
    let mut behavior = CacheBehavior::new("/img/*", "both");
    behavior.cache = CacheSettings::Policy(CACHING_OPTIMIZED.to_owned());
    behavior.functions.push(FunctionAssociation {
        event_type: "viewer-request".to_owned(),
        arn: "arn:aws:cloudfront::000000000000:function/index".to_owned(),
    });
    behavior.lambda_functions.push(FunctionAssociation {
        event_type: "origin-request".to_owned(),
        arn: "arn:aws:lambda:us-east-1:000000000000:function:x:1".to_owned(),
    });
    distribution.behaviors.push(behavior);
    let before = distribution.etag.clone();
    edge.put_distribution(distribution).unwrap();

    let answer = client.get_distribution_config().id(&id).send().await.unwrap();
    assert_ne!(answer.e_tag().unwrap(), before);
    assert_eq!(answer.e_tag().unwrap(), edge.distribution(&id).unwrap().etag);
    let config = answer.distribution_config().unwrap();
    assert_eq!(config.default_root_object(), Some("index.html"));
    assert_eq!(config.cache_tag_config().unwrap().header_name(), "x-amz-meta-cache-tag");
    assert_eq!(config.aliases().unwrap().items(), ["www.example.com"]);
    let origins = config.origins().unwrap().items();
    assert!(origins[0].s3_origin_config().is_some());
    assert!(origins[1].custom_origin_config().is_some());
    assert_eq!(origins[1].origin_path(), Some("/production"));
    let group = &config.origin_groups().unwrap().items()[0];
    assert_eq!(group.members().unwrap().items()[1].origin_id(), "website");
    assert_eq!(group.failover_criteria().unwrap().status_codes().unwrap().items(), [403, 404]);
    let default = config.default_cache_behavior().unwrap();
    #[expect(deprecated, reason = "older distributions have their TTLs here")]
    let ttls = (default.min_ttl(), default.default_ttl(), default.max_ttl());
    assert_eq!(ttls, (Some(0), Some(86_400), Some(31_536_000)));
    #[expect(deprecated, reason = "older distributions have their query strings here")]
    let forwarded = default.forwarded_values().unwrap();
    assert!(!forwarded.query_string());
    let behavior = &config.cache_behaviors().unwrap().items()[0];
    assert_eq!((behavior.path_pattern(), behavior.target_origin_id()), ("/img/*", "both"));
    assert_eq!(behavior.cache_policy_id(), Some(CACHING_OPTIMIZED));
    let function = &behavior.function_associations().unwrap().items()[0];
    assert_eq!(function.event_type().as_str(), "viewer-request");
    let lambda = &behavior.lambda_function_associations().unwrap().items()[0];
    assert_eq!(lambda.event_type().as_str(), "origin-request");
    let error = &config.custom_error_responses().unwrap().items()[0];
    assert_eq!((error.error_code(), error.response_page_path()), (404, Some("/404.html")));
    assert_eq!((error.response_code(), error.error_caching_min_ttl()), (Some("404"), Some(10)));

    let whole = client.get_distribution().id(&id).send().await.unwrap();
    assert_eq!(whole.e_tag(), answer.e_tag());
    assert_eq!(whole.distribution().unwrap().distribution_config(), Some(config));
    let missing = client.get_distribution_config().id("E0000000000000").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("NoSuchDistribution"));
}

#[tokio::test]
async fn cache_policies_say_what_is_in_the_key() {
    let edge = edge().await;
    edge.put_cache_policy(CachePolicy {
        id: "mine".to_owned(),
        name: "Mine".to_owned(),
        min_ttl: 1,
        default_ttl: 2,
        max_ttl: 3,
        query_strings: QueryStrings::Whitelist(vec!["v".to_owned()]),
    });
    let client = cloudfront(&edge);
    let get = async |id: &str| {
        let got = client.get_cache_policy().id(id).send().await.unwrap();
        got.cache_policy().unwrap().cache_policy_config().unwrap().clone()
    };
    let mine = get("mine").await;
    assert_eq!((mine.min_ttl(), mine.default_ttl(), mine.max_ttl()), (1, Some(2), Some(3)));
    let parameters = mine.parameters_in_cache_key_and_forwarded_to_origin().unwrap();
    let query = parameters.query_strings_config().unwrap();
    assert_eq!(query.query_string_behavior().as_str(), "whitelist");
    assert_eq!(query.query_strings().unwrap().items(), ["v"]);
    let optimized = get(CACHING_OPTIMIZED).await;
    assert_eq!(optimized.name(), "Managed-CachingOptimized");
    let missing = client.get_cache_policy().id("none").send().await.unwrap_err();
    assert_eq!(code(&missing), Some("NoSuchCachePolicy"));
}
