//! The watch-dog: a thread that looks a few times a second who gives no sign of life, says so, and stands in for the clock.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::driver::Driver;
use crate::pulse::{Silence, Stuck};
use crate::supervisor::Supervisor;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
/// If it wakes up so much later than that, the whole process stood still, and everybody gets time to be heard of again.
const PAUSE: Duration = Duration::from_millis(500);
const AFTER_A_PAUSE: Duration = Duration::from_secs(2);

/// Starts it. It ends when the server stops.
pub(crate) fn start(supervisor: &Arc<Supervisor>, driver: &Arc<Driver>) -> std::io::Result<()> {
    let (owner, driver) = (supervisor.clone(), Arc::downgrade(driver));
    supervisor.spawn("watchdog", move || watch(&owner, &driver))
}

fn watch(supervisor: &Supervisor, driver: &Weak<Driver>) {
    let mut quiet_until = Instant::now();
    while !supervisor.is_stopping() {
        let begin = Instant::now();
        std::thread::sleep(LOOK);
        let now = Instant::now();
        if now.duration_since(begin) > LOOK + PAUSE {
            quiet_until = now + AFTER_A_PAUSE;
        }
        if now < quiet_until {
            continue;
        }
        let Some(driver) = driver.upgrade() else { return };
        for stuck in supervisor.look(now) {
            act(supervisor, &driver, &stuck);
        }
    }
}

/// Does about a silent thread what its silence means.
fn act(supervisor: &Supervisor, driver: &Driver, stuck: &Stuck) {
    let Silence::Vital(limit) = stuck.silence else { return };
    driver.try_what_is_due();
    if stuck.silent >= limit {
        supervisor.fail(&stuck.to_string());
    }
}
