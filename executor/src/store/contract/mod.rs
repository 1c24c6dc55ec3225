//! What every store must do. A store's own tests call [`all`] over a fresh one with two tenants.

mod outbox;
mod review;
mod tenancy;
mod usage;
mod violations;
mod webhooks;

pub(crate) use outbox::webhooks_are_told_what_they_want;
pub(crate) use violations::{FEW, violation};

use std::sync::Arc;

use rulebox_dsl::Limits;
use rulebox_sandbox::Digest;
use uuid::Uuid;

use super::{Change, Precondition, Selection, Store, StoreError};
use crate::domain::audit::{Seal, Sealer};
use crate::domain::caller::{Actor, KeyId, Role, TenantId};
use crate::domain::key::NewKey;
use crate::domain::rule::{Most, NewVersion, RuleName, Storage};
use crate::domain::tenant::TenantName;

/// Runs the whole contract. The store has these two tenants and nothing else.
pub(super) async fn all(store: &dyn Store, a: TenantId, b: TenantId) {
    a_rule_begins_with_an_active_version(store, a).await;
    versions_are_numbered_and_kept(store, a).await;
    activation_goes_back_and_forth(store, a).await;
    archiving_keeps_everything(store, a).await;
    lists_come_in_pages(store, a).await;
    tenants_do_not_see_each_other(store, a, b).await;
    only_the_first_tenant_is_made(store).await;
    the_check_of_the_secret_is_kept(store).await;
    tenancy::all(store, a, b).await;
    usage::all(store, a, b).await;
    violations::all(store, a, b).await;
    review::all(store, a, b).await;
    outbox::all(store, a, b).await;
    webhooks::all(store, a, b).await;
    store.check().await.unwrap();
}

fn name(text: &str) -> RuleName {
    RuleName::new(text).unwrap()
}

/// What a tenant may have, where a test is not about it.
pub(super) const MOST: Most = Most { rules: 1_000, storage: Storage { versions: 1_000, bytes: 1 << 30 } };

/// A version whose text, module and digest depend on `limit`.
pub(super) fn version(limit: u32) -> NewVersion {
    let source = format!("rule floor(equity) = equity < {limit}");
    let compiled = rulebox_dsl::compile(&source, &Limits::DEFAULT).unwrap();
    NewVersion {
        source: Some(source),
        digest: Digest::of(&compiled.module),
        module: compiled.module,
        manifest: compiled.manifest,
    }
}

/// Seals that anybody could make: the store does not look at them.
#[derive(Debug)]
pub(crate) struct NoSecret;

impl Sealer for NoSecret {
    fn seal(&self, bytes: &[u8]) -> Seal {
        let digest = Digest::of(bytes);
        let mut seal = [1; Seal::BYTES];
        seal[1..].copy_from_slice(&digest.0);
        Seal(seal)
    }

    fn is_sealed(&self, bytes: &[u8], seal: &Seal) -> bool {
        self.seal(bytes) == *seal
    }

    fn has_key_of(&self, seal: &Seal) -> bool {
        seal.0.first() == Some(&1)
    }
}

/// A change by somebody.
pub(crate) fn change() -> Change {
    Change {
        actor: Actor::key(KeyId(Uuid::now_v7()), "rbx_live_contract"),
        request_id: "request".to_owned(),
        sealer: Arc::new(NoSecret),
        claim: None,
    }
}

const ANY: &Precondition = &Precondition::None;

async fn a_rule_begins_with_an_active_version(store: &dyn Store, tenant: TenantId) {
    let new = version(1);
    let made = store.create_rule(tenant, &name("begins"), &new, &MOST, &change()).await.unwrap();
    assert_eq!((made.number, made.digest, &made.manifest), (1, new.digest, &new.manifest));
    let rule = store.rule(tenant, &name("begins")).await.unwrap();
    assert_eq!((rule.latest_version, rule.active_version, rule.archived_at), (1, Some(1), None));
    let again = store.create_rule(tenant, &name("begins"), &version(2), &MOST, &change()).await;
    assert!(matches!(again, Err(StoreError::NameTaken { archived: false, .. })), "{again:?}");
    assert_eq!(store.source(tenant, &name("begins"), 1).await.unwrap(), new.source, "nothing of the second was kept");
    let module = store.module(tenant, &name("begins"), 1).await.unwrap();
    assert_eq!((module.bytes, module.manifest), (new.module, new.manifest));
}

