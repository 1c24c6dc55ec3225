//! Codes of the lexer (E01xx) and of the parser (E02xx).

super::codes! {
    SOURCE_TOO_LONG = "E0101", "the source is too long",
        "A rule is a page of text, not a data file. Split the rule, or move tables of numbers into inputs and params.";
    NOT_UTF8 = "E0102", "the source is not UTF-8",
        "Rules are UTF-8 text. Names are ASCII; comments, messages and test names may use any character.";
    STRAY_CHARACTER = "E0103", "a character that means nothing",
        "The language has `and`, `or` and `not` for `&&`, `||` and `!`, comments begin with `#`, and names are lower case.\n\n    \
         if a && !b { … }      # wrong\n    if a and not b { … }  # right";
    UNTERMINATED_STRING = "E0104", "a string without an end",
        "A string ends with `\"` on the line where it began.\n\n    breach \"too low    # wrong\n    breach \"too low\"   # right";
    NUMBER_TOO_LARGE = "E0105", "a number that is not finite",
        "Numbers are IEEE 754 doubles; the largest is about 1.8e308. Infinity is not a value of the language.";
    BAD_NUMBER = "E0106", "a number that is written wrong",
        "Numbers are written `12`, `0.5`, `1e6` or `10%`: digits on both sides of a point, no exponent before `%`.\n\n    \
         .5  5.  1e2%   # wrong\n    0.5  5  100%   # right";
    BAD_TIME = "E0107", "a time of day that does not exist",
        "Times of day are written with two digits for hours and minutes, from `00:00` to `23:59`.";
    HIDDEN_CHARACTER = "E0108", "a character that cannot be seen",
        "Control characters, and characters that turn the direction of text, make a rule look like what it is not: to the\n\
         person who reviews it, and on the terminal that shows its message. Comments and strings may have no such character.";
    UNEXPECTED = "E0201", "something else was expected here",
        "A file is: an edition line, a clock line, one rule, its tests; each but the rule may be left out.\n\n    \
         edition 1\n    rule daily(equity, start) {\n      if equity < 0.95 * start { breach liquidate \"too low\" }\n    }";
    RESERVED_WORD = "E0202", "a reserved word used as a name",
        "Words of the grammar cannot be names: edition clock day rule param let var per out if then else warn breach block\n\
         reduce liquidate for bars forever or and not test set bar ok fault in num int bool true false.";
    UNCLOSED = "E0203", "a bracket or brace that is not closed",
        "Every `(`, `[` and `{` has its partner. The message points at the one that was opened last.";
    CHAINED_COMPARISON = "E0204", "comparisons do not chain",
        "Say each comparison, and join them.\n\n    0 < a < 1         # wrong\n    0 < a and a < 1   # right";
    TOO_DEEP = "E0205", "expressions or blocks nested too deep",
        "Give inner parts a name with `let`. A chain of operators may be longer than brackets and `else if`s may be deep, but\n\
         it has an end too.\n\n    let part = a + b + c      # and many more\n    let all = part + x + y    # and many more";
    SINGLE_EQUALS = "E0206", "`=` in an expression",
        "`==` compares, `:=` changes a var, `=` gives a value to what is declared.\n\n    if a = b { … }    # wrong\n    if a == b { … }   # right";
    EMPTY_SOURCE = "E0207", "there is no rule",
        "The shortest file is one rule:\n\n    rule check_custom_rule(equity, drawdown) = drawdown > 20% or equity < 50000";
    PARAM_PLACE = "E0208", "a param inside a block",
        "Params are declared at the top level of a rule, so that a caller sees all of them.";
    IF_NEEDS_ELSE = "E0209", "an if expression without else",
        "As an expression, `if` always gives a value: `if a then b else c`. The statement is `if a { … }`.\n\n    \
         let x = if a > 1 { 2 }       # wrong\n    let x = if a > 1 then 2 else 3   # right";
    NAME_TOO_LONG = "E0210", "a name that is too long",
        "Names are bounded, as everything is. A comment has room for the rest.";
}
