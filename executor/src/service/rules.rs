//! Rules: checking, storing, activating, testing.

use std::sync::Arc;

use rulebox_dsl::diagnostic::Report;
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::testing;
use rulebox_sandbox::{Digest, Messages};

use super::modules::Upload;
use super::tenant_limits::InForce;
use super::{Caller, Service, ServiceError};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::idempotency::{Claim, IdempotentRequest, Made};
use crate::domain::rule::{NewVersion, Rule, RuleName, Version};
use crate::domain::violation::{Kind, NewViolation};
use crate::execution::compile::{Compiled, over_cost};
use crate::execution::modules::{Form, LoadError};
use crate::store::{Precondition, Selection, StoreError};

/// A text that compiles, without anything stored.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the module would take, give and cost.
    pub manifest: Manifest,
    /// Of the module.
    pub digest: Digest,
    /// Bytes of the module.
    pub module_bytes: usize,
    /// Tests in the text.
    pub tests: usize,
    /// What the author should look at.
    pub warnings: Vec<Report>,
}

/// A version that was stored, and what the author should look at.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// As stored.
    pub version: Version,
    /// Of the compiler.
    pub warnings: Vec<Report>,
}

/// How a test of a rule went.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// Its line, from 1.
    pub line: u32,
    /// Its bars.
    pub bars: usize,
    /// The first thing that was not as expected; `None` if all was.
    pub failure: Option<String>,
}

impl Service {
    /// Compiles a text and stores nothing.
    ///
    /// # Errors
    /// [`ServiceError::Source`], [`ServiceError::Cost`], or a full queue.
    pub async fn check(&self, tenant: TenantId, source: Vec<u8>) -> Result<Checked, ServiceError> {
        let limits = self.limits_of(tenant).await?.of_compiler(self.compiler.limits());
        let compiled = self.compiler.compile(tenant, source, limits, std::convert::identity).await?;
        if let Some(over) = self.over_cost(&compiled.manifest) {
            return Err(over);
        }
        Ok(Checked {
            digest: Digest::of(&compiled.module),
            module_bytes: compiled.module.len(),
            tests: compiled.rule.tests.len(),
            manifest: compiled.manifest,
            warnings: compiled.warnings,
        })
    }

    /// Makes a rule and its version 1, active at once. Without a name it takes the one in the text or the manifest.
    ///
    /// # Errors
    /// As [`Service::check`]; a module that is refused; a name that is taken or reserved; as many rules as the tenant may have.
    pub async fn create_rule(
        &self,
        caller: &Caller,
        name: Option<RuleName>,
        upload: Upload,
        request: Option<IdempotentRequest>,
    ) -> Result<Uploaded, ServiceError> {
        let name = name.map(RuleName::for_new_rule).transpose()?;
        let work = async |claim| self.create_rule_once(caller, name, upload, claim).await;
        let again = async |made| self.uploaded_before(caller, made).await;
        self.once(Chain(Some(caller.tenant)), request, work, again).await
    }

    async fn create_rule_once(
        &self,
        caller: &Caller,
        name: Option<RuleName>,
        upload: Upload,
        claim: Option<Claim>,
    ) -> Result<Uploaded, ServiceError> {
        if let Some(name) = &name {
            // Before the work; two at the same time are told apart by the store below.
            match self.store.rule(caller.tenant, name).await {
                Err(StoreError::NoRule(_)) => {}
                Err(error) => return Err(error.into()),
                Ok(rule) => {
                    return Err(
                        StoreError::NameTaken { name: name.clone(), archived: rule.archived_at.is_some() }.into()
                    );
                }
            }
        }
        let limits = self.limits_of(caller.tenant).await?;
        let (version, warnings) = self.new_version(caller, &limits, name.as_ref(), upload).await?;
        let name = match name {
            Some(name) => name,
            None => RuleName::new(&version.manifest.name)?.for_new_rule()?,
        };
        let change = self.change(caller, claim);
        let version = self.store.create_rule(caller.tenant, &name, &version, &limits.of_store(), &change).await?;
        self.changed(Chain(Some(caller.tenant)));
        self.check_upload(caller, &version);
        Ok(Uploaded { version, warnings })
    }

    /// Makes the next version of a rule. The active version stays.
    ///
    /// # Errors
    /// As [`Service::check`]; no such rule, or archived, or not as the caller has seen it.
    pub async fn add_version(
        &self,
        caller: &Caller,
        name: &RuleName,
        upload: Upload,
        precondition: &Precondition,
        request: Option<IdempotentRequest>,
    ) -> Result<Uploaded, ServiceError> {
        let work = async |claim| {
            // Before the work, and so that the caller learns of it rather than of an error in the text.
            self.store.rule(caller.tenant, name).await?;
            let limits = self.limits_of(caller.tenant).await?;
            let (version, warnings) = self.new_version(caller, &limits, Some(name), upload).await?;
            let change = self.change(caller, claim);
            let version = self
                .store
                .add_version(caller.tenant, name, &version, precondition, &limits.of_store(), &change)
                .await?;
            self.changed(Chain(Some(caller.tenant)));
            self.check_upload(caller, &version);
            Ok(Uploaded { version, warnings })
        };
        let again = async |made| self.uploaded_before(caller, made).await;
        self.once(Chain(Some(caller.tenant)), request, work, again).await
    }

