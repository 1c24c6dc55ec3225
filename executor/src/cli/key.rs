//! `rulebox key`: API keys, beside the service.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::admin::{Admin, Owner};
use super::failure::Failure;
use crate::auth::key::ApiKey;
use crate::domain::at::At;
use crate::domain::caller::{KeyId, Role};
use crate::domain::key::KeyRecord;
use crate::service::keys::KeyRequest;

/// Make, list and revoke API keys
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: super::admin::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it: it is shown this once
    Create {
        #[command(flatten)]
        owner: Owner,
        /// Of a tenant: author, engine, tenant-admin; of the platform: security, admin
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// What its owner calls it
        #[arg(long, default_value = "")]
        name: String,
        /// When it ends: 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// List keys, one a line
    List {
        #[command(flatten)]
        owner: Owner,
    },
    /// Revoke a key: within a second no replica takes it
    Revoke {
        #[command(flatten)]
        owner: Owner,
        /// Its id, as `list` shows it
        id: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let makes = matches!(arguments.command, Command::Create { .. });
    arguments.settings.block_on(makes, async |admin: &Admin| match &arguments.command {
        Command::Create { owner, roles, name, expires } => {
            let chain = admin.owner(owner).await?;
            let asked = request(roles, name, expires.as_deref())?;
            asked.check(chain, admin.store.now().await?).map_err(|error| Failure::Usage(error.to_string()))?;
            let key = ApiKey::generate();
            let record = admin.keyring.record(&key, asked.name, asked.roles, asked.expires_at);
            let made = admin.store.create_key(chain, &record, "{}", &admin.change()).await?;
            eprintln!("made {}; the key is shown this once:", made.id);
            Ok(writeln!(stdout(), "{}", key.text().expose_secret())?)
        }
        Command::List { owner } => {
            let (chain, now) = (admin.owner(owner).await?, admin.store.now().await?);
            let mut after = None;
            loop {
                let page = admin.store.list_keys(chain, after, 1_000).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id);
                for key in &page {
                    show(key, now)?;
                }
            }
        }
        Command::Revoke { owner, id } => {
            let chain = admin.owner(owner).await?;
            let wrong = |_| Failure::Usage(format!("{id:?} is not the id of a key; `rulebox key list` shows them"));
            let id = Uuid::try_parse(id).map(KeyId).map_err(wrong)?;
            let revoked = admin.store.revoke_key(chain, id, &admin.change()).await?;
            show(&revoked, admin.store.now().await?)
        }
    })
}

fn request(roles: &[String], name: &str, expires: Option<&str>) -> Result<KeyRequest, Failure> {
    let role = |text: &String| {
        let names = || Role::ALL.map(Role::name).join(", ");
        Role::find(text).ok_or_else(|| Failure::Usage(format!("--role {text}: it is one of {}", names())))
    };
    let time = |text: &str| {
        let wrong = || Failure::Usage(format!("--expires {text}: it is a time like 2027-01-31T00:00:00Z"));
        At::parse(text).ok_or_else(wrong)
    };
    Ok(KeyRequest {
        name: name.to_owned(),
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        expires_at: expires.map(time).transpose()?,
    })
}

fn show(key: &KeyRecord, now: At) -> Result<(), Failure> {
    let roles: Vec<_> = key.roles.iter().map(|role| role.name()).collect();
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) if at <= now => format!("expired {at}"),
        (None, Some(at)) => format!("expires {at}"),
        (None, None) => "valid".to_owned(),
    };
    let name = if key.name.is_empty() { "-" } else { &key.name };
    Ok(writeln!(
        stdout(),
        "{}  {}...  {}  {state}  made {}  {name}",
        key.id,
        key.prefix,
        roles.join(","),
        key.created_at
    )?)
}
