//! Devices that cannot be trusted: a batch that is overdue makes its lane suspect, then lost; a correction beyond all bounds makes
//! it suspect too. What waits there goes to other lanes that can take it in time.

use std::time::Duration;

use crate::lane::Lane;
use crate::queued_job::QueuedJob;
use crate::{Action, End, JobId, LaneCondition, LaneId, OnLate, Scheduler, Suspicion, Time, Trigger};

impl Scheduler {
    /// Looks for a batch that is overdue on this lane.
    pub(crate) fn check_overdue(&mut self, at: usize, now: Time, actions: &mut Vec<Action>) {
        let limits = self.config().overdue;
        let lane = &mut self.lanes[at];
        let Some(running) = &lane.running else { return };
        let overdue = LaneCondition::Suspect(Suspicion::Overdue);
        if limits.suspect_at(running, lane.correction) > now {
            return;
        }
        let lost = limits.lost_at(running, lane.correction) <= now;
        if lane.condition != overdue {
            lane.condition = overdue;
            actions.push(Action::Suspect(lane.id, Suspicion::Overdue));
        }
        if lost {
            self.lose_lane(at, now, actions);
        } else {
            self.move_what_can(at, now, actions);
        }
    }

    /// When the lane's batch will be overdue, or is to be given up.
    pub(crate) fn overdue_at(&self, lane: &Lane) -> Option<Time> {
        let (limits, running) = (self.config().overdue, lane.running.as_ref()?);
        Some(match lane.condition {
            LaneCondition::Suspect(Suspicion::Overdue) => limits.lost_at(running, lane.correction),
            _ => limits.suspect_at(running, lane.correction),
        })
    }

    /// When an idle device that was too slow will be trusted again.
    pub(crate) fn trusted_at(&self, lane: &Lane, now: Time) -> Option<Time> {
        let slow = lane.running.is_none() && lane.condition == LaneCondition::Suspect(Suspicion::Slow);
        let down = lane.estimate.down_at(self.config().slow).filter(|_| slow)?;
        Some(down.max(now + Duration::from_millis(1)))
    }

    /// What is thought of a device that has nothing on it, or whose batch has just ended.
    pub(crate) fn judge(&mut self, at: usize, actions: &mut Vec<Action>) {
        let slow = self.config().slow;
        let lane = &mut self.lanes[at];
        let condition = match lane.correction > slow {
            _ if lane.condition == LaneCondition::Lost => return,
            true => LaneCondition::Suspect(Suspicion::Slow),
            false => LaneCondition::Sound,
        };
        if condition == lane.condition {
            return;
        }
        lane.condition = condition;
        actions.push(match condition {
            LaneCondition::Suspect(suspicion) => Action::Suspect(lane.id, suspicion),
            _ => Action::Trust(lane.id),
        });
    }

    /// The batch on this lane does not end: its job fails, for it may be what hangs; the others go elsewhere, or fail.
    fn lose_lane(&mut self, at: usize, now: Time, actions: &mut Vec<Action>) {
        let lane = &mut self.lanes[at];
        actions.push(Action::LoseLane(lane.id));
        lane.condition = LaneCondition::Lost;
        lane.question = None;
        if let Some(job) = lane.running.as_ref().map(|running| running.batch.job) {
            actions.extend(lane.end(now, job, End::Failed));
        }
        if let Some(running) = lane.running.take() {
            lane.account_late(now, &running);
        }
        lane.estimate.rest(now);
        self.move_what_can(at, now, actions);
        let left: Vec<JobId> = self.lanes[at].entries.iter().map(|entry| entry.job.id).collect();
        for job in left {
            self.move_late(at, job, now, actions);
            actions.extend(self.lanes[at].end(now, job, End::Failed));
        }
    }

    /// Every job that waits here and can be on time elsewhere goes there.
    fn move_what_can(&mut self, at: usize, now: Time, actions: &mut Vec<Action>) {
        let running = self.lanes[at].running.as_ref().map(|running| running.batch.job);
        let on_time = self.lanes[at].entries.iter().take_while(|entry| !entry.given_up);
        let waiting = on_time.map(|entry| entry.job.id).filter(|&job| Some(job) != running);
        for job in waiting.collect::<Vec<JobId>>() {
            let lane = &self.lanes[at];
            let Some(position) = lane.position(job) else { continue };
            if let Some((target, place)) = self.place_elsewhere(at, &lane.entries[position], now) {
                self.move_job(at, position, (target, place), actions);
            }
        }
    }

    /// A job that nobody can do in time any more goes behind all others of another lane, if it wants to be run even so.
    fn move_late(&mut self, at: usize, job: JobId, now: Time, actions: &mut Vec<Action>) {
        let lane = &self.lanes[at];
        let Some(position) = lane.position(job) else { return };
        let entry = &lane.entries[position];
        if entry.job.on_late == OnLate::Drop {
            return;
        }
        let free = |&target: &usize| (self.lanes[target].free_at(now), self.lanes[target].entries.len());
        let Some(target) = self.targets(at, entry).map(|(target, _)| target).min_by_key(free) else { return };
        if !entry.given_up {
            self.lanes[at].entries[position].given_up = true;
            actions.push(Action::GiveUp(job));
        }
        let behind = self.lanes[target].entries.len();
        self.move_job(at, position, (target, behind), actions);
    }

    /// Where the job would be on time soonest; as far behind there as that is so.
    fn place_elsewhere(&self, at: usize, entry: &QueuedJob, now: Time) -> Option<(usize, usize)> {
        let deadline = entry.job.deadline;
        let place = |(target, work): (usize, Duration)| {
            let mut openings = self.lanes[target].openings(now, work);
            let (position, done) = openings.find(|&(_, done)| done <= deadline)?;
            Some((done, target, position))
        };
        let (_, target, position) = self.targets(at, entry).filter_map(place).min()?;
        Some((target, position))
    }

    /// The lanes that could take what is left of the job, and how long it would take there at least. What is started stays on
    /// devices of its kind: what it ran on there was measured there.
    fn targets<'s>(&'s self, at: usize, entry: &'s QueuedJob) -> impl Iterator<Item = (usize, Duration)> + 's {
        let others = self.lanes.iter().enumerate().filter(move |&(target, lane)| {
            let room = lane.entries.len() < self.config().max_jobs;
            target != at && lane.condition == LaneCondition::Sound && room
        });
        others.filter_map(move |(target, lane)| {
            let matrix = self.model_on(lane.id, entry.model())?;
            if self.lost.contains(&(lane.id, matrix.variant())) {
                return None;
            }
            if matrix.variant() == entry.job.model {
                return Some((target, entry.fastest()));
            }
            let table = matrix.table(entry.job.requests).filter(|_| entry.is_untouched())?;
            Some((target, table.strategy(table.fastest_legal(entry.job.min_accuracy)?).latency))
        })
    }

    fn move_job(&mut self, at: usize, position: usize, (target, place): (usize, usize), actions: &mut Vec<Action>) {
        let entry = self.lanes[at].entries.remove(position);
        self.lanes[at].changed = Some(Trigger::Completion);
        let id = entry.job.id;
        let matrix = self.model_on(LaneId::at(target), entry.model()).expect("it is a lane that serves it").clone();
        let lane = &mut self.lanes[target];
        lane.insert(place, entry.on(matrix));
        lane.changed = Some(Trigger::Arrival);
        actions.push(Action::Move(id, lane.id));
    }
}
