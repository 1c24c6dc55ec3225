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

/// The form that cursors of this version have.
const FORM: u8 = b'2';

/// Forms that other versions may have given theirs.
const FORMS: std::ops::RangeInclusive<u8> = b'1'..=b'9';

fn sealed(form: u8, chain: Chain, tagged: &[u8]) -> Vec<u8> {
    [b"cursor ", [form, 0].as_slice(), chain.uuid().as_bytes(), tagged].concat()
}

/// The cursor of a place in a list.
pub(crate) fn write(keys: &dyn Sealer, list: &str, chain: Chain, place: &str) -> String {
    let tagged = [&tag(list), place.as_bytes()].concat();
    let seal = keys.seal(&sealed(FORM, chain, &tagged));
    URL_SAFE_NO_PAD.encode([seal.0.as_slice(), &tagged].concat())
}

/// The place of a cursor.
///
/// # Errors
/// If it is not one of this list and this caller. One that we have not made for this caller is a violation: it was
/// forged, or is another's. One of another list of his is a slip, as is a text that cannot be a cursor, and one of another
/// version, which wrote it before an update or beside it.
pub(crate) fn read(keys: &dyn Sealer, list: &str, chain: Chain, cursor: &str) -> Result<String, Problem> {
    let wrong = || Problem::new(Code::INVALID_QUERY, "`cursor` is not one of this list; begin without it").at("cursor");
    if cursor.len() > MOST {
        return Err(wrong());
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
    let (seal, tagged) = bytes.split_at_checked(Seal::BYTES).ok_or_else(wrong)?;
    let seal = Seal::from_bytes(seal).ok_or_else(wrong)?;
    let (of, place) = tagged.split_at_checked(TAG).ok_or_else(wrong)?;
    let is_of = |form| keys.is_sealed(&sealed(form, chain, tagged), &seal);
    if !is_of(FORM) {
        if FORMS.filter(|form| *form != FORM).any(is_of) {
            return Err(wrong());
        }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::caller::TenantId;
    use crate::store::contract::NoSecret;

    const LIST: &str = "/v1/violations";

    fn chain(n: u128) -> Chain {
        Chain(Some(TenantId::from_store(Uuid::from_u128(n))))
    }

    /// A cursor as a version writes it whose form is this.
    fn of_form(form: u8, chain: Chain) -> String {
        let tagged = [&tag(LIST), b"17".as_slice()].concat();
        let seal = NoSecret.seal(&sealed(form, chain, &tagged));
        URL_SAFE_NO_PAD.encode([seal.0.as_slice(), &tagged].concat())
    }

    #[test]
    fn one_of_another_version_is_refused_without_an_alarm() {
        assert_eq!(read(&NoSecret, LIST, chain(1), &of_form(FORM, chain(1))).unwrap(), "17");
        for form in FORMS.filter(|form| *form != FORM) {
            let refused = read(&NoSecret, LIST, chain(1), &of_form(form, chain(1))).unwrap_err();
            assert!(refused.raised.is_none(), "form {}", char::from(form));
        }
    }

    #[test]
    fn what_nobody_has_sealed_for_this_caller_raises_one() {
        for form in [FORM, b'1', b'0', b'a'] {
            let another = read(&NoSecret, LIST, chain(1), &of_form(form, chain(2))).unwrap_err();
            assert!(another.raised.is_some(), "form {}", char::from(form));
        }
        let unknown = read(&NoSecret, LIST, chain(1), &of_form(b'a', chain(1))).unwrap_err();
        assert!(unknown.raised.is_some(), "no version has such a form");
    }
}
