//! The rules that a request names: which, at which versions, with which params.

use crate::api::bars_json::Rules;
use crate::api::params::{rule_at, shorten};
use crate::api::problem::Problem;
use crate::domain::bars::Params;
use crate::domain::rule::RuleName;

/// What a request of several rules says of them.
pub(super) struct NamedRules {
    /// Without them, all that are active.
    pub rules: Option<Vec<RuleName>>,
    /// Of those that shall not run their active one.
    pub versions: Vec<(RuleName, u32)>,
    /// By rule.
    pub params: Vec<(RuleName, Params)>,
}

impl NamedRules {
    /// Reads the names.
    ///
    /// # Errors
    /// The first that cannot be a rule's, with its place.
    pub fn read(
        rules: Option<Rules>,
        versions: &[(String, u32)],
        params: Vec<(String, Params)>,
    ) -> Result<Self, Problem> {
        let rules = match rules {
            None | Some(Rules::All) => None,
            Some(Rules::Named(names)) => {
                let found = names.iter().enumerate().map(|(i, name)| rule_at(name, || format!("rules[{i}]")));
                Some(found.collect::<Result<_, _>>()?)
            }
        };
        let versions = versions.iter().map(|(name, version)| {
            let named = rule_at(name, || format!("versions.{}", shorten(name)))?;
            Ok((named, *version))
        });
        let versions = versions.collect::<Result<_, Problem>>()?;
        let params = params.into_iter().map(|(name, params)| {
            let named = rule_at(&name, || format!("params.{}", shorten(&name)))?;
            Ok((named, params))
        });
        Ok(Self { rules, versions, params: params.collect::<Result<_, Problem>>()? })
    }
}
