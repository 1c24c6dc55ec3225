//! Where an executor listens: made before the process gives up making sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use crate::executors::address::Listen;

/// A socket that listens, of no runtime yet.
#[derive(Debug)]
pub enum Listener {
    /// Of this machine.
    Unix(std::os::unix::net::UnixListener),
    /// For mutual TLS.
    Tls(std::net::TcpListener),
}

/// It cannot listen there.
#[derive(Debug, thiserror::Error)]
#[error("an executor cannot listen on {listen}: {source}; RULEBOX_EXECUTORS__LISTEN sets another place")]
pub struct ListenError {
    /// As asked for.
    listen: Listen,
    /// What the system said.
    source: io::Error,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// If the place is taken, or may not be had.
    pub fn bind(listen: &Listen) -> Result<Self, ListenError> {
        let bound = match listen {
            Listen::Unix(path) => unix(path).map(Self::Unix),
            Listen::Tls(address) => std::net::TcpListener::bind(address).map(Self::Tls),
        };
        let bound = bound.and_then(|bound| {
            match &bound {
                Self::Unix(listener) => listener.set_nonblocking(true),
                Self::Tls(listener) => listener.set_nonblocking(true),
            }?;
            Ok(bound)
        });
        bound.map_err(|source| ListenError { listen: listen.clone(), source })
    }

    /// Where it listens: a port that was asked for as 0 is another.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self, asked: &Listen) -> io::Result<Listen> {
        match self {
            Self::Unix(_) => Ok(asked.clone()),
            Self::Tls(listener) => listener.local_addr().map(Listen::Tls),
        }
    }
}

/// A socket in the file system, for the user and his group. One that a process left behind is replaced; one that is
/// listened on is not.
fn unix(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::net::{UnixListener, UnixStream};
    let bind = || -> io::Result<UnixListener> {
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
        Ok(listener)
    };
    match bind() {
        Err(taken) if taken.kind() == ErrorKind::AddrInUse => {
            let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
            match UnixStream::connect(path) {
                Err(error) if is_socket && error.kind() == ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)?;
                    bind()
                }
                _ => Err(taken),
            }
        }
        bound => bound,
    }
}
