//! Bytes from outside become source text, or a diagnostic: size first, then encoding.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::limits::Limits;
use crate::span::Span;

/// The text of a source.
///
/// # Errors
/// If it is over [`Limits::source_bytes`] or not UTF-8; nothing else has been looked at then.
pub fn text<'b>(bytes: &'b [u8], limits: &Limits) -> Result<&'b str, Diagnostics> {
    if bytes.len() > limits.source_bytes {
        return Err(Diagnostics(vec![too_long(bytes.len(), limits)]));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        if bytes.starts_with(b"\0asm") {
            let message = "the source is WebAssembly, not a text";
            return Diagnostics(vec![
                Diagnostic::new(Code::NOT_UTF8, message, Span::new(0, 4), "").help(
                    "upload a module as `Content-Type: application/wasm`; `rulebox guest check` looks at modules",
                ),
            ]);
        }
        let at = u32::try_from(error.valid_up_to()).unwrap_or(u32::MAX);
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or(0);
        let message = format!("the source is not UTF-8: byte {at} is 0x{byte:02x}");
        Diagnostics(vec![
            // The place is in bytes; there is no text to point into.
            Diagnostic::new(Code::NOT_UTF8, message, Span::new(at, at + 1), "").help("save the file as UTF-8"),
        ])
    })
}

/// The diagnostic of a source over the limit.
pub(crate) fn too_long(bytes: usize, limits: &Limits) -> Diagnostic {
    let most = limits.source_bytes;
    let message = format!("the source has {bytes} bytes, and at most {most} are read");
    Diagnostic::new(Code::SOURCE_TOO_LONG, message, Span::new(0, 0), "")
        .help("a rule is a page of text: pass tables of numbers as inputs or params")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> &'static str {
        text(bytes, &Limits::DEFAULT).unwrap_err().0[0].code.as_str()
    }

    #[test]
    fn size_is_checked_before_encoding() {
        assert_eq!(code(&vec![0xff; 10_000_000]), "E0101");
        assert_eq!(code(b"rule r(a) = a > \xff"), "E0102");
        assert_eq!(code(b"\0asm\x01\0\0\0\xff"), "E0102");
        assert_eq!(text("rule r(a) = a > 1 # é".as_bytes(), &Limits::DEFAULT).unwrap().len(), 22);
    }
}
