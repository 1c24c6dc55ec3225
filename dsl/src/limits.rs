//! Limits of the compiler: each is checked before the work that it limits, and each is a diagnostic.

/// What a source may cost to compile and a rule to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of source text.
    pub source_bytes: usize,
    /// Brackets, signs, calls, conditions and blocks inside each other.
    pub nesting: usize,
    /// Depth of the tree of an expression. A chain of operators, such as `a + b + c`, is as deep as it is long, and
    /// needs no nesting. What walks a tree recurses as deep, and lives on the stack of a thread.
    pub depth: usize,
    /// Bytes of one name.
    pub name_bytes: usize,
    /// Inputs, params, lets, vars and outs together.
    pub names: usize,
    /// Nodes of the tree: expressions and statements.
    pub nodes: usize,
    /// Calls with memory.
    pub memories: usize,
    /// The largest window size and the largest k of `x[k]`.
    pub window: u32,
    /// Bytes of state: what a session keeps.
    pub state_bytes: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Placeholders of all messages together.
    pub placeholders: usize,
    /// Tests of a file.
    pub tests: usize,
    /// Bars of all tests of a file together.
    pub test_bars: usize,
    /// Errors reported of one source; if there are others, one more says so.
    pub diagnostics: usize,
}

impl Limits {
    /// The limits of a service that has configured none.
    pub const DEFAULT: Self = Self {
        source_bytes: 64 * 1024,
        nesting: 64,
        depth: 256,
        name_bytes: 64,
        names: 256,
        nodes: 5_000,
        memories: 64,
        window: 10_000,
        state_bytes: 1024 * 1024,
        message_bytes: 1_000,
        placeholders: 128,
        tests: 200,
        test_bars: 10_000,
        diagnostics: 50,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
