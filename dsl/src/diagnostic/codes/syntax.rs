//! Codes of the lexer (E01xx) and of the parser (E02xx).

super::codes! {
    SOURCE_TOO_LONG = "E0101", "the source is too long",
        "A rule is a page of text, not a data file. Split the rule, or move tables of numbers into inputs.";
}
