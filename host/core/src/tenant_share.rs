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
    /// What counts is due by the job's deadline, and by the tenant's last one: else a few deadlines, one behind another,
    /// would be a share each. Who has nothing here may always offer one job.
    pub(crate) fn refusal(&self, work: Duration, deadline: Time) -> Option<Refusal> {
        let room = self.room.as_ref()?;
        let last = self.lane.last_deadline(self.tenant)?.max(deadline);
        let work = scale(work, self.lane.promise_factor());
        [deadline, last].into_iter().find_map(|until| {
            let promised = work.saturating_add(self.lane.promised(self.now, self.tenant, until));
            let most = room.until(until.since(self.now));
            let excess = promised.checked_sub(most).filter(|excess| !excess.is_zero())?;
            Some(Refusal::OverShare {
                of: OverShare::DeviceTime { promised, most, share: room.share },
                retry_at: self.now.after(excess, 1.0 / room.share),
            })
        })
    }
}
