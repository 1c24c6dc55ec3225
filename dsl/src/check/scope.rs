//! Which names are visible, and what they are.

use crate::span::Span;
use crate::typed::{InputId, LetId, ParamId, VarId};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    Input(InputId),
    Param(ParamId),
    Let(LetId),
    Var(VarId),
    /// Its declaration was wrong and has been reported.
    Wrong,
}

/// A declared name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) definition: Definition,
    pub(super) span: Span,
    used: bool,
}

impl Entry {
    pub(super) const fn what(&self) -> &'static str {
        match self.definition {
            Definition::Input(_) => "an input",
            Definition::Param(_) => "a param",
            Definition::Let(_) | Definition::Wrong => "a let",
            Definition::Var(_) => "a var",
        }
    }
}

/// The visible names, innermost block last, and those whose block has ended.
#[derive(Debug, Default)]
pub(super) struct Scope {
    visible: Vec<Entry>,
    ended: Vec<Entry>,
}

impl Scope {
    pub(super) fn declare(&mut self, name: &str, definition: Definition, span: Span) {
        self.visible.push(Entry { name: name.to_owned(), definition, span, used: false });
    }

    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.visible.iter().find(|e| e.name == name)
    }

    /// Where a visible name was declared, which from now on is wrong: it was declared again, and nobody knows which
    /// of the two a later use means.
    pub(super) fn spoil(&mut self, name: &str) -> Option<Span> {
        let entry = self.visible.iter_mut().find(|e| e.name == name)?;
        entry.definition = Definition::Wrong;
        Some(entry.span)
    }

    /// Finds a name that is read.
    pub(super) fn read(&mut self, name: &str) -> Option<Definition> {
        let entry = self.visible.iter_mut().find(|e| e.name == name)?;
        entry.used = true;
        Some(entry.definition)
    }

    /// A name of that spelling in a block that has ended.
    pub(super) fn find_ended(&self, name: &str) -> Option<&Entry> {
        self.ended.iter().rev().find(|e| e.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.visible.iter().map(|e| e.name.as_str())
    }

    /// Names declared so far, also those whose block has ended.
    pub(super) fn count(&self) -> usize {
        self.visible.len() + self.ended.len()
    }

    /// Marks the beginning of a block.
    pub(super) fn enter(&self) -> usize {
        self.visible.len()
    }

    /// Ends the block that began at `mark`.
    pub(super) fn leave(&mut self, mark: usize) {
        self.ended.extend(self.visible.drain(mark..));
    }

    /// Names that nothing reads. Inputs do not count: callers send what they have, and a rule need not use all of it.
    pub(super) fn unused(&self) -> impl Iterator<Item = &Entry> {
        let declared = self.visible.iter().chain(&self.ended);
        declared.filter(|e| !e.used && !matches!(e.definition, Definition::Input(_)) && !e.name.starts_with('_'))
    }
}
