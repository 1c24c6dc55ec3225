//! What a body is, and what its answer shall be.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

use crate::api::problem::{Code, Problem};

/// The form of a body or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`: one object.
    Json,
    /// `application/x-ndjson`: an object a line.
    Lines,
    /// `application/vnd.apache.arrow.stream`: record batches.
    Arrow,
}

impl Media {
    const ALL: [Self; 3] = [Self::Lines, Self::Arrow, Self::Json];

    /// Its name in `Content-Type` and `Accept`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// What a body says it is.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED_MEDIA_TYPE`].
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default().trim();
        let found = Self::ALL.into_iter().find(|media| media.name().eq_ignore_ascii_case(essence));
        found.ok_or_else(|| {
            let names = Self::ALL.map(|media| format!("`{}`", media.name()));
            Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, format!("send `Content-Type`: {}", names.join(", ")))
        })
    }

    /// What `Accept` wants as the answer to a stream: the form of the stream, if that will do (RFC 9110, 12.5.1).
    ///
    /// # Errors
    /// [`Code::NOT_ACCEPTABLE`] if it wants something else.
    pub fn wanted(headers: &HeaderMap, sent: Self) -> Result<Self, Problem> {
        let ranges: Vec<_> = ranges(headers).collect();
        if ranges.is_empty() {
            return Ok(sent);
        }
        let others = Self::ALL.into_iter().filter(|media| *media != sent);
        // On a tie the first one wins.
        let best = std::iter::once(sent)
            .chain(others)
            .map(|media| (weight(&ranges, media), media))
            .fold((0, sent), |best, next| if next.0 > best.0 { next } else { best });
        if best.0 > 0 {
            return Ok(best.1);
        }
        let names = Self::ALL.map(|media| format!("`{}`", media.name()));
        Err(Problem::new(Code::NOT_ACCEPTABLE, format!("the answer to a stream can be {}", names.join(", "))))
    }

    /// Whether `Accept` wants a stream and nothing else: what a plain body is not answered with.
    pub fn only_streams_wanted(headers: &HeaderMap) -> bool {
        let mut ranges = ranges(headers).peekable();
        let streams = [Self::Lines.name(), Self::Arrow.name()];
        ranges.peek().is_some() && ranges.all(|(range, _)| streams.contains(&range.as_str()))
    }
}

/// The ranges of `Accept`, with their weights in thousandths.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (String, u32)> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty()).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (name, weight.map_or(1_000, thousandths))
    })
}

/// `0.8` is 800; what cannot be read weighs nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(1_000));
    whole.zip(digits.parse().ok()).map_or(0, |(whole, fraction): (u32, u32)| whole.saturating_add(fraction)).min(1_000)
}

/// Of the ranges that a form is in, the narrowest says what it weighs.
fn weight(ranges: &[(String, u32)], media: Media) -> u32 {
    let of = |name: &str| ranges.iter().filter(|(range, _)| range == name).map(|(_, weight)| *weight).max();
    of(media.name()).or_else(|| of("application/*")).or_else(|| of("*/*")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wanted(accept: &'static str, sent: Media) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        Media::wanted(&headers, sent).ok()
    }

    #[test]
    fn the_answer_has_the_form_of_the_stream_unless_another_is_wanted_more() {
        assert_eq!(Media::wanted(&HeaderMap::new(), Media::Arrow).unwrap(), Media::Arrow);
        for (accept, answer) in [
            ("*/*", Some(Media::Arrow)),
            ("application/*", Some(Media::Arrow)),
            ("application/json", Some(Media::Json)),
            ("Application/X-NDJSON", Some(Media::Lines)),
            ("text/html, application/json;q=0.5, */*;q=0.1", Some(Media::Json)),
            ("application/json;q=0.2, application/x-ndjson; q=0.21", Some(Media::Lines)),
            ("application/vnd.apache.arrow.stream;q=0, */*", Some(Media::Lines)),
            ("application/json;q=0", None),
            ("text/csv", None),
            ("application/json;q=x", None),
            ("", Some(Media::Arrow)),
        ] {
            assert_eq!(wanted(accept, Media::Arrow), answer, "{accept}");
        }
    }
}