async fn versions_are_numbered_and_kept(store: &dyn Store, tenant: TenantId) {
    let rule = name("numbered");
    store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await.unwrap();
    for number in 2..=5 {
        assert_eq!(
            store.add_version(tenant, &rule, &version(number), ANY, &MOST, &change()).await.unwrap().number,
            number
        );
    }
    let found = store.rule(tenant, &rule).await.unwrap();
    assert_eq!((found.latest_version, found.active_version), (5, Some(1)), "an upload does not activate");
    for number in 1..=5 {
        let kept = store.version(tenant, &rule, number).await.unwrap();
        assert_eq!((kept.number, kept.digest), (number, version(number).digest));
    }
    let missing = store.version(tenant, &rule, 6).await;
    assert!(matches!(missing, Err(StoreError::NoVersion(_, 6))), "{missing:?}");
    assert!(matches!(store.source(tenant, &rule, 0).await, Err(StoreError::NoVersion(..))));
    assert!(matches!(store.module(tenant, &name("no"), 1).await, Err(StoreError::NoRule(_))));
    assert!(matches!(
        store.add_version(tenant, &name("no"), &version(1), ANY, &MOST, &change()).await,
        Err(StoreError::NoRule(_))
    ));
}

async fn activation_goes_back_and_forth(store: &dyn Store, tenant: TenantId) {
    let rule = name("activated");
    store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await.unwrap();
    store.add_version(tenant, &rule, &version(2), ANY, &MOST, &change()).await.unwrap();
    let runs = async |version| {
        let found = store.runnable(tenant, &Selection::Named(vec![(rule.clone(), version)])).await?;
        Ok::<_, StoreError>(found.first().map(|runnable| runnable.version))
    };
    assert_eq!(runs(None).await.unwrap(), Some(1));
    assert_eq!(store.activate(tenant, &rule, 2, ANY, &change()).await.unwrap().active_version, Some(2));
    assert_eq!(runs(None).await.unwrap(), Some(2));
    assert_eq!(runs(Some(1)).await.unwrap(), Some(1));
    assert_eq!(store.activate(tenant, &rule, 1, ANY, &change()).await.unwrap().active_version, Some(1));
    assert_eq!(runs(None).await.unwrap(), Some(1));
    for bad in [0, 3, u32::MAX] {
        assert!(
            matches!(store.activate(tenant, &rule, bad, ANY, &change()).await, Err(StoreError::NoVersion(..))),
            "{bad}"
        );
    }
    assert!(matches!(runs(Some(3)).await, Err(StoreError::NoVersion(..))));
    assert!(matches!(store.activate(tenant, &name("no"), 1, ANY, &change()).await, Err(StoreError::NoRule(_))));
}

async fn archiving_keeps_everything(store: &dyn Store, tenant: TenantId) {
    let rule = name("archived");
    store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await.unwrap();
    let first = store.archive_rule(tenant, &rule, ANY, &change()).await.unwrap();
    assert!(first.archived_at.is_some() && first.active_version.is_none());
    assert_eq!(store.archive_rule(tenant, &rule, ANY, &change()).await.unwrap(), first, "once more changes nothing");
    assert!(store.source(tenant, &rule, 1).await.unwrap().is_some());
    let selection = |version| Selection::Named(vec![(rule.clone(), version)]);
    assert_eq!(store.runnable(tenant, &selection(Some(1))).await.unwrap().len(), 1);
    assert!(matches!(store.runnable(tenant, &selection(None)).await, Err(StoreError::Archived(_))));
    assert!(matches!(store.activate(tenant, &rule, 1, ANY, &change()).await, Err(StoreError::Archived(_))));
    assert!(matches!(
        store.add_version(tenant, &rule, &version(2), ANY, &MOST, &change()).await,
        Err(StoreError::Archived(_))
    ));
    let again = store.create_rule(tenant, &rule, &version(1), &MOST, &change()).await;
    assert!(matches!(again, Err(StoreError::NameTaken { archived: true, .. })));
    assert!(matches!(store.archive_rule(tenant, &name("no"), ANY, &change()).await, Err(StoreError::NoRule(_))));
}