    /// What an upload made when it was sent before. The text is compiled again for what the author was told.
    async fn uploaded_before(&self, caller: &Caller, made: Made) -> Result<Uploaded, ServiceError> {
        let name = RuleName::new(&made.subject)?;
        let number = made.number.unwrap_or(1);
        let version = self.store.version(caller.tenant, &name, number).await?;
        let Some(source) = self.store.source(caller.tenant, &name, number).await? else {
            return Ok(Uploaded { version, warnings: Vec::new() });
        };
        let most = *self.compiler.limits();
        let warnings =
            self.compiler.compile(caller.tenant, source.into_bytes(), most, |compiled| compiled.warnings).await?;
        Ok(Uploaded { version, warnings })
    }

    /// Compiles, checks the cost, passes the sandbox's gate and loads the module, so that the first run is warm.
    pub(super) async fn compile_version(
        &self,
        caller: &Caller,
        limits: &InForce,
        name: Option<&RuleName>,
        source: Vec<u8>,
    ) -> Result<(NewVersion, Vec<Report>), ServiceError> {
        let (modules, tenant) = (self.modules.clone(), caller.tenant);
        let limit = self.settings.compile.bar_fuel;
        let load = move |compiled: Compiled| {
            let digest = Digest::of(&compiled.module);
            let too_costly = over_cost(&compiled.manifest, limit).is_some();
            let loaded = if too_costly {
                Ok(())
            } else {
                modules.load(tenant, digest, Form::Columns, &compiled.module, &compiled.manifest).map(|_| ())
            };
            let Compiled { source, module, manifest, warnings, .. } = compiled;
            (NewVersion { source: Some(source), module, digest, manifest }, warnings, loaded)
        };
        let (version, warnings, loaded) =
            self.compiler.compile(caller.tenant, source, limits.of_compiler(self.compiler.limits()), load).await?;
        if let Some(over) = self.over_cost(&version.manifest) {
            return Err(self.record_cost(caller, name, version.digest, over).await?);
        }
        if let Err(error) = loaded {
            // What our own compiler made was refused by our own gate: our fault, and nothing is stored.
            if let LoadError::Refused(refusal) = &*error {
                let kind = Kind::from(refusal.kind);
                let record = NewViolation {
                    rule: name.cloned(),
                    digest: Some(version.digest),
                    refused: true,
                    ..NewViolation::new(kind, true, caller.marks.clone(), Some(caller.actor.id))
                };
                self.record_violation(caller, &record).await?;
            }
            return Err(error.into());
        }
        Ok((version, warnings))
    }

    fn over_cost(&self, manifest: &Manifest) -> Option<ServiceError> {
        let limit = self.settings.compile.bar_fuel;
        let cost = over_cost(manifest, limit)?;
        Some(ServiceError::Cost { rule: manifest.name.clone(), of: "one bar".to_owned(), cost, limit, violation: None })
    }

    async fn record_cost(
        &self,
        caller: &Caller,
        name: Option<&RuleName>,
        digest: Digest,
        over: ServiceError,
    ) -> Result<ServiceError, ServiceError> {
        let ServiceError::Cost { rule, of, cost, limit, .. } = over else { return Ok(over) };
        let record = NewViolation {
            rule: name.cloned(),
            digest: Some(digest),
            refused: true,
            fuel_used: cost,
            fuel_limit: limit,
            ..NewViolation::new(Kind::CostLimit, true, caller.marks.clone(), Some(caller.actor.id))
        };
        let id = self.record_violation(caller, &record).await?;
        Ok(ServiceError::Cost { rule, of, cost, limit, violation: Some(id) })
    }

