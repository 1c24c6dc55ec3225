//! Codes of names and types (E03xx), windows, time and limits (E04xx), tests (E05xx), and warnings (W0xxx).

super::codes! {
    UNKNOWN_NAME = "E0301", "a name that is not declared",
        "A name is visible from the line after its declaration to the end of its block.\n\n    \
         if drawdwon > 10% { … }   # wrong: no such input\n    if drawdown > 10% { … }   # right";
    ALREADY_DECLARED = "E0302", "a name that is already declared",
        "A visible name cannot be declared again: there is no shadowing. Choose another name, or change a var with `:=`.\n\n    \
         let floor = 1\n    let floor = 2   # wrong\n    let lower = 2   # right";
    RESERVED_NAME = "E0303", "a name that the language gives",
        "`time`, `new_day`, `weekday`, `time_of_day` and `bar_index` always mean the bar's own, so they cannot be declared.";
    UNKNOWN_FUNCTION = "E0304", "a function that does not exist",
        "Rules call the built-in functions alone; there are none of the author's own.\n\n    \
         average(x, 5)   # wrong\n    sma(x, 5)       # right";
    WRONG_ARGUMENTS = "E0305", "wrong arguments of a function",
        "Each function takes a fixed number of arguments; `min:` and `sample:` are written with their names, each once.";
    WRONG_TYPE = "E0306", "a value of another type is needed here",
        "Arithmetic takes nums, conditions take bools, times of day compare with times of day. Nothing converts by itself.\n\n    \
         if equity { … }       # wrong: a num\n    if equity > 0 { … }   # right";
    DIFFERENT_TYPES = "E0307", "two values of different types",
        "Both sides of a comparison or of `??`, and both branches of an if, have one type.";
    NOT_ORDERED = "E0308", "bools have no order",
        "Bools compare with `==` and `!=` alone. Write `a and not b` for what `a > b` would mean.";
    NOT_A_SERIES = "E0309", "windows and history read series alone",
        "Inputs, params, the names of time, and top-level lets made of them advance on every bar, whatever the body does;\n\
         a var, or a let that reads one, does not, so a window of it would depend on which branches ran.";
    NEVER_MISSING = "E0310", "a value that is always there",
        "`??` and `known` are for values that may be missing: history, windows that are not full, optional inputs.";
    NOT_A_VAR = "E0311", "only a var can be changed",
        "`:=` changes a var. A let is fixed for its bar, inputs and params for longer.\n\n    \
         let high = 0\n    high := 1   # wrong\n\n    var high = 0\n    high := 1   # right";
    MAY_BE_MISSING = "E0312", "a value that may be missing is used as if it were there",
        "History, windows that are not yet full and optional inputs may be missing.\n\
         Say what holds then, with `??`:\n\n    if equity[1] < equity            # wrong: bar 0 has no previous bar\n    \
         if (equity[1] ?? equity) < equity  # right";
    VAR_PLACE = "E0313", "a var is declared at the top level",
        "A var keeps its value from bar to bar, so its line must be reached on every bar: not inside an if.";
    OUT_TWICE = "E0314", "an out is given twice",
        "Each out has one line in the text. Make the value with if/then/else, and give it once.";
    HAS_NO_PAST = "E0315", "this has no history",
        "`x[k]` reads the past of a series: an input, a param, `new_day`, `weekday`, `bar_index`, or a top-level let of those.\n\
         Times of day, vars and lets of a block have none.";
    BACK_RANGE = "E0316", "the k of `x[k]` is at least 1",
        "`x[1]` is the value of the bar before; the value of this bar is `x` itself.";
    BAD_RANGE = "E0317", "a range that does not fit",
        "A range is written from its lower to its upper end, both included; the default of a param is inside it.";
    BAD_DEFAULT = "E0318", "a default of another type",
        "The default of a param is a number for `num`, a whole number for `int`, `true` or `false` for `bool`.";
    INT_INPUT = "E0319", "inputs are num or bool",
        "`int` is for params, where it can be a window size. Declare the input `num`.";
    BAD_MESSAGE = "E0320", "a message that cannot be read",
        "In a message, `{name}` shows a value, `{name:.2}` with two decimals, `{name:.2%}` times 100; `{{` and `}}` are braces.\n\
         Names alone: give an expression a name with `let` first.";
    MESSAGE_FORMAT = "E0321", "a format for something that is not a number",
        "Decimals and percents are for numbers; bools and times of day print as they are.";
    BAD_HOLD = "E0322", "a hold that is none",
        "A hold lasts at least one bar or one minute.";
    WINDOW_SIZE = "E0401", "not a window size",
        "A window size is a whole number of at least 1, or an int param whose range is given and starts at 1 or more.\n\n    \
         param n: int = 20 in 5..250\n    let mean = sma(close, n) ?? close";
    WINDOW_MIN = "E0402", "`min:` or `sample:` does not fit",
        "`min: k` is a whole number from 1 to the smallest size of the window, for sum sma stdev highest lowest count.\n\
         `sample:` is `true` or `false`, for stdev alone, and needs 2 values: a size or a `min:` of at least 2.";
    WINDOW_TOO_LARGE = "E0403", "a window over the limit",
        "Every value of a window is kept and read on each bar, so windows are bounded. Use fewer, longer bars.";
    TOO_MUCH_STATE = "E0404", "the rule keeps too much",
        "Windows and history are kept for every run of the rule. Make them shorter, or their params' ranges narrower.";
    TOO_MANY_NAMES = "E0405", "too many names",
        "A rule has a bounded number of inputs, params, lets, vars and outs. Split it into several rules.";
    TOO_LARGE = "E0406", "the rule is too large",
        "A rule has a bounded number of expressions and statements. Split it into several rules.";
    TOO_MANY_WINDOWS = "E0407", "too many calls with memory",
        "Calls that remember bars are bounded. Give a result that is used twice a name with `let`.";
    TOO_MANY_VERDICTS = "E0408", "more than 32 verdict statements",
        "A rule has at most 32 `warn` and `breach` statements. Split it into several rules.";
    TOO_MANY_PLACEHOLDERS = "E0409", "too many values in messages",
        "The values that messages show are bounded. Show those that matter.";
    UNKNOWN_ZONE = "E0410", "a time zone that does not exist",
        "`clock` names a zone of the IANA database, such as \"America/New_York\" or \"UTC\".";
    UNKNOWN_EDITION = "E0411", "an edition that this compiler does not know",
        "There is edition 1. A file without an edition line is edition 1 too.";
    MORE_ERRORS = "E0412", "more errors than are shown",
        "Only the first errors of a source are shown. Repair those, and check again.";
    TOO_COMPLEX = "E0413", "the rule takes too long to compile",
        "Faults, branches and values that live across them multiply in the machine code. Split it into several rules.";
    TEST_NAME = "E0501", "a name that the rule does not have",
        "A bar of a test gives inputs and `time`; `set` gives params.";
    TEST_VALUE = "E0502", "a value that does not fit",
        "A num takes a number, a bool `true` or `false`, `time` a string such as \"2026-01-05T15:00Z\" or whole milliseconds.\n\
         A param's value is inside its range.";
    UNUSED = "W0001", "something is never read",
        "The rule works all the same. Remove what is not used, or use it; a name that begins with `_` is not warned of.";
}
