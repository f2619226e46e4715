//! AWS's partitions, whose names begin every ARN.

/// The partition of a region
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>).
pub fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// The beginning of ARNs in the partition of a region; without a region, in that of most accounts.
pub fn arn_start(region: Option<&str>) -> String {
    format!("arn:{}:", region.map_or("aws", partition_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_begins_with_the_partition_of_its_region() {
        for (region, start) in [
            (None, "arn:aws:"),
            (Some("eu-central-1"), "arn:aws:"),
            (Some("cn-north-1"), "arn:aws-cn:"),
            (Some("us-gov-west-1"), "arn:aws-us-gov:"),
        ] {
            assert_eq!(arn_start(region), start);
        }
    }
}
