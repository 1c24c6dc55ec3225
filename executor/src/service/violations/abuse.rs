//! Bad keys again and again from one address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::audit::Chain;
use crate::domain::caller::RequestMarks;
use crate::domain::violation::{Kind, NewViolation};
use crate::service::Service;

/// Addresses that are watched at a time.
const ADDRESSES: u64 = 100_000;
/// The time in which bad keys are counted together.
const WINDOW: Duration = Duration::from_mins(1);

/// How many bad keys came from where, within the last minute.
#[derive(Clone, Debug)]
pub struct BadKeys(Cache<IpAddr, Arc<AtomicU64>>);

impl Default for BadKeys {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(ADDRESSES).time_to_live(WINDOW).build())
    }
}

/// Who has one address of a /64 of IPv6 has all of them.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl BadKeys {
    /// Counts one more; gives how many there were within the minute.
    fn count(&self, from: IpAddr) -> u64 {
        self.0.get_with(from, Arc::default).fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Service {
    /// A key that came from this address was refused. Too many of them within a minute are a violation, which belongs to
    /// no tenant.
    pub async fn bad_key(&self, address: IpAddr, marks: &RequestMarks) {
        let from = neighbourhood(address);
        let tries = self.bad_keys.count(from);
        let many = u64::from(self.settings.api.bad_keys);
        if many == 0 || !tries.is_multiple_of(many) {
            return;
        }
        let violation = NewViolation {
            subject: from.to_string(),
            detail: serde_json::json!({ "address": address, "tries": tries }),
            ..NewViolation::new(Kind::AuthAbuse, false, marks.clone(), None)
        };
        if let Err(error) = self.record(Chain(None), violation).await {
            tracing::error!(%error, "bad keys were not recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_apart_and_those_of_one_network_together() {
        let keys = BadKeys::default();
        let count = |address: &str| keys.count(neighbourhood(address.parse().unwrap()));
        assert_eq!([count("192.0.2.1"), count("192.0.2.1"), count("192.0.2.2")], [1, 2, 1]);
        assert_eq!(count("::ffff:192.0.2.1"), 3);
        assert_eq!([count("2001:db8::1"), count("2001:db8::2:3:4:5"), count("2001:db8:0:1::1")], [1, 2, 1]);
    }
}
