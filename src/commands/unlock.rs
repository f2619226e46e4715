//! `shipfront unlock`: takes the lease of a deploy that is dead.

use super::status::find;
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::record::lease::Holder;
use crate::record::{Place, Record, Snapshot};
use shipfront_site::Target;

/// What an unlock would do, and did.
#[derive(Debug)]
pub struct Locked {
    record: Record,
    snapshot: Snapshot,
}

impl Locked {
    /// Looks whether anybody holds the lease.
    pub async fn find(aws: &Aws, target: &Target, place: &Place, owner: Option<&str>) -> Result<Locked> {
        let record = find(aws, target, place, owner).await?;
        let snapshot = record.look().await?;
        Ok(Locked { record, snapshot })
    }

    /// Who holds the lease, and whether it is still being renewed.
    pub fn holder(&self) -> Option<(&Holder, bool)> {
        let holder = self.snapshot.state.lease.as_ref()?;
        Some((holder, self.snapshot.holder().is_some()))
    }

    /// Takes the lease away. What its holder had begun stays pending for the next deploy.
    pub async fn unlock(self) -> Result<()> {
        match self.record.unlock(self.snapshot).await? {
            true => Ok(()),
            false => Err(Error::locked("the lease was renewed just now: that deploy is alive")
                .hint("stop that deploy first, or wait for it")),
        }
    }
}