async fn lists_come_in_pages(store: &dyn Store, tenant: TenantId) {
    let names = async |after: Option<&str>, limit, archived| {
        let page = store.rules(tenant, after.map(name).as_ref(), limit, archived).await.unwrap();
        page.iter().map(|rule| rule.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2, false).await, ["activated", "begins"]);
    assert_eq!(names(Some("begins"), 10, false).await, ["numbered"]);
    assert_eq!(names(None, 2, true).await, ["activated", "archived"]);
    let versions = store.versions(tenant, &name("numbered"), 2, 2).await.unwrap();
    assert_eq!(versions.iter().map(|v| v.number).collect::<Vec<_>>(), [3, 4]);
    assert!(matches!(store.versions(tenant, &name("no"), 0, 1).await, Err(StoreError::NoRule(_))));
    let active = store.runnable(tenant, &Selection::Active(1)).await.unwrap();
    assert_eq!(active.len(), 2, "one more than asked for, so that a caller can tell");
    let active = store.runnable(tenant, &Selection::Active(10)).await.unwrap();
    assert_eq!(active.iter().map(|r| r.rule.as_str()).collect::<Vec<_>>(), ["activated", "begins", "numbered"]);
}

async fn tenants_do_not_see_each_other(store: &dyn Store, a: TenantId, b: TenantId) {
    let rule = name("begins");
    assert!(store.rule(a, &rule).await.is_ok());
    assert!(matches!(store.rule(b, &rule).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.version(b, &rule, 1).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.versions(b, &rule, 0, 9).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.source(b, &rule, 1).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.module(b, &rule, 1).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.activate(b, &rule, 1, ANY, &change()).await, Err(StoreError::NoRule(_))));
    assert!(matches!(store.archive_rule(b, &rule, ANY, &change()).await, Err(StoreError::NoRule(_))));
    assert!(matches!(
        store.add_version(b, &rule, &version(1), ANY, &MOST, &change()).await,
        Err(StoreError::NoRule(_))
    ));
    let selection = Selection::Named(vec![(rule.clone(), Some(1))]);
    assert!(matches!(store.runnable(b, &selection).await, Err(StoreError::NoRule(_))));
    assert_eq!(store.runnable(b, &Selection::Active(10)).await.unwrap(), []);
    assert_eq!(store.rules(b, None, 10, true).await.unwrap(), []);
    // The same name is another rule.
    store.create_rule(b, &rule, &version(7), &MOST, &change()).await.unwrap();
    assert_eq!(store.version(b, &rule, 1).await.unwrap().digest, version(7).digest);
    assert_eq!(store.version(a, &rule, 1).await.unwrap().digest, version(1).digest);
}

async fn only_the_first_tenant_is_made(store: &dyn Store) {
    let key = new_key("rbx_live_another", [9; 32]);
    assert!(!store.create_first_tenant(&TenantName::new("another").unwrap(), &key, &change()).await.unwrap());
    assert_eq!(store.keys("rbx_live_another").await.unwrap(), []);
}

/// A key of a tenant.
pub(super) fn new_key(prefix: &str, hash: [u8; 32]) -> NewKey {
    NewKey {
        id: KeyId(Uuid::now_v7()),
        name: "contract".to_owned(),
        prefix: prefix.to_owned(),
        hash,
        roles: Role::OF_TENANT.to_vec(),
        expires_at: None,
    }
}

async fn the_check_of_the_secret_is_kept(store: &dyn Store) {
    assert!(store.has_tenant().await.unwrap());
    assert_eq!(store.secret_check().await.unwrap(), None);
    assert!(store.keep_secret_check(None, &[1; 32]).await.unwrap());
    assert!(!store.keep_secret_check(None, &[2; 32]).await.unwrap(), "another was quicker");
    assert!(!store.keep_secret_check(Some(&[3; 32]), &[2; 32]).await.unwrap());
    assert_eq!(store.secret_check().await.unwrap(), Some([1; 32]));
    assert!(store.keep_secret_check(Some(&[1; 32]), &[2; 32]).await.unwrap());
    assert_eq!(store.secret_check().await.unwrap(), Some([2; 32]));
}
