//! `LuaJIT`: a loop over the columns, which it compiles to machine code. As tenants may have it, without FFI, the host
//! fills tables with the columns and reads one of verdicts; with FFI, which reads and writes any memory, it has the very
//! columns as C arrays.

use std::ffi::c_void;

use mlua::{Function, LightUserData, Lua, Table};

use super::Peer;
use crate::Error;
use crate::measure::try_nanoseconds_each;
use crate::rows::Rows;
use crate::rules::Rule;

/// Makes arrays of pointers, and hands them to the rule.
const CALL: &str = r#"
local ffi = require("ffi")
local rule = ...
return function(equity, drawdown, verdicts, bars)
  rule(ffi.cast("const double *", equity), ffi.cast("const double *", drawdown), ffi.cast("uint8_t *", verdicts), bars)
end
"#;

/// What the rule is in Lua, in some ways to write it.
pub fn peers<'a>(rule: &Rule, rows: &'a Rows) -> Result<Vec<Peer<'a>>, Error> {
    const PLAIN: &str = "LuaJIT with FFI";
    const STRICT: &str = "LuaJIT with FFI, tolerant and checked";
    const TABLES: &str = "LuaJIT";
    let (r2, r3) = (include_str!("../lua/r2.lua"), include_str!("../lua/r3.lua"));
    let scripts: &[(&'static str, &str)] = match rule.name {
        "R1" => &[(PLAIN, include_str!("../lua/r1.lua"))],
        "R2" => &[(PLAIN, r2), (STRICT, include_str!("../lua/r2_strict.lua"))],
        "R3" => &[
            (PLAIN, r3),
            (STRICT, include_str!("../lua/r3_strict.lua")),
            ("LuaJIT with FFI, running sum", include_str!("../lua/r3_running.lua")),
        ],
        "R4" => &[(PLAIN, include_str!("../lua/r4.lua"))],
        "R5" => &[(PLAIN, include_str!("../lua/r5.lua"))],
        "R6" => &[(PLAIN, include_str!("../lua/r6.lua"))],
        _ => &[],
    };
    let mut peers = scripts.iter().map(|(name, script)| with_ffi(name, script, rows)).collect::<Result<Vec<_>, _>>()?;
    match rule.name {
        "R2" => peers.push(with_tables(TABLES, r2, rows)?),
        "R3" => peers.push(with_tables(TABLES, r3, rows)?),
        _ => {}
    }
    Ok(peers)
}

/// The time has filling the tables and reading the verdicts in it, as Rulebox's has copying.
fn with_tables<'a>(name: &'static str, script: &str, rows: &'a Rows) -> Result<Peer<'a>, Error> {
    let lua = Lua::new();
    let rule: Function = lua.load(script).call(()).map_err(said)?;
    let run = move |verdicts: &mut [u8]| {
        let bars = verdicts.len();
        let mut turn = || {
            let input = |column: &[f64]| table(&lua, column.get(..bars).unwrap_or_default());
            let (equity, drawdown) = (input(&rows.equity)?, input(&rows.drawdown)?);
            let output = lua.create_table_with_capacity(bars, 1)?;
            rule.call::<()>((equity, drawdown, &output, bars))?;
            let first = std::iter::once_with(|| output.raw_get(0));
            for (verdict, said) in verdicts.iter_mut().zip(first.chain(output.sequence_values())) {
                *verdict = said?;
            }
            mlua::Result::Ok(())
        };
        Ok(try_nanoseconds_each(bars, || turn().map_err(said)))
    };
    Ok(Peer { name, bars: rows.bars(), run: Box::new(run) })
}

/// A column from 0 on, as the rules have it; Lua's own lists begin at 1.
fn table(lua: &Lua, column: &[f64]) -> mlua::Result<Table> {
    let (first, rest) = column.split_first().unwrap_or((&0.0, &[]));
    let table = lua.create_sequence_from(rest.iter().copied())?;
    table.raw_set(0, *first)?;
    Ok(table)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it on")]
fn said(error: mlua::Error) -> Error {
    error.to_string().into()
}

fn with_ffi<'a>(name: &'static str, script: &str, rows: &'a Rows) -> Result<Peer<'a>, Error> {
    // SAFETY: the scripts are the suite's own. They use FFI for arrays, whose length they are told.
    #[expect(unsafe_code, reason = "FFI is what LuaJIT is quickest with, and mlua's safe mode is without it")]
    let lua = unsafe { Lua::unsafe_new() };
    let strict: Table = lua.load(include_str!("../lua/strict.lua")).eval().map_err(said)?;
    let rule: Function = lua.load(script).call(strict).map_err(said)?;
    let call: Function = lua.load(CALL).call(rule).map_err(said)?;
    let run = move |verdicts: &mut [u8]| {
        let _keep_alive = &lua;
        let input = |column: &[f64]| LightUserData(column.as_ptr().cast::<c_void>().cast_mut());
        let bars = verdicts.len();
        let arguments = (input(&rows.equity), input(&rows.drawdown), LightUserData(verdicts.as_mut_ptr().cast()), bars);
        Ok(try_nanoseconds_each(bars, || call.call(arguments).map_err(said)))
    };
    Ok(Peer { name, bars: rows.bars(), run: Box::new(run) })
}
