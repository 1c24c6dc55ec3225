//! Settings of what replicas share: sessions, and Redis.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Settings of sessions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Seconds without a bar after which a session ends.
    pub idle_seconds: u64,
    /// Bars of one call.
    pub bars: usize,
    /// Bytes of the states of a session's rules.
    pub state_bytes: usize,
    /// Bars, of the last ones, whose answers are kept to be given again; those of the last call are, whatever their
    /// number.
    pub answers: usize,
    /// Bytes of these answers.
    pub answer_bytes: usize,
    /// Bytes of all sessions of one tenant, so that no tenant takes the room of the others.
    pub tenant_bytes: usize,
    /// WebSockets open at a time.
    pub sockets: usize,
    /// Of these, those of one tenant.
    pub tenant_sockets: usize,
    /// Bytes of a message. A WebSocket may hold twice as many while one is coming in.
    pub message_bytes: usize,
    /// Seconds between two pings on a WebSocket; one that says nothing for three times as long is closed.
    pub ping_seconds: u64,
    /// Seconds without a message after which a WebSocket is closed. Its session lives on.
    pub socket_idle_seconds: u64,
    /// Seconds that a client may take to take an answer.
    pub slow_seconds: u64,
    /// Bytes of all sessions of this process, if there is no Redis.
    pub in_process_bytes: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle_seconds: 86_400,
            bars: 1_000,
            state_bytes: 1 << 20,
            answers: 32,
            answer_bytes: 1 << 20,
            tenant_bytes: 64 << 20,
            sockets: 4_096,
            tenant_sockets: 1_024,
            message_bytes: 128 << 10,
            ping_seconds: 20,
            socket_idle_seconds: 900,
            slow_seconds: 10,
            in_process_bytes: 256 << 20,
        }
    }
}

impl Sessions {
    /// How long a session may be idle.
    pub const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// Between two pings.
    pub const fn ping(&self) -> Duration {
        Duration::from_secs(self.ping_seconds)
    }

    /// How long a WebSocket may be without a message.
    pub const fn socket_idle(&self) -> Duration {
        Duration::from_secs(self.socket_idle_seconds)
    }

    /// How long a client may take to take an answer.
    pub const fn slow(&self) -> Duration {
        Duration::from_secs(self.slow_seconds)
    }
}

/// Settings of Redis. Without an address, limits and sessions are those of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Its address, `redis://host:6379` or `rediss://user:password@host:6379/0`; `REDIS_URL` says it too.
    #[serde(default, skip_serializing)]
    pub url: Option<SecretString>,
    /// What the names of all keys and channels begin with: services that share a Redis must not share this.
    pub key_prefix: String,
    /// Milliseconds that a call may take.
    pub timeout_ms: u64,
    /// Failures in a row after which Redis is asked no more, until it answers the one who tries.
    pub breaker_failures: u32,
    /// Milliseconds between two tries.
    pub breaker_rest_ms: u64,
    /// Replicas to assume until Redis has said how many there are: without it, limits are kept by shares.
    pub replicas: u64,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            key_prefix: "rulebox:".to_owned(),
            timeout_ms: 250,
            breaker_failures: 3,
            breaker_rest_ms: 250,
            replicas: 1,
        }
    }
}

impl Redis {
    /// How long a call may take.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long nobody asks.
    pub const fn breaker_rest(&self) -> Duration {
        Duration::from_millis(self.breaker_rest_ms)
    }
}
