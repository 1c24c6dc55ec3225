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

/// Why a name gives no address.
#[derive(Debug, thiserror::Error)]
pub enum LookUpError {
    /// Nobody knows it, or who does cannot be asked.
    #[error("the name cannot be looked up")]
    Unknown(#[from] std::io::Error),
    /// It stands for an address that is not permitted.
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
}

impl PermittedOnly {
    /// The addresses of a name now. One that is not permitted would be enough for somebody who asks until he gets it, so
    /// then there is none.
    ///
    /// # Errors
    /// [`LookUpError`].
    pub async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, LookUpError> {
        let found = self.names.look_up(name).await?;
        if found.iter().all(|ip| self.policy.permits(*ip)) { Ok(found) } else { Err(NotPublic.into()) }
    }
}

impl Resolve for PermittedOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = this.look_up(name.as_str()).await.map_err(|error| match error {
                LookUpError::NotPublic(error) => Box::<dyn Error + Send + Sync>::from(error),
                LookUpError::Unknown(error) => error.into(),
            })?;
            // The port is that of the URL.
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
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
