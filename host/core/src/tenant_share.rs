//! A tenant's share of one lane: whether one more job of it keeps within what others leave.

use std::time::Duration;

use crate::lane::Lane;
use crate::tenants::Room;
use crate::{OverShare, Refusal, Tenant, Time, scale};

/// A tenant that offers a job to a lane.
pub(crate) struct TenantShare<'l> {
    pub(crate) lane: &'l Lane,
    pub(crate) tenant: Tenant,
    /// What others leave; `None` while no other tenant is active.
    pub(crate) room: Option<Room>,
    pub(crate) now: Time,
}

impl TenantShare<'_> {
    /// A job of this profiled time keeps within the share.
    pub(crate) fn allows(&self, work: Duration, deadline: Time) -> bool {
        self.refusal(work, deadline).is_none()
    }

    /// Why a job of this profiled time is more than the share, if it is.
    ///
    /// What counts is what the tenant is promised by the job's deadline, and by every later deadline of its own: what it was
    /// promised before, its new jobs are not to push to where it is in the way of others. Who has nothing here may always
    /// offer one job.
    pub(crate) fn refusal(&self, work: Duration, deadline: Time) -> Option<Refusal> {
        let room = self.room.as_ref()?;
        let mut promises = self.lane.promises_to(self.now, self.tenant)?;
        promises.push((deadline, scale(work, self.lane.promise_factor())));
        promises.sort_by_key(|(due, _)| *due);
        let mut promised = Duration::ZERO;
        promises.into_iter().find_map(|(due, work)| {
            promised = promised.saturating_add(work);
            let most = room.until(due.since(self.now));
            let excess = promised.checked_sub(most).filter(|excess| due >= deadline && !excess.is_zero())?;
            Some(Refusal::OverShare {
                of: OverShare::DeviceTime { promised, most, share: room.share },
                retry_at: self.now.after(excess, 1.0 / room.share),
            })
        })
    }
}
