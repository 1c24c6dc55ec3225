//! Any text that the compiler takes is a module that runs within its proved cost.

use rulebox_dsl::Limits;
use rulebox_dsl::generate::Choices;
use rulebox_sandbox::ViolationKind;

use super::harness::Case;
use super::walk::walk_with;

/// Bars of one run: more than a call has, so that there are several.
const ROWS: usize = 24;
/// Bars of one call.
const CHUNK: u32 = 7;

/// Compiles a text; if it is a rule, loads its module and runs it, over bars that most rules take and over some that
/// they fault on.
pub fn compile_and_validate(bytes: &[u8]) {
    let Ok(text) = rulebox_dsl::source::text(bytes, &Limits::DEFAULT) else { return };
    let Ok(compiled) = rulebox_dsl::compile(text, &Limits::DEFAULT) else { return };
    let again = rulebox_dsl::compile(text, &Limits::DEFAULT).unwrap();
    assert!(compiled.module == again.module, "one text gives one module");
    let case = match Case::of(compiled) {
        Ok(case) => case,
        // What its author is told as such. All else that the gate refuses is a mistake of the compiler.
        Err(refusal) => return assert_eq!(refusal.kind, ViolationKind::ModuleTooComplex, "{refusal}"),
    };
    assert!(case.module.has_state());
    for bad in [false, true] {
        let mut choices = Choices::seeded(bytes.len() as u64);
        let bars = walk_with(&case.compiled.rule, &mut choices, ROWS, bad);
        let ran = case.wasm(&case.defaults(), &bars.view().columns(), CHUNK);
        assert!(ran.fuel <= ran.proved, "{} used, {} proved", ran.fuel, ran.proved);
        assert_eq!(ran.columns.verdicts.len(), ROWS);
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds;

    #[test]
    fn seeds_of_compile_and_validate() {
        seeds::replay("compile_and_validate", super::compile_and_validate);
    }
}
