//! Against a real Redis.

mod away;
mod changes;
mod code;
mod limits;
mod sessions;

use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_tests::servers::redis::Redis;
use uuid::Uuid;

use super::RedisShared;
use crate::config::{self, Config};
use crate::domain::caller::TenantId;
use crate::shared::{Health, Quota, SessionId};

const TENANT_BYTES: usize = 8 << 10;
const HOUR: Duration = Duration::from_hours(1);
const QUOTA: Quota = Quota { per_second: 1, burst: 100 };

fn settings() -> config::Redis {
    // A test's machine may be busy: what is slow is not away.
    config::Redis { timeout_ms: 5_000, ..Config::on_free_ports(Path::new("d")).unwrap().redis }
}

fn connect(server: &Redis, settings: &config::Redis) -> RedisShared {
    RedisShared::open(settings, &server.url(), TENANT_BYTES).unwrap()
}

async fn raw(server: &Redis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn tenant(n: u128) -> TenantId {
    TenantId::from_store(Uuid::from_u128(n))
}

/// A session of the first tenant.
fn id(n: u128) -> SessionId {
    SessionId { tenant: tenant(1), id: Uuid::from_u128(n) }
}

/// Waits for what must come, and says how long it took.
async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !there().await {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}: not after 30 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{what}: after {:?}", began.elapsed());
    began.elapsed()
}

async fn until_up(shared: &RedisShared, up: bool) -> Duration {
    until(if up { "Redis is back" } else { "Redis is away" }, async || shared.up() == Some(up)).await
}

#[test]
fn an_address_that_is_none_is_refused_without_being_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    for url in ["", "http://user:hunter2@host", "redis://user:hunter2@host:port", "user:hunter2"] {
        let error = RedisShared::open(&settings(), url, TENANT_BYTES).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("RULEBOX_REDIS__URL") && !said.contains("hunter2"), "{said}");
    }
}
