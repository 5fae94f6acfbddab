//! All connections: how many there may be, who gives way when there are as many, who has taken too long.
//!
//! When there is no place, the idlest connection of whoever holds most gives way: one that lies idle, then one whose head
//! does not come, then one that leaves its answer unread or sends its body slowly. One on which a request runs or waits
//! never does. Where nobody gives way, a few newcomers more may ask for health, and are told to come back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::state::{Activity, CloseReason, ConnectionState, PeerKey, Timeouts};
use crate::config::Http;
use crate::http_meters::HttpMeters;

/// All connections of one listener.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_per_peer: usize,
    timeouts: Timeouts,
    meters: HttpMeters,
    open: Mutex<Open>,
    one_less: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<ConnectionState>>,
    /// Of those that were not told to end, and have a place.
    peers: HashMap<PeerKey, usize>,
    placed: usize,
    over: usize,
    /// Who gives way next, the last one first, and whose place was wanted when they were looked for.
    victims: (Among, Vec<(u64, u8)>),
    stopping: bool,
}

/// Whose connections are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Among {
    #[default]
    All,
    Peer(PeerKey),
    /// Those that have no place.
    Over,
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    pub(super) state: Arc<ConnectionState>,
    connections: Arc<Connections>,
}

/// Newcomers beyond the most that may ask for health.
const OVER: usize = 64;
/// Connections that are looked for at once to give way, so that a flood of newcomers does not look at all for each.
const VICTIMS: usize = 32;

impl Connections {
    /// None yet; at most so many, of which descriptors there are.
    pub(crate) fn new(http: &Http, room: usize, meters: HttpMeters) -> Arc<Connections> {
        let most = http.max_connections.min(room);
        if most < http.max_connections {
            tracing::warn!(
                "expected file descriptors for http.max_connections, {}, there are enough for {most} connections; raise the \
                 limit (ulimit -n, LimitNOFILE)",
                http.max_connections
            );
        }
        let timeouts = Timeouts {
            head: Duration::from_millis(http.header_timeout_ms),
            keep_alive: Duration::from_millis(http.keep_alive_ms),
            write: Duration::from_millis(http.write_timeout_ms),
        };
        Arc::new(Connections {
            most,
            most_per_peer: http.max_connections_per_peer,
            timeouts,
            meters,
            open: Mutex::default(),
            one_less: Notify::new(),
        })
    }

    /// What is counted of them.
    pub(super) fn meters(&self) -> &HttpMeters {
        &self.meters
    }

