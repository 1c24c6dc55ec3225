//! What names stand for. A name is looked up at each connection, everything that it stands for is checked, and the
//! connection goes to what was checked: a name that stands for something else a moment later changes nothing.

use std::error::Error;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Policy;

/// Says what names stand for.
#[async_trait]
pub trait Names: Send + Sync + Debug + 'static {
    /// The addresses of a name now.
    ///
    /// # Errors
    /// If it cannot be looked up.
    async fn look_up(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// As the system says.
#[derive(Clone, Copy, Debug)]
pub struct SystemNames;

#[async_trait]
impl Names for SystemNames {
    async fn look_up(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A name stands for an address that is not permitted.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name stands for an address that is not public")]
pub struct NotPublic;

/// Looks names up, and gives addresses that are permitted.
#[derive(Clone, Debug)]
pub struct PermittedOnly {
    /// What is permitted.
    pub policy: Policy,
    /// Who knows.
    pub names: Arc<dyn Names>,
}

impl Resolve for PermittedOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { policy, names } = self.clone();
        Box::pin(async move { permitted(policy, &*names, name.as_str()).await })
    }
}

async fn permitted(policy: Policy, names: &dyn Names, name: &str) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found = names.look_up(name).await?;
    // One of several would be enough for somebody who asks until he gets it.
    if !found.iter().all(|ip| policy.permits(*ip)) {
        return Err(NotPublic.into());
    }
    // The port is that of the URL.
    Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to() {
        let of = |allow_loopback| PermittedOnly { policy: Policy { allow_loopback }, names: Arc::new(SystemNames) };
        let refused = of(false).resolve("localhost".parse().unwrap()).await;
        assert!(refused.is_err_and(|error| error.is::<NotPublic>()));
        let found = of(true).resolve("localhost".parse().unwrap()).await;
        assert!(found.is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback())));
    }
}
