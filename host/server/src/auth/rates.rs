//! How often somebody may submit: a bucket for each, which fills as time goes by.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::shares::ShareKey;

/// Submissions a second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

/// For whom it is remembered: those whose bucket is full need not be.
const MAX_BUCKETS: usize = 10_000;

/// Who submitted how much lately.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<ShareKey, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    left: f64,
    at: Instant,
}

impl Rates {
    /// Whoever this is submits something; the error says how long it has to wait before it may.
    pub(crate) fn take(&self, who: &ShareKey, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| bucket.filled(now) < bucket.rate.burst);
            if buckets.len() >= MAX_BUCKETS {
                buckets.clear();
            }
        }
        let full = Bucket { rate, left: rate.burst, at: now };
        let bucket = buckets.entry(who.clone()).or_insert(full);
        *bucket = Bucket { rate, left: bucket.filled(now).min(rate.burst), at: now };
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / rate.per_second))
    }
}

impl Bucket {
    fn filled(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed * self.rate.per_second).min(self.rate.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (rates, begin) = (Rates::default(), Instant::now());
        let rate = Rate { per_second: 2.0, burst: 3.0 };
        let take =
            |who: &str, millis| rates.take(&ShareKey::Tenant(who.into()), rate, begin + Duration::from_millis(millis));
        assert!((0..3).all(|_| take("a", 0).is_ok()));
        assert_eq!(take("a", 0), Err(Duration::from_millis(500)));
        assert_eq!(take("b", 0), Ok(()));
        assert_eq!(take("a", 400), Err(Duration::from_millis(100)));
        assert_eq!(take("a", 500), Ok(()));
        assert_eq!((0..9).filter(|_| take("a", 60_000).is_ok()).count(), 3);
    }

    #[test]
    fn few_are_remembered() {
        let (rates, now) = (Rates::default(), Instant::now());
        let rate = Rate { per_second: 1.0, burst: 1.0 };
        (0..30_000).for_each(|who| rates.take(&ShareKey::Tenant(who.to_string().into()), rate, now).unwrap());
        assert!(rates.0.lock().unwrap().len() <= MAX_BUCKETS);
    }
}
