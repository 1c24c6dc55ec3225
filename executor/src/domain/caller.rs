//! Who calls: tenants, keys and what a key may do.

use uuid::Uuid;

/// A tenant. Values come from the store (with an authenticated key, or at the first start), never from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(Uuid);

impl TenantId {
    /// For the store alone.
    pub(crate) const fn from_store(id: Uuid) -> Self {
        Self(id)
    }

    /// Its id.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An API key, by its public id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub Uuid);

/// What a caller may do within its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Writes rules.
    Author,
    /// Evaluates and reads rules.
    Engine,
    /// Administers keys and limits of its tenant.
    TenantAdmin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Author, Self::Engine, Self::TenantAdmin];

    /// Its name in stores, answers and tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Engine => "engine",
            Self::TenantAdmin => "tenant-admin",
        }
    }

    /// The role of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Marks of one request, for records and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMarks {
    /// Issued by the server.
    pub request_id: String,
    /// Of the caller's `traceparent`, or a new one.
    pub trace_id: String,
}
