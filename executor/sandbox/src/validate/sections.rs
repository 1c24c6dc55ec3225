//! Step 2: sections, imports and counts. Reads the outline of a module in one pass that stops at the first thing
//! over a limit, so that nothing later ever handles more than the limits.

use rulebox_abi::export;
use wasmparser::{ElementItems, FuncType, Import, Parser, Payload, TypeRef, ValType};

use super::{at_most, complexity, invalid, malformed, shown, toolchain};
use crate::engine::FEATURES;
use crate::limits::{ModuleLimits, PAGE_BYTES, SandboxConfig};
use crate::outcome::{Refusal, ViolationKind};

/// Characters of an import's name that are shown.
const NAME_SHOWN: usize = 64;

/// Checks the outline of a module.
pub(super) fn check(bytes: &[u8], limits: &ModuleLimits, config: &SandboxConfig) -> Result<(), Refusal> {
    if read(bytes, limits, config)?.memories == 0 {
        return Err(invalid(format!("it has no memory to export as `{}`", export::MEMORY)));
    }
    Ok(())
}

/// Checks the outline of a form for single bars, which has no memory.
pub(super) fn check_bar(bytes: &[u8], limits: &ModuleLimits, config: &SandboxConfig) -> Result<(), Refusal> {
    match read(bytes, limits, config)?.memories {
        0 => Ok(()),
        _ => Err(invalid("its form for single bars has a memory")),
    }
}

fn read<'a>(bytes: &[u8], limits: &'a ModuleLimits, config: &'a SandboxConfig) -> Result<Outline<'a>, Refusal> {
    let mut outline = Outline { limits, config, types: Vec::new(), custom_sections: 0, memories: 0 };
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(bytes) {
        outline.payload(&payload.map_err(|e| malformed(&e))?)?;
    }
    Ok(outline)
}

struct Outline<'a> {
    limits: &'a ModuleLimits,
    config: &'a SandboxConfig,
    /// Function types, to know the type of an import.
    types: Vec<FuncType>,
    custom_sections: u32,
    memories: u32,
}

impl Outline<'_> {
    fn payload(&mut self, payload: &Payload<'_>) -> Result<(), Refusal> {
        let limits = self.limits;
        match payload {
            Payload::Version { .. } | Payload::End(_) => Ok(()),
            Payload::TypeSection(section) => {
                complexity("types", section.count(), limits.types)?;
                for ty in section.clone().into_iter_err_on_gc_types() {
                    let ty = ty.map_err(|e| malformed(&e))?;
                    complexity("params in one function type", ty.params().len(), limits.params as usize)?;
                    // Validation checks every branch against every result.
                    if ty.results().len() > 1 {
                        return Err(toolchain::off("multi-value"));
                    }
                    self.types.push(ty);
                }
                Ok(())
            }
            Payload::ImportSection(section) => {
                // Names first: which import is forbidden says more than how many there are.
                for import in section.clone().into_imports() {
                    self.import(&import.map_err(|e| malformed(&e))?)?;
                }
                complexity("imports", section.count(), limits.imports)
            }
            Payload::FunctionSection(section) => complexity("functions", section.count(), limits.functions),
            Payload::TableSection(section) => {
                complexity("tables", section.count(), limits.tables.min(1))?;
                for table in section.clone() {
                    let most = u64::from(limits.table_elements).min(self.config.max_table_elements as u64);
                    let initial = table.map_err(|e| malformed(&e))?.ty.initial;
                    at_most(ViolationKind::ModuleTooLarge, "table elements", initial, most)?;
                }
                Ok(())
            }
            Payload::MemorySection(section) => {
                self.memories = section.count();
                if self.memories > 1 {
                    return Err(invalid(format!("it has {} memories, and may have one", self.memories)));
                }
                for memory in section.clone() {
                    let most = limits.initial_memory_bytes.min(self.config.max_memory_bytes) / PAGE_BYTES;
                    let initial = memory.map_err(|e| malformed(&e))?.initial;
                    at_most(ViolationKind::ModuleTooLarge, "pages of memory from the start", initial, most as u64)?;
                }
                Ok(())
            }
            Payload::GlobalSection(section) => complexity("globals", section.count(), limits.globals),
            Payload::ExportSection(section) => complexity("exports", section.count(), limits.exports),
            Payload::StartSection { .. } => Err(invalid(format!(
                "it has a start function, which would run before its limits are known; use `{}`",
                export::INIT
            ))),
            Payload::ElementSection(section) => {
                let mut items = section.count();
                for element in section.clone() {
                    let count = match element.map_err(|e| malformed(&e))?.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    items = items.saturating_add(count);
                    complexity("items in element segments", items, limits.table_elements)?;
                }
                Ok(())
            }
            Payload::DataSection(section) => complexity("data segments", section.count(), limits.data_segments),
            Payload::CodeSectionStart { count, .. } => complexity("functions", *count, limits.functions),
            Payload::CodeSectionEntry(body) => {
                complexity("bytes of code in one function", body.range().len(), limits.body_bytes)
            }
            Payload::CustomSection(_) => {
                self.custom_sections += 1;
                complexity("custom sections", self.custom_sections, limits.custom_sections)
            }
            Payload::DataCountSection { .. } => Err(toolchain::off("bulk memory")),
            Payload::TagSection(_) => Err(toolchain::off("exceptions")),
            _ => Err(invalid("it has a section that core WebAssembly does not know")),
        }
    }

    /// The one import there is: what `AssemblyScript` calls when it aborts.
    fn import(&self, import: &Import<'_>) -> Result<(), Refusal> {
        let abort = (import.module, import.name) == ("env", "abort");
        let typed = match import.ty {
            TypeRef::Func(index) => usize::try_from(index)
                .ok()
                .and_then(|index| self.types.get(index))
                .is_some_and(|ty| ty.params() == [ValType::I32; 4] && ty.results().is_empty()),
            _ => false,
        };
        if abort && typed {
            return Ok(());
        }
        let (module, name) = (shown(import.module, NAME_SHOWN), shown(import.name, NAME_SHOWN));
        let what = match import.ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => "function",
            TypeRef::Table(_) => "table",
            TypeRef::Memory(_) => "memory",
            TypeRef::Global(_) => "global",
            TypeRef::Tag(_) => "tag",
        };
        let why = if abort {
            "must be a function that takes four i32 and returns nothing"
        } else if import.module.starts_with("wasi") {
            "is WASI, which rules do not have: build for a target without an operating system"
        } else {
            "is not there: a rule may import nothing but the function `env.abort`"
        };
        Err(Refusal { kind: ViolationKind::ImportForbidden, detail: format!("{what} `{module}.{name}` {why}") })
    }
}
