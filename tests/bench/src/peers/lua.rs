//! `LuaJIT`: a loop over the columns, which it compiles to machine code. It reads the very columns as C arrays.

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
    const PLAIN: &str = "LuaJIT";
    const STRICT: &str = "LuaJIT, tolerant and checked";
    let scripts: &[(&'static str, &str)] = match rule.name {
        "R1" => &[(PLAIN, include_str!("../lua/r1.lua"))],
        "R2" => &[(PLAIN, include_str!("../lua/r2.lua")), (STRICT, include_str!("../lua/r2_strict.lua"))],
        "R3" => &[
            (PLAIN, include_str!("../lua/r3.lua")),
            (STRICT, include_str!("../lua/r3_strict.lua")),
            ("LuaJIT, running sum", include_str!("../lua/r3_running.lua")),
        ],
        "R4" => &[(PLAIN, include_str!("../lua/r4.lua"))],
        "R5" => &[(PLAIN, include_str!("../lua/r5.lua"))],
        "R6" => &[(PLAIN, include_str!("../lua/r6.lua"))],
        _ => &[],
    };
    scripts.iter().map(|(name, script)| peer(name, script, rows)).collect()
}

fn peer<'a>(name: &'static str, script: &str, rows: &'a Rows) -> Result<Peer<'a>, Error> {
    // SAFETY: the scripts are the suite's own. They use FFI for arrays, whose length they are told.
    #[expect(unsafe_code, reason = "FFI is what LuaJIT is quickest with, and mlua's safe mode is without it")]
    let lua = unsafe { Lua::unsafe_new() };
    let strict: Table = lua.load(include_str!("../lua/strict.lua")).eval().map_err(|error| error.to_string())?;
    let rule: Function = lua.load(script).call(strict).map_err(|error| error.to_string())?;
    let call: Function = lua.load(CALL).call(rule).map_err(|error| error.to_string())?;
    let run = move |verdicts: &mut [u8]| {
        let _keep_alive = &lua;
        let input = |column: &[f64]| LightUserData(column.as_ptr().cast::<c_void>().cast_mut());
        let bars = verdicts.len();
        let arguments = (input(&rows.equity), input(&rows.drawdown), LightUserData(verdicts.as_mut_ptr().cast()), bars);
        Ok(try_nanoseconds_each(bars, || call.call(arguments).map_err(|error| error.to_string().into())))
    };
    Ok(Peer { name, bars: rows.bars(), run: Box::new(run) })
}
