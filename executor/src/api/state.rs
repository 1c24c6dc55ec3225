//! What handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRef;

use super::body_room::BodyRooms;
use crate::service::Service;
use crate::store::PlatformStore;

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The use cases.
    pub service: Service,
    /// Room for request bodies.
    pub body_room: BodyRooms,
}

impl ApiState {
    /// Shared parts of the API.
    pub fn new(service: Service) -> Self {
        let refused = service.metrics().refused.with_label_values(&["body_room"]);
        let body_room = BodyRooms::new(service.settings().api.bodies_in_flight_bytes, refused);
        Self { service, body_room }
    }
}

impl FromRef<ApiState> for Service {
    fn from_ref(state: &ApiState) -> Self {
        state.service.clone()
    }
}

/// What the health port needs.
#[derive(Clone)]
pub struct HealthState {
    /// Metrics and pools.
    pub service: Service,
    /// Asked whether it answers.
    pub store: Arc<dyn PlatformStore>,
    /// Set when the service is to stop.
    pub draining: Arc<AtomicBool>,
    met_executors: Arc<AtomicBool>,
}

impl HealthState {
    /// Of a service that has met no executor yet.
    pub fn new(service: Service, store: Arc<dyn PlatformStore>, draining: Arc<AtomicBool>) -> Self {
        Self { service, store, draining, met_executors: Arc::default() }
    }

    /// Whether an executor is connected, or ever was.
    pub fn has_met_executors(&self, are_some_connected: bool) -> bool {
        self.met_executors.fetch_or(are_some_connected, Ordering::Relaxed) || are_some_connected
    }

    /// Whether the service is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