    /// Runs the `test` blocks of a version (without one, of the active version) in the sandbox.
    ///
    /// # Errors
    /// No such rule or version; [`ServiceError::NoTests`] of a module; [`ServiceError::Source`] if this version of the service no longer compiles the text;
    /// [`ServiceError::Violation`] if a limit is too tight for a test.
    pub async fn test(
        &self,
        caller: &Caller,
        name: &RuleName,
        version: Option<u32>,
    ) -> Result<(u32, Vec<TestOutcome>), ServiceError> {
        let limits = self.limits_of(caller.tenant).await?.of_run(&self.limits);
        let selection = Selection::Named(vec![(name.clone(), version)]);
        let found = self.find(caller, &selection).await?;
        let runnable = found.into_iter().next().ok_or_else(|| StoreError::NoRule(name.clone()))?;
        let stored = self.store.module(caller.tenant, name, runnable.version).await?;
        let source = self.store.source(caller.tenant, name, runnable.version).await?;
        let source = source.ok_or_else(|| ServiceError::NoTests { rule: name.as_str().to_owned() })?;
        let (modules, digest, tenant) = (self.modules.clone(), runnable.digest, caller.tenant);
        let run = move |compiled: Compiled| -> Result<_, Arc<LoadError>> {
            let prepared = modules.load(tenant, digest, Form::Columns, &stored.bytes, &stored.manifest)?;
            let limits = prepared.limits(&limits, Messages::None);
            let mut stopped = None;
            let results = testing::run(&compiled.rule, &prepared.manifest, |params, input, sink| {
                let run = prepared.module.run(prepared.setup(params, &limits), input, sink);
                run.map(|_| ()).map_err(|error| stopped.get_or_insert(error).to_string())
            });
            let lines = LineIndex::new(&compiled.source);
            let outcome = |result: &testing::TestResult<_>| TestOutcome {
                name: result.name.clone(),
                line: lines.position(result.span.start).line,
                bars: result.bars,
                failure: result.describe(&lines),
            };
            Ok(match stopped {
                Some(error) => Err(error),
                None => Ok(results.iter().map(outcome).collect()),
            })
        };
        match self.compiler.compile(caller.tenant, source.into_bytes(), *self.compiler.limits(), run).await?? {
            Ok(outcomes) => Ok((runnable.version, outcomes)),
            // A limit that a test meets says nothing of the rule's text, so it fails no test.
            Err(error) => Err(self.stopped(caller, &runnable, true, error).await?),
        }
    }

    /// A rule.
    ///
    /// # Errors
    /// No such rule.
    pub async fn rule(&self, tenant: TenantId, name: &RuleName) -> Result<Rule, ServiceError> {
        Ok(self.store.rule(tenant, name).await?)
    }

    /// A page of rules by name, and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn rules(
        &self,
        tenant: TenantId,
        after: Option<&RuleName>,
        limit: u32,
        archived: bool,
    ) -> Result<(Vec<Rule>, bool), ServiceError> {
        let page = self.store.rules(tenant, after, limit.saturating_add(1), archived).await?;
        Ok(super::page(page, limit))
    }

    /// A page of versions in ascending order, and whether there are more.
    ///
    /// # Errors
    /// No such rule.
    pub async fn versions(
        &self,
        tenant: TenantId,
        name: &RuleName,
        after: u32,
        limit: u32,
    ) -> Result<(Vec<Version>, bool), ServiceError> {
        let page = self.store.versions(tenant, name, after, limit.saturating_add(1)).await?;
        Ok(super::page(page, limit))
    }

    /// A version.
    ///
    /// # Errors
    /// No such rule or version.
    pub async fn version(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Version, ServiceError> {
        Ok(self.store.version(tenant, name, number).await?)
    }

    /// The text of a version; `None` for a module that was not compiled here.
    ///
    /// # Errors
    /// No such rule or version.
    pub async fn source(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Option<String>, ServiceError> {
        Ok(self.store.source(tenant, name, number).await?)
    }

    /// The module of a version.
    ///
    /// # Errors
    /// No such rule or version.
    pub async fn module(&self, tenant: TenantId, name: &RuleName, number: u32) -> Result<Vec<u8>, ServiceError> {
        Ok(self.store.module(tenant, name, number).await?.bytes)
    }

    /// Makes a version the active one.
    ///
    /// # Errors
    /// No such rule or version; an archived rule, or one that is not as the caller has seen it.
    pub async fn activate(
        &self,
        caller: &Caller,
        name: &RuleName,
        version: u32,
        precondition: &Precondition,
    ) -> Result<Rule, ServiceError> {
        let change = self.change(caller, None);
        let rule = self.store.activate(caller.tenant, name, version, precondition, &change).await?;
        self.changed(Chain(Some(caller.tenant)));
        Ok(rule)
    }

    /// Archives a rule: it takes no new versions and runs only by version. Nothing of it is lost.
    ///
    /// # Errors
    /// No such rule; one that is not as the caller has seen it.
    pub async fn archive(
        &self,
        caller: &Caller,
        name: &RuleName,
        precondition: &Precondition,
    ) -> Result<Rule, ServiceError> {
        let change = self.change(caller, None);
        let rule = self.store.archive_rule(caller.tenant, name, precondition, &change).await?;
        self.changed(Chain(Some(caller.tenant)));
        Ok(rule)
    }
}
