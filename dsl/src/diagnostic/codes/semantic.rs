//! Codes of names and types (E03xx), windows, time and limits (E04xx), tests (E05xx), and warnings (W0xxx).

super::codes! {
    MAY_BE_MISSING = "E0312", "a value that may be missing is used as if it were there",
        "History, windows that are not yet full and optional inputs may be missing.\n\
         Say what holds then, with `??`:\n\n    if equity[1] < equity            # wrong: bar 0 has no previous bar\n    \
         if (equity[1] ?? equity) < equity  # right";
}