    /// A place for a newcomer; `None` if it has to go.
    pub(super) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let peer = PeerKey::of(peer.ip());
        let mut open = self.open();
        if open.stopping {
            return None;
        }
        let is_over = !(self.has_place(&mut open, Among::Peer(peer)) && self.has_place(&mut open, Among::All));
        if is_over && !self.has_place(&mut open, Among::Over) {
            self.meters.closed("refused");
            return None;
        }
        let state = Arc::new(ConnectionState::new(peer, is_over));
        let number = open.next;
        open.next += 1;
        if is_over {
            open.over += 1;
        } else {
            open.placed += 1;
            *open.peers.entry(peer).or_default() += 1;
        }
        open.all.insert(number, state.clone());
        self.meters.accepted();
        Some(Place { number, state, connections: self.clone() })
    }

    /// Its client takes too long.
    pub(super) fn is_overdue(&self, state: &ConnectionState) -> bool {
        state.overdue(&self.timeouts).is_some()
    }

    /// Somebody gives way; false if nobody does.
    pub(super) fn evict(&self) -> bool {
        self.evict_among(&mut self.open(), Among::All)
    }

    /// There is a place, or was made one.
    fn has_place(&self, open: &mut Open, among: Among) -> bool {
        let (held, most) = match among {
            Among::All => (open.placed, self.most),
            Among::Peer(peer) => (open.held_by(peer), self.most_per_peer),
            Among::Over => (open.over, OVER),
        };
        held < most || self.evict_among(open, among)
    }

    fn evict_among(&self, open: &mut Open, among: Among) -> bool {
        if open.victims.0 != among {
            open.victims = (among, Vec::new());
        }
        for looked in [false, true] {
            if looked {
                open.victims.1 = open.find_victims(among);
            }
            while let Some((number, class)) = open.victims.1.pop() {
                let Some(state) = open.all.get(&number).cloned() else { continue };
                // it may have begun something meanwhile
                let gives_way = state.rank().is_some_and(|rank| rank.0 == class);
                if gives_way && self.end(open, &state, CloseReason::Evicted) {
                    return true;
                }
            }
        }
        false
    }

    /// Tells it to end, and counts it no more.
    fn end(&self, open: &mut Open, state: &ConnectionState, reason: CloseReason) -> bool {
        let first = state.close(reason);
        if first {
            self.meters.closed(reason.word());
            open.give_up_place(state);
        }
        first
    }

    /// Ends those that take too long, from time to time, until it is dropped.
    pub(super) async fn keep_time(self: Arc<Self>) {
        let Timeouts { head, keep_alive, write } = self.timeouts;
        let look = (head.min(keep_alive).min(write) / 8).clamp(Duration::from_millis(5), Duration::from_millis(500));
        loop {
            tokio::time::sleep(look).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut counts = [0; Activity::WORDS.len()];
        let mut open = self.open();
        let mut overdue = Vec::new();
        for state in open.all.values() {
            counts[state.activity().index()] += 1;
            if let Some(reason) = state.overdue(&self.timeouts) {
                overdue.push((state.clone(), reason));
            }
        }
        for (state, reason) in overdue {
            self.end(&mut open, &state, reason);
        }
        let gives_way = |state: &ConnectionState| !state.is_over && state.reason().is_none() && state.rank().is_some();
        self.meters.set_full(open.placed >= self.most && !open.all.values().any(|state| gives_way(state)));
        drop(open);
        for (word, count) in Activity::WORDS.into_iter().zip(counts) {
            self.meters.in_state(word, count);
        }
    }

    /// Ends those that are not in use, the others after their answers; resolves when all have ended or time is up.
    pub(super) async fn stop(&self, within: Duration) {
        let all: Vec<_> = {
            let mut open = self.open();
            open.stopping = true;
            open.all.values().cloned().collect()
        };
        all.iter().for_each(|state| _ = state.close(CloseReason::Stopping));
        let ended = async {
            while !self.open().all.is_empty() {
                self.one_less.notified().await;
            }
        };
        let _ = tokio::time::timeout(within, ended).await;
    }

    /// There is room for connections that only read what nobody wants.
    pub(super) fn may_linger(&self) -> bool {
        self.open().all.len() < self.most + OVER
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // every change is whole before anything can panic
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn held_by(&self, peer: PeerKey) -> usize {
        self.peers.get(&peer).copied().unwrap_or(0)
    }

    fn give_up_place(&mut self, state: &ConnectionState) {
        if state.is_over {
            self.over -= 1;
            return;
        }
        self.placed -= 1;
        if let Some(held) = self.peers.get_mut(&state.peer) {
            *held -= 1;
            if *held == 0 {
                self.peers.remove(&state.peer);
            }
        }
    }

    /// The next to give way, the first of them last.
    fn find_victims(&self, among: Among) -> Vec<(u64, u8)> {
        let wanted = |state: &ConnectionState| match among {
            Among::All => !state.is_over,
            Among::Peer(peer) => !state.is_over && state.peer == peer,
            Among::Over => state.is_over,
        };
        let open = self.all.iter().filter(|(_, state)| wanted(state) && state.reason().is_none());
        let ranked = open.filter_map(|(number, state)| {
            let held = self.held_by(state.peer);
            state.rank().map(|(class, age)| (std::cmp::Reverse(held), class, age, *number))
        });
        let mut ranked: Vec<_> = ranked.collect();
        if ranked.len() > VICTIMS {
            ranked.select_nth_unstable(VICTIMS);
            ranked.truncate(VICTIMS);
        }
        ranked.sort_unstable();
        ranked.into_iter().rev().map(|(_, class, _, number)| (number, class)).collect()
    }
}

impl Place {
    /// What is counted of all connections.
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all.remove(&self.number);
        // whoever was told to end has given up its place, but at the stop of all
        if self.state.reason().is_none_or(|reason| reason == CloseReason::Stopping) {
            open.give_up_place(&self.state);
        }
        drop(open);
        self.connections.one_less.notify_one();
    }
}
