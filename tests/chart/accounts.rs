//! Accounts: one for each kind of pod, without a token, without a role.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{containers, list, of_kind, pods, text};

/// Kinds that give rights, or hold secrets.
const REFUSED: [&str; 5] = ["Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];

pub(crate) fn powerless(objects: &[Value], found: &mut Found) {
    for object in objects {
        found.of(object, !REFUSED.contains(&text(&object["kind"])), "the chart makes none of this kind");
    }
    for (object, template) in pods(objects) {
        let spec = &template["spec"];
        let name = text(&spec["serviceAccountName"]);
        let account = of_kind(objects, "ServiceAccount").find(|account| account["metadata"]["name"] == name);
        found.of(object, account.is_some(), &format!("its account '{name}' is missing"));
        let component = |template: &Value| template["metadata"]["labels"]["app.kubernetes.io/component"].clone();
        let mut users = pods(objects).filter(|(_, other)| other["spec"]["serviceAccountName"] == name);
        let own = users.all(|(_, other)| component(other) == component(template));
        found.of(object, own, "its account is another part's too");
        found.of(object, spec["automountServiceAccountToken"] == false, "a token is mounted");
        found.of(object, spec["enableServiceLinks"] == false, "Services are variables, which are read as settings");
        // A token for others is in a volume that nothing here mounts.
        for volume in list(&spec["volumes"]) {
            let sources = list(&volume["projected"]["sources"]);
            let token = sources.iter().any(|source| source["serviceAccountToken"].is_object());
            let mounted = containers(template).flat_map(|container| list(&container["volumeMounts"]));
            let mounted = mounted.into_iter().any(|mount| mount["name"] == volume["name"]);
            found.of(object, !(token && mounted), "a container has a token");
            let bound = sources.iter().all(|source| !text(&source["serviceAccountToken"]["audience"]).is_empty());
            found.of(object, bound, "a token is for anybody");
        }
    }
    for account in of_kind(objects, "ServiceAccount") {
        found.of(account, account["automountServiceAccountToken"] == false, "its token is mounted");
        let used =
            pods(objects).any(|(_, template)| template["spec"]["serviceAccountName"] == account["metadata"]["name"]);
        // A Job of an install that is made again by a rollback to it.
        let kept = text(&account["metadata"]["name"]).ends_with("-migrate-install");
        found.of(account, used || kept, "nobody uses it");
    }
}

#[test]
fn accounts_have_no_power() {
    holds_everywhere("accounts", powerless, 500);
}

#[test]
fn accounts_with_power_are_found() {
    const POD: &str = "/spec/template/spec";
    let role = json!({"kind": "Role", "metadata": {"name": "x"}});
    let mount = json!({"name": "vault-token", "mountPath": "/x"});
    finds(
        powerless,
        &[
            broken("default", "Service rulebox-api", "", role, "makes none of this kind"),
            broken("default", "Deployment rulebox-api", format!("{POD}/serviceAccountName"), None, "is missing"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{POD}/serviceAccountName"),
                json!("rulebox-executor"),
                "another part's too",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{POD}/automountServiceAccountToken"),
                None,
                "a token is mounted",
            ),
            broken("default", "Deployment rulebox-api", format!("{POD}/enableServiceLinks"), json!(true), "variables"),
            broken(
                "default",
                "ServiceAccount rulebox-api",
                "/automountServiceAccountToken",
                None,
                "its token is mounted",
            ),
            broken("default", "Job rulebox-migrate", "", None, "ServiceAccount rulebox-migrate: nobody uses it"),
            broken(
                "vault",
                "Deployment rulebox-api",
                format!("{POD}/containers/0/volumeMounts/-"),
                mount,
                "has a token",
            ),
            broken(
                "vault",
                "Deployment rulebox-api",
                format!("{POD}/volumes/0/projected/sources/0/serviceAccountToken/audience"),
                None,
                "for anybody",
            ),
        ],
    );
}
