//! Opaque cursors: where a list goes on, sealed for the list and for whose it is, so that nobody writes one by hand.

use std::str::FromStr;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use super::params::{next_page, page_limit};
use super::problem::{Code, Problem, Raised};
use crate::domain::audit::{Chain, Seal, Sealer};
use crate::domain::violation::Kind;
use crate::service::Service;

/// Characters of the longest cursor.
pub(crate) const MOST: usize = 512;

/// Bytes that tell a list from others.
const TAG: usize = 8;

/// Tells a list from others.
fn tag(list: &str) -> [u8; TAG] {
    let digest = Sha256::digest(list.as_bytes());
    let mut tag = [0; TAG];
    tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    tag
}

fn sealed(chain: Chain, tagged: &[u8]) -> Vec<u8> {
    [b"cursor 2\0", chain.uuid().as_bytes().as_slice(), tagged].concat()
}

/// The cursor of a place in a list.
pub(crate) fn write(keys: &dyn Sealer, list: &str, chain: Chain, place: &str) -> String {
    let tagged = [&tag(list), place.as_bytes()].concat();
    let seal = keys.seal(&sealed(chain, &tagged));
    URL_SAFE_NO_PAD.encode([seal.0.as_slice(), &tagged].concat())
}

/// The place of a cursor.
///
/// # Errors
/// If it is not one of this list and this caller. One that we have not made for this caller is a violation: it was
/// forged, or is another's. One of another list of his is a slip, and so is a text that cannot be a cursor.
pub(crate) fn read(keys: &dyn Sealer, list: &str, chain: Chain, cursor: &str) -> Result<String, Problem> {
    let wrong = || Problem::new(Code::INVALID_QUERY, "`cursor` is not one of this list; begin without it").at("cursor");
    if cursor.len() > MOST {
        return Err(wrong());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    let (seal, tagged) = bytes.split_at_checked(Seal::BYTES).ok_or_else(wrong)?;
    let seal = Seal::from_bytes(seal).ok_or_else(wrong)?;
    let (of, place) = tagged.split_at_checked(TAG).ok_or_else(wrong)?;
    if !keys.is_sealed(&sealed(chain, tagged), &seal) {
        let raised = Raised { kind: Kind::StateForged, owner: chain, subject: "cursor".to_owned() };
        return Err(Problem { raised: Some(raised.into()), ..wrong() });
    }
    let place = std::str::from_utf8(place).map_err(|_| wrong())?;
    if of == tag(list) { Ok(place.to_owned()) } else { Err(wrong()) }
}

/// A list that is read page by page.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its address with what it shows: a cursor of one list is none of another.
    pub address: &'a str,
    /// Whose it is.
    pub chain: Chain,
    /// What a caller asked for.
    pub query: &'a PageQuery,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on: from the answer's `next`.
    pub cursor: Option<String>,
    /// Entries of a page.
    pub limit: Option<u32>,
}

impl List<'_> {
    /// The place after which the page begins, and how many entries it has.
    ///
    /// # Errors
    /// A cursor of another list; too many entries.
    pub fn start(&self) -> Result<(Option<String>, u32), Problem> {
        let limit = page_limit(self.query.limit, self.service.settings().api.page_entries)?;
        let cursor = self.query.cursor.as_deref();
        let place = cursor.map(|cursor| read(self.service.cursors(), self.address, self.chain, cursor)).transpose()?;
        Ok((place, limit))
    }

    /// The place in the type that it has.
    ///
    /// # Errors
    /// As [`List::start`].
    pub fn start_at<T: FromStr>(&self) -> Result<(Option<T>, u32), Problem> {
        let (place, limit) = self.start()?;
        let wrong = |_| Problem::new(Code::INVALID_QUERY, "`cursor` is not one of this list").at("cursor");
        Ok((place.map(|place| place.parse().map_err(wrong)).transpose()?, limit))
    }

    /// The cursor of the next page and the `Link` to it, if there is one. `last` is the place of the page's last entry.
    pub fn next(&self, last: Option<String>, more: bool) -> (Option<String>, HeaderMap) {
        let next = last.filter(|_| more).map(|place| write(self.service.cursors(), self.address, self.chain, &place));
        let limit = self.query.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        let between = if self.address.contains('?') { '&' } else { '?' };
        let link = next.as_ref().map(|cursor| format!("{}{between}cursor={cursor}{limit}", self.address));
        (next, next_page(link))
    }
}
