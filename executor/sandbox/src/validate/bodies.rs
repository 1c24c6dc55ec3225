//! Step 3: the standard's validation, function by function, and beside it what each function costs to compile.

use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, Payload, ValidPayload, Validator,
    ValidatorResources, WasmModuleResources,
};

use super::cost::{FunctionWork, ModuleWork};
use super::exports::Exports;
use super::{malformed, toolchain};
use crate::engine::FEATURES;
use crate::limits::ModuleLimits;
use crate::outcome::Refusal;

/// Validates a module and gives its exports.
pub(super) fn check<'a>(bytes: &'a [u8], limits: &ModuleLimits) -> Result<Exports<'a>, Refusal> {
    validate(bytes, limits).map_err(|stop| match stop {
        Stop::Refused(refusal) => refusal,
        Stop::Invalid(error) => toolchain::hint(bytes).unwrap_or_else(|| malformed(&error)),
    })
}

/// Why validation stopped: by our limits, or by the standard.
enum Stop {
    Refused(Refusal),
    Invalid(wasmparser::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<wasmparser::Error> for Stop {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid(error)
    }
}

fn validate<'a>(bytes: &'a [u8], limits: &ModuleLimits) -> Result<Exports<'a>, Stop> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut exports = Exports::default();
    let mut work = ModuleWork::default();
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                allocations = function_body(function, &body, limits, &mut work, allocations)?;
            }
            ValidPayload::End(types) => exports.types = Some(types),
            _ => {}
        }
        if let Payload::ExportSection(section) = payload {
            for export in section {
                exports.all.push(export?);
            }
        }
    }
    Ok(exports)
}

fn function_body(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    limits: &ModuleLimits,
    work: &mut ModuleWork,
    allocations: FuncValidatorAllocations,
) -> Result<FuncValidatorAllocations, Stop> {
    let params = function.resources.sub_type_at(function.ty).map_or(0, |ty| ty.unwrap_func().params().len());
    let mut locals = body.get_locals_reader()?;
    let mut count = params as u64;
    for _ in 0..locals.get_count() {
        count = count.saturating_add(u64::from(locals.read()?.0));
    }
    // Counted before the validator makes room for them.
    let mut work = FunctionWork::new(limits, work, u32::try_from(count).unwrap_or(u32::MAX))?;

    let mut validator = function.into_validator(allocations);
    let mut locals = body.get_locals_reader()?;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (count, ty) = locals.read()?;
        validator.define_locals(offset, count, ty)?;
    }
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, offset) = operators.read_with_offset()?;
        work.operator(&operator)?;
        validator.op(offset, &operator)?;
        work.stack(validator.operand_stack_height());
    }
    operators.finish()?;
    work.finish()?;
    Ok(validator.into_allocations())
}
