//! Which executors there are: a name may stand for many, and for others a moment later.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::peer::{Peer, Place};
use super::{Address, Shared, connect};
use crate::telemetry::chain;

/// Keeps the executors of an address connected, until `stop`.
pub(super) async fn watch(shared: Arc<Shared>, address: Address, stop: CancellationToken) {
    let mut known: Vec<(Arc<Peer>, DropGuard)> = Vec::new();
    let add = |place: Place, known: &mut Vec<(Arc<Peer>, DropGuard)>| {
        let (peer, gone) = (Peer::new(place, shared.options.runs), stop.child_token());
        shared.places.change(|peers| peers.push(Arc::clone(&peer)));
        tokio::spawn(connect::keep(Arc::clone(&shared), Arc::clone(&peer), gone.clone()));
        known.push((peer, gone.drop_guard()));
    };
    let (host, port) = match &address {
        Address::Unix(path) => {
            add(Place::Unix(path.clone()), &mut known);
            return stop.cancelled().await;
        }
        Address::Tls { host, port } => (host.clone(), *port),
    };
    let mut said = false;
    loop {
        match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => {
                said = false;
                let places: Vec<_> = found.map(|address| Place::Tls(address, host.clone())).collect();
                // Its runs come to their end; then the connection does.
                let (stay, gone) = known.into_iter().partition(|(peer, _)| places.contains(&peer.place));
                known = stay;
                let gone: Vec<(Arc<Peer>, DropGuard)> = gone;
                // Another address may stand for the same: its own are its own.
                let is_gone = |peer: &Arc<Peer>| gone.iter().any(|(gone, _)| Arc::ptr_eq(gone, peer));
                shared.places.change(|peers| peers.retain(|peer| !is_gone(peer)));
                drop(gone);
                for place in places {
                    if known.iter().all(|(peer, _)| peer.place != place) {
                        add(place, &mut known);
                    }
                }
            }
            // Those that were known stay: a name server that is away takes no executor with it.
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::warn!(%address, error = chain(&error), "the name of the executors cannot be resolved");
            }
            Err(_) => {}
        }
        if stop.run_until_cancelled(tokio::time::sleep(shared.options.resolve_time)).await.is_none() {
            return;
        }
    }
}
