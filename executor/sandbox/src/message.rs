//! Texts that a module made: what nobody trusts is cleaned before anybody reads it.

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
const CUT: char = '…';

/// The text of these bytes, of at most `most` bytes. What is no UTF-8, controls a terminal or turns the direction of
/// text is replaced by U+FFFD; `cut`: the module's text is longer than the bytes that were read.
pub(crate) fn text(bytes: &[u8], mut cut: bool, most: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(most));
    'all: for chunk in bytes.utf8_chunks() {
        let broken = (!chunk.invalid().is_empty()).then_some(REPLACEMENT);
        for c in chunk.valid().chars().map(|c| if is_hidden(c) { REPLACEMENT } else { c }).chain(broken) {
            if text.len() + c.len_utf8() > most {
                cut = true;
                break 'all;
            }
            text.push(c);
        }
    }
    if cut {
        while text.len() + CUT.len_utf8() > most && text.pop().is_some() {}
        text.push(CUT);
    }
    text
}

/// A text of a module's as it comes from another process, which may not have cleaned it.
pub fn clean_message(said: &str, most: usize) -> String {
    text(said.as_bytes(), false, most)
}

/// Whether a character is not seen, or turns or joins those around it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced() {
        assert_eq!(text(b"drawdown 12 %", false, 100), "drawdown 12 %");
        assert_eq!(text("größer als 5 €".as_bytes(), false, 100), "größer als 5 €");
        assert_eq!(text(b"a\xff\xfeb\xc3", false, 100), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(text("\u{1b}[31mred\r\n\0\u{202e}".as_bytes(), false, 100), "�[31mred����");
    }

    #[test]
    fn no_text_is_longer_than_it_may_be() {
        for (bytes, cut) in [(&[b'a'; 40][..], false), (&[0xff; 40], false), (&[b'a'; 16], true), (&[0xff; 16], true)] {
            let text = text(bytes, cut, 16);
            assert!(text.len() <= 16 && text.ends_with('…'), "{text:?}");
        }
        assert_eq!(text(&[b'a'; 16], false, 16), "aaaaaaaaaaaaaaaa");
        // In the middle of a character.
        assert_eq!(text("aaaaaaaaaaaa€".as_bytes().get(..14).unwrap(), true, 14), "aaaaaaaaaaa…");
    }
}
