//! Step 4: the exports of the ABI, and their types.

use rulebox_abi::{bar, export};
use wasmparser::types::Types;
use wasmparser::{Export, ExternalKind, FuncType, SubType, ValType};

use super::invalid;
use crate::outcome::Refusal;

const I32: ValType = ValType::I32;

/// A function of the ABI: its name, its params and its results.
type Signature = (&'static str, &'static [ValType], &'static [ValType]);

const REQUIRED: [Signature; 4] = [
    (export::INIT, &[I32], &[I32]),
    (export::BUFFER, &[I32, I32, I32], &[I32]),
    (export::RESET, &[], &[]),
    (export::EVAL, &[I32], &[I32]),
];

const OPTIONAL: [Signature; 2] = [(export::STATE, &[], &[ValType::I64]), (export::MESSAGE, &[I32], &[ValType::I64])];

/// The exports of a valid module.
#[derive(Default)]
pub(super) struct Exports<'a> {
    pub(super) all: Vec<Export<'a>>,
    pub(super) types: Option<Types>,
}

impl Exports<'_> {
    /// Whether they are those of the ABI. What else a module exports is its own business.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.find(export::MARKER).map(|e| e.kind) {
            Some(ExternalKind::Func | ExternalKind::Global) => {}
            Some(_) => return Err(invalid(format!("its export `{}` must be a function or a global", export::MARKER))),
            None => {
                return Err(invalid(format!(
                    "it does not export `{}`, the mark of a module of the rule ABI, version 1",
                    export::MARKER
                )));
            }
        }
        match self.find(export::MEMORY).map(|e| e.kind) {
            Some(ExternalKind::Memory) => {}
            Some(_) => return Err(invalid(format!("its export `{}` must be its memory", export::MEMORY))),
            None => return Err(invalid(format!("it does not export its memory as `{}`", export::MEMORY))),
        }
        for signature in &REQUIRED {
            match self.find(signature.0) {
                Some(found) => self.check_type(found, signature)?,
                None => return Err(invalid(format!("it does not export `{}`, {}", signature.0, shape(signature)))),
            }
        }
        for signature in &OPTIONAL {
            if let Some(found) = self.find(signature.0) {
                self.check_type(found, signature)?;
            }
        }
        Ok(())
    }

    /// Whether they are those of a form for single bars: its one function, and globals.
    pub(super) fn check_bar(&self) -> Result<(), Refusal> {
        let bar = (bar::BAR, &[][..], &[I32][..]);
        match self.find(bar.0) {
            Some(found) => self.check_type(found, &bar)?,
            None => return Err(invalid(format!("it does not export `{}`, {}", bar.0, shape(&bar)))),
        }
        let others = self.all.iter().filter(|export| export.name != bar.0);
        match others.filter(|export| export.kind != ExternalKind::Global).count() {
            0 => Ok(()),
            n => Err(invalid(format!("{n} exports of its form for single bars are no globals"))),
        }
    }

    /// Names are unique in a valid module.
    fn find(&self, name: &str) -> Option<&Export<'_>> {
        self.all.iter().find(|export| export.name == name)
    }

    fn check_type(&self, found: &Export<'_>, signature: &Signature) -> Result<(), Refusal> {
        let (name, params, results) = *signature;
        if self.function_type(found).is_some_and(|ty| ty.params() == params && ty.results() == results) {
            return Ok(());
        }
        Err(invalid(format!("its export `{name}` must be {}", shape(signature))))
    }

    fn function_type(&self, export: &Export<'_>) -> Option<&FuncType> {
        if export.kind != ExternalKind::Func {
            return None;
        }
        let types = self.types.as_ref()?.as_ref();
        // The index is in range, since the module is valid.
        types.get(types.core_function_at(export.index)).map(SubType::unwrap_func)
    }
}

/// `a function (i32, i32) -> i32`
fn shape((_, params, results): &Signature) -> String {
    let params: Vec<_> = params.iter().map(ToString::to_string).collect();
    let result = results.first().map_or_else(|| "()".to_owned(), ToString::to_string);
    format!("a function ({}) -> {result}", params.join(", "))
}
