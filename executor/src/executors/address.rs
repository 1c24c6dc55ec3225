//! Where executors are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How an executor is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket, for one that is on the same machine.
    Unix(PathBuf),
    /// Mutual TLS. A name may stand for many executors, each with an address of its own and a certificate of this
    /// name.
    Tls {
        /// A name, or an IP address.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Where an executor listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On a Unix socket.
    Unix(PathBuf),
    /// On this address and port, for mutual TLS.
    Tls(SocketAddr),
}

/// What a text should have been.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Of an executor.
    #[error("an executor is at `https://host:port` or `unix:/path/of/a/socket`")]
    Peer,
    /// To listen on.
    #[error("an executor listens on `address:port` or `unix:/path/of/a/socket`")]
    Listen,
}

fn unix(text: &str) -> Option<PathBuf> {
    text.strip_prefix("unix:").map(PathBuf::from).filter(|path| path.is_absolute())
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = unix(text) {
            return Ok(Self::Unix(path));
        }
        let rest = text.strip_prefix("https://").ok_or(BadAddress::Peer)?;
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':').ok_or(BadAddress::Peer)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| BadAddress::Peer)?;
        // What can be in a certificate.
        rustls::pki_types::ServerName::try_from(host).map_err(|_| BadAddress::Peer)?;
        Ok(Self::Tls { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Self::Tls { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

impl std::str::FromStr for Listen {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match unix(text) {
            Some(path) => Ok(Self::Unix(path)),
            None => text.parse().map(Self::Tls).map_err(|_| BadAddress::Listen),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls(address) => write!(f, "{address}"),
        }
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

as_text!(Address);
as_text!(Listen);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for text in
            ["https://executors.rulebox.svc:7443", "https://10.0.0.1:1", "https://[::1]:65535", "unix:/run/e.sock"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["", "http://a:1", "https://a", "https://a:b", "https://:1", "unix:", "unix:e.sock", "https://a b:1"]
        {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress::Peer), "{bad}");
        }
        for text in ["127.0.0.1:7443", "[::]:0", "unix:/run/e.sock"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("localhost:1".parse::<Listen>(), Err(BadAddress::Listen));
    }
}
