//! `rulebox tenant`: tenants, their limits and what they used, beside the service.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use super::admin::Admin;
use super::failure::Failure;
use super::usage::{self, Times};
use crate::domain::tenant::{Tenant, TenantLimits, TenantName};
use crate::store::StoreError;

/// Make tenants, set their limits, suspend them, show what they used
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: super::admin::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a tenant
    Create {
        /// A small letter or digit, then small letters, digits or `-`
        name: String,
        #[command(flatten)]
        limits: Limits,
        /// Leave a tenant of this name as it is, limits and all, and succeed: for jobs that may run again
        #[arg(long)]
        if_absent: bool,
    },
    /// List the tenants, one a line
    List,
    /// Show a tenant
    Show {
        /// Its name
        name: String,
    },
    /// Give a tenant these limits; those that are not named are the defaults again
    Limits {
        /// Its name
        name: String,
        #[command(flatten)]
        limits: Limits,
    },
    /// Refuse a tenant's callers from now on
    Suspend {
        /// Its name
        name: String,
    },
    /// Let a tenant's callers in again
    Resume {
        /// Its name
        name: String,
    },
    /// Show what a tenant used, as far as the service has written it
    Usage {
        /// Its name
        name: String,
        #[command(flatten)]
        times: Times,
    },
}

const LIMITS: &str = "A limit: requests_per_second, fuel_per_second, fuel_per_call, memory_bytes, rules, versions, \
                      stored_bytes, state_bytes, rows_per_call, upload_bytes, or modules=true, which permits uploads of modules; may be given \
                      several times";

#[derive(Debug, Args)]
struct Limits {
    #[arg(long = "limit", value_name = "NAME=VALUE", help = LIMITS)]
    limits: Vec<String>,
}

impl Limits {
    fn read(&self) -> Result<TenantLimits, Failure> {
        let mut limits = serde_json::Map::new();
        for text in &self.limits {
            let wrong = || {
                let names = TenantLimits::NAMES.join(", ");
                Failure::Usage(format!("--limit {text}: it is NAME=NUMBER, or modules=true, with one of {names}"))
            };
            let (name, value) = text.split_once('=').ok_or_else(wrong)?;
            let value: serde_json::Value = serde_json::from_str(value).map_err(|_| wrong())?;
            let alone = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
            // A number that is none, a name that is not there.
            if value.is_null() || serde_json::from_value::<TenantLimits>(alone.into()).is_err() {
                return Err(wrong());
            }
            if limits.insert(name.to_owned(), value).is_some() {
                return Err(Failure::Usage(format!("--limit {name} is there twice")));
            }
        }
        serde_json::from_value(limits.into()).map_err(|error| Failure::Usage(error.to_string()))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let makes = matches!(arguments.command, Command::Create { .. });
    arguments.settings.block_on(makes, async |admin: &Admin| match &arguments.command {
        Command::Create { name, limits, if_absent } => {
            let (name, limits) = (tenant_name(name)?, limits.read()?);
            match admin.store.create_tenant(&name, &limits, &admin.change()).await {
                Err(StoreError::TenantTaken(_)) if *if_absent => show(&admin.store.tenant_named(&name).await?),
                made => show(&made?),
            }
        }
        Command::List => {
            let mut after: Option<TenantName> = None;
            loop {
                let page = admin.store.tenants(after.as_ref(), 1_000).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.name.clone());
                for tenant in &page {
                    show(tenant)?;
                }
            }
        }
        Command::Show { name } => show(&admin.tenant(name).await?),
        Command::Limits { name, limits } => {
            let (tenant, limits) = (admin.tenant(name).await?, limits.read()?);
            show(&admin.store.set_limits(tenant.id, &limits, &admin.change()).await?)
        }
        Command::Suspend { name } => suspend(admin, name, true).await,
        Command::Resume { name } => suspend(admin, name, false).await,
        Command::Usage { name, times } => usage::print(admin, name, times).await,
    })
}

async fn suspend(admin: &Admin, name: &str, suspended: bool) -> Result<(), Failure> {
    let tenant = admin.tenant(name).await?;
    show(&admin.store.set_suspended(tenant.id, suspended, &admin.change()).await?)
}

pub(super) fn tenant_name(name: &str) -> Result<TenantName, Failure> {
    TenantName::new(name).map_err(|error| Failure::Usage(format!("{name:?}: {error}")))
}

fn show(tenant: &Tenant) -> Result<(), Failure> {
    let state = tenant.suspended_at.map_or_else(|| "active".to_owned(), |at| format!("suspended {at}"));
    write!(stdout(), "{}  {}  made {}  {state}", tenant.name, tenant.id, tenant.created_at)?;
    for (name, limit) in tenant.limits.entries() {
        if let Some(limit) = limit {
            write!(stdout(), "  {name}={limit}")?;
        }
    }
    Ok(writeln!(stdout())?)
}
