//! Tokens: what the lexer gives the parser.

use crate::ast::DurationUnit;
use crate::span::Span;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenKind {
    /// A name: `[a-z_][a-z0-9_]*`, not a reserved word.
    Name,
    /// A reserved word.
    Word(Word),
    /// A number; `%` is applied.
    Number {
        /// Its finite value.
        value: f64,
        /// Its value as a whole number, if it is written as digits alone (`u64::MAX` if that is more).
        whole: Option<u64>,
    },
    /// `15:25`: minutes after midnight.
    Clock(u16),
    /// `15m`, `2h`, `3d`.
    Duration(u64, DurationUnit),
    /// A string; its text is between the quotes of its span.
    Text,
    /// A sign.
    Sign(Sign),
    /// Something that is no token and has been reported.
    Wrong,
    /// The end of the source.
    End,
}

/// Declares an enum of fixed spellings.
macro_rules! spellings {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {$(
            #[doc = concat!("`", $text, "`.")]
            $variant,
        )*}

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written.
            pub const fn text(self) -> &'static str {
                match self {$(
                    Self::$variant => $text,
                )*}
            }
        }
    };
}

spellings! {
    /// The reserved words: every word that the grammar quotes.
    Word {
        Edition = "edition", Clock = "clock", Day = "day", Rule = "rule", Param = "param", Let = "let", Var = "var",
        Per = "per", Out = "out", If = "if", Then = "then", Else = "else", Warn = "warn", Breach = "breach",
        Block = "block", Reduce = "reduce", Liquidate = "liquidate", For = "for", Bars = "bars", Forever = "forever",
        Or = "or", And = "and", Not = "not", Test = "test", Set = "set", Bar = "bar", Ok = "ok", Fault = "fault",
        In = "in", Num = "num", Int = "int", Bool = "bool", True = "true", False = "false",
    }
}

spellings! {
    /// The signs. A sign that begins with another stands before it, so that the longest is found first.
    Sign {
        Arrow = "->", Assign = ":=", Default = "??", Le = "<=", Ge = ">=", Eq = "==", Ne = "!=", Range = "..",
        Open = "(", Close = ")", OpenBrace = "{", CloseBrace = "}", OpenBracket = "[", CloseBracket = "]",
        Comma = ",", Colon = ":", Question = "?", Is = "=", Lt = "<", Gt = ">", Plus = "+", Minus = "-", Star = "*",
        Slash = "/",
    }
}

impl Word {
    /// The word of a spelling.
    pub fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.text() == text)
    }
}
