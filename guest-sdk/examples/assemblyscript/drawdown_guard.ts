// Close everything once equity is too far under its highest value. The same rule: examples/dsl/drawdown_guard.rule.
//
// AssemblyScript writes no custom sections: the manifest is beside this file, and goes with the upload. No line here
// runs when the module starts (a start function is refused), so there are only constants at the top level, and buffers
// are parts of the memory that the compiler sets aside. The one import is `env.abort`, which traps. Built by
//
//   asc drawdown_guard.ts -o rule.wasm -O --runtime stub --disable bulk-memory

const ROWS: i32 = 4096;

const enum Kind {
  Params = 0,
  Input = 1,
  Verdicts = 6,
  Fired = 7,
  Out = 8,
  MessageValue = 9,
}

const enum Verdict {
  Ok = 0,
  Breach = 2,
  Fault = 3,
}

const params: usize = memory.data(8, 8);
const equities: usize = memory.data(ROWS * 8, 8);
const verdicts: usize = memory.data(ROWS, 8);
const fired: usize = memory.data(ROWS * 4, 8);
const drawdowns: usize = memory.data(ROWS * 8, 8);
const values: usize = memory.data(2 * ROWS * 8, 8);

// The highest equity so far, and whether a bar was a fault: all that resumes a run.
const state: usize = memory.data(16, 8);
const PEAK: usize = 0;
const FAULTED: usize = 8;

/** `a > b` as the rule language has it: not if they differ by 1e-12 of the larger, or of 1. */
function above(a: f64, b: f64): bool {
  return a > b && !(abs(a - b) <= 1e-12 * max(max(abs(a), abs(b)), 1));
}

function address(buffer: usize, has: i32, bytes: i32): i32 {
  return <u32>bytes <= <u32>has ? <i32>buffer : -1;
}

export function rulebox_abi_1(): void {}

export function rulebox_init(count: i32): i32 {
  const limit = load<f64>(params);
  if (count != 1 || !(limit >= 0.001 && limit <= 1)) return -1;
  rulebox_reset();
  return 0;
}

export function rulebox_buffer(kind: i32, index: i32, bytes: i32): i32 {
  if (kind == Kind.MessageValue && (index == 0 || index == 1)) {
    return address(values + index * ROWS * 8, ROWS * 8, bytes);
  }
  if (index != 0) return 0;
  switch (kind) {
    case Kind.Params:
      return address(params, 8, bytes);
    case Kind.Input:
      return address(equities, ROWS * 8, bytes);
    case Kind.Verdicts:
      return address(verdicts, ROWS, bytes);
    case Kind.Fired:
      return address(fired, ROWS * 4, bytes);
    case Kind.Out:
      return address(drawdowns, ROWS * 8, bytes);
    default:
      return 0;
  }
}

export function rulebox_reset(): void {
  store<f64>(state, 0, PEAK);
  store<i64>(state, 0, FAULTED);
}

export function rulebox_eval(rows: i32): i32 {
  if (rows < 1 || rows > ROWS) return -1;
  // An assertion that fails calls `env.abort`.
  assert(load<u64>(state, FAULTED) <= 1);
  const limit = load<f64>(params);
  for (let row = 0; row < rows; row++) {
    const cell = <usize>row << 3;
    const equity = load<f64>(equities + cell);
    // Comparisons with what is missing are false.
    if (load<i64>(state, FAULTED) != 0 || !(equity >= 1 && equity <= 1e15)) {
      store<i64>(state, 1, FAULTED);
      store<u8>(verdicts + row, Verdict.Fault);
      store<u32>(fired + (<usize>row << 2), 0);
      store<f64>(drawdowns + cell, NaN);
      continue;
    }
    const peak = max(load<f64>(state, PEAK), equity);
    store<f64>(state, peak, PEAK);
    const drawdown = 1 - equity / peak;
    const over = above(drawdown, limit);
    store<f64>(drawdowns + cell, drawdown);
    store<f64>(values + cell, drawdown);
    store<f64>(values + ROWS * 8 + cell, peak);
    store<u32>(fired + (<usize>row << 2), over ? 1 : 0);
    store<u8>(verdicts + row, over ? Verdict.Breach : Verdict.Ok);
  }
  return 0;
}

export function rulebox_state(): i64 {
  return (<i64>state << 32) | 16;
}
