//! The proved cost of a rule: the most fuel that its code can use.
//!
//! It is read from the instructions that go into the module, not from the rule, so it cannot drift from them. Fuel is
//! counted as Wasmtime 48 does (`default_operator_cost` of `wasmtime-environ`, `fuel_*` of
//! `wasmtime-internal-cranelift`): one unit on entry of a function, then one for each instruction that is executed,
//! but for those of [`instruction`] that are free. A test runs each kind of instruction and compares.
//!
//! # The longest path
//!
//! Code is structured, so one walk over it finds the longest path: it keeps the cost of the longest path to here and,
//! for each open block, of the longest path that branches to its end. A loop of at most n trips costs n - 1 times its
//! longest way back, and then the longest way out.
//!
//! The loops over bars are different: how often they run is not known, a trip may do several bars, and a fault goes from
//! the one loop into the other in the midst of a bar. But each bar ends in one place. If every bar that ends pays b, and
//! with that no way back in them costs anything any more, then the longest path, with what its bars pay taken off, is the
//! most that a call can cost beside b for each of its bars: that path is the cost of a call, and b that of a bar. Each way
//! back ends a bar at least, so a larger b makes all of them cheaper, and the least b that is enough is found by halving.
//! What is done once for several bars ([`Code::shared`]) is in no path: each of those bars pays its part of it beside b.

use std::collections::BTreeMap;

use wasm_encoder::Instruction;

use crate::codegen::code::{Code, Op, Trips};
use crate::manifest::LineCost;

/// Fuel of an instruction where it is executed.
pub const fn instruction(instruction: &Instruction<'_>) -> u64 {
    match instruction {
        Instruction::Nop
        | Instruction::Drop
        | Instruction::Block(_)
        | Instruction::Loop(_)
        | Instruction::Unreachable
        | Instruction::Return
        | Instruction::Else
        | Instruction::End => 0,
        _ => 1,
    }
}

/// Fuel of entering a function.
pub const ENTRY: u64 = 1;

/// Cost of `rulebox_eval`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EvalCost {
    /// Of one bar.
    pub bar: u64,
    /// Of a call beside its bars.
    pub call: u64,
    /// Share of each source line in a bar, each at its own worst.
    pub lines: Vec<LineCost>,
}

/// Proves the cost of a function without loops over bars.
pub(crate) fn of_call(code: &Code) -> u64 {
    fuel(longest(code.ops(), 0).path)
}

/// Proves the cost of `rulebox_eval`.
pub(crate) fn of_eval(code: &Code) -> EvalCost {
    let own = cost_of_bar(code.ops());
    let call = longest(code.ops(), own).path;
    let bar = own.saturating_add(share_of_bar(code.ops()));
    let lines = lines(one_bar(code.ops())).into_iter().filter(|&(line, fuel)| line > 0 && fuel > 0);
    let lines = lines.map(|(line, fuel)| LineCost { line, fuel }).collect();
    EvalCost { bar: fuel(bar), call: fuel(call), lines }
}

/// What a bar pays of that which is done once for several.
fn share_of_bar(ops: &[Op]) -> Cost {
    let shared = || ops.iter().filter_map(|op| op.shared.map(|bars| (bars, instruction(&op.instruction))));
    let by = Cost::from(shared().map(|(bars, _)| bars).min().unwrap_or(1).max(1));
    let all: Cost = shared().map(|(_, fuel)| Cost::from(fuel)).sum();
    (all + by - 1) / by
}

/// The least that bars can pay so that no way back costs anything.
fn cost_of_bar(ops: &[Op]) -> Cost {
    let is_enough = |paid: Cost| longest(ops, paid).back <= 0;
    // One bar pays for the longest way back of all.
    let (mut less, mut enough) = (-1, longest(ops, 0).back.max(0));
    while enough - less > 1 {
        let half = less + (enough - less) / 2;
        if is_enough(half) {
            enough = half;
        } else {
            less = half;
        }
    }
    // A loop over bars that ends none would never be paid for.
    if is_enough(enough) { enough } else { Cost::from(u64::MAX) }
}

/// What is paid for bars is taken off, so that a path can cost less than nothing on its way. Sums of sums of u64 fit.
type Cost = i128;

fn fuel(cost: Cost) -> u64 {
    u64::try_from(cost.max(0)).unwrap_or(u64::MAX)
}

struct Longest {
    /// From entry to exit, going back never in loops over bars.
    path: Cost,
    /// The longest way back in a loop over bars.
    back: Cost,
}

/// An open block, loop or `if`. `None` is a place that cannot be reached.
struct Frame {
    kind: FrameKind,
    /// Longest path to its start.
    entry: Option<Cost>,
    /// Longest path that branches to its label: the start of a loop, the end of anything else.
    branch: Option<Cost>,
}

enum FrameKind {
    Block,
    If,
    Else,
    /// With the branches to the labels around it that stand before it.
    Loop {
        trips: Trips,
        outer: Vec<Option<Cost>>,
    },
}

/// Walks the code once. Each bar that ends pays `a_bar`.
fn longest(ops: &[Op], a_bar: Cost) -> Longest {
    let mut frames = vec![Frame { kind: FrameKind::Block, entry: None, branch: None }];
    let mut here = Some(Cost::from(ENTRY));
    let mut longest_back = Cost::MIN;
    for op in ops {
        let paid = if op.ends_bar { a_bar } else { 0 };
        let costs = if op.shared.is_some() { 0 } else { instruction(&op.instruction) };
        here = here.map(|cost| cost.saturating_add(Cost::from(costs)).saturating_sub(paid));
        let mut open = |kind| frames.push(Frame { kind, entry: here, branch: None });
        match &op.instruction {
            Instruction::Block(_) => open(FrameKind::Block),
            Instruction::If(_) => open(FrameKind::If),
            Instruction::Loop(_) => {
                let trips = op.trips.unwrap_or(Trips::Most(u64::MAX));
                // Set aside, so that at its end the branches that leave the loop are known.
                let outer = frames.iter_mut().map(|f| f.branch.take()).collect();
                frames.push(Frame { kind: FrameKind::Loop { trips, outer }, entry: here, branch: None });
            }
            Instruction::Else => {
                if let Some(frame) = frames.last_mut() {
                    frame.branch = frame.branch.max(here);
                    frame.kind = FrameKind::Else;
                    here = frame.entry;
                }
            }
            Instruction::End => {
                let Some(frame) = frames.pop() else { continue };
                match frame.kind {
                    FrameKind::Block | FrameKind::Else => here = here.max(frame.branch),
                    FrameKind::If => here = here.max(frame.branch).max(frame.entry),
                    FrameKind::Loop { trips, outer } => {
                        let back = frame.branch.zip(frame.entry).map_or(0, |(back, entry)| back - entry);
                        let times = |trips: u64| back.saturating_mul(Cost::from(trips.saturating_sub(1)));
                        // What the trips before the last one cost if it is left at its end, and by a branch.
                        let (at_end, by_branch) = match trips {
                            Trips::Most(trips) => (times(trips), times(trips)),
                            Trips::Bars => (0, 0),
                            // Left before, it has done any number of them.
                            Trips::Group(bars) => (times(bars.into()), times(bars.into()).max(0)),
                        };
                        if !matches!(trips, Trips::Most(_)) {
                            longest_back = longest_back.max(back);
                        }
                        here = here.map(|cost| cost.saturating_add(at_end));
                        for (frame, before) in frames.iter_mut().zip(outer) {
                            frame.branch = frame.branch.map(|cost| cost.saturating_add(by_branch)).max(before);
                        }
                    }
                }
            }
            Instruction::Br(depth) => {
                branch(&mut frames, *depth as usize, here);
                here = None;
            }
            Instruction::BrIf(depth) => branch(&mut frames, *depth as usize, here),
            Instruction::Return | Instruction::Unreachable => {
                let outermost = frames.len().saturating_sub(1);
                branch(&mut frames, outermost, here);
                here = None;
            }
            _ => {}
        }
    }
    let returned = frames.first().and_then(|function| function.branch);
    Longest { path: here.max(returned).unwrap_or(0), back: longest_back }
}

fn branch(frames: &mut [Frame], depth: usize, here: Option<Cost>) {
    if let Some(frame) = frames.len().checked_sub(depth + 1).and_then(|i| frames.get_mut(i)) {
        frame.branch = frame.branch.max(here);
    }
}

/// A bar with all of its tests, and no fault before it: that of a group that is done one by one, or of the only loop.
fn one_bar(ops: &[Op]) -> &[Op] {
    let begins = |is: fn(&Trips) -> bool| ops.iter().position(|op| op.trips.as_ref().is_some_and(is));
    let start = begins(|trips| matches!(trips, Trips::Group(_))).or_else(|| begins(|trips| *trips == Trips::Bars));
    let inside = ops.get(start.map_or(ops.len(), |at| at + 1)..).unwrap_or_default();
    let end = inside.iter().position(|op| op.ends_bar).unwrap_or(0);
    inside.get(..end).unwrap_or_default()
}

/// Fuel by line within some code; `None` after a branch.
type Shares = Option<BTreeMap<u32, u64>>;

/// The fuel of each line in one bar: of the branches of an `if`, the one that costs that line most; of a loop, all its
/// trips. A path that leaves the bar early (a fault) is not followed.
fn lines(ops: &[Op]) -> BTreeMap<u32, u64> {
    /// What an open block, loop or `if` waits for.
    struct Open {
        /// Shares before it.
        before: Shares,
        /// Shares of the first branch of an `if`.
        then: Option<Shares>,
        is_if: bool,
        trips: u64,
    }
    let mut open: Vec<Open> = Vec::new();
    let mut here: Shares = Some(BTreeMap::new());
    for op in ops {
        let cost = instruction(&op.instruction);
        if let Some(shares) = &mut here
            && cost > 0
        {
            *shares.entry(op.line).or_default() += cost;
        }
        match &op.instruction {
            Instruction::Block(_) | Instruction::If(_) | Instruction::Loop(_) => {
                let trips = match op.trips {
                    Some(Trips::Most(trips)) => trips,
                    Some(Trips::Bars | Trips::Group(_)) | None => 1,
                };
                let is_if = matches!(op.instruction, Instruction::If(_));
                let before = here.replace(BTreeMap::new());
                open.push(Open { before, then: None, is_if, trips });
            }
            Instruction::Else => {
                if let Some(frame) = open.last_mut() {
                    frame.then = Some(here.replace(BTreeMap::new()));
                }
            }
            Instruction::End => {
                let Some(frame) = open.pop() else { continue };
                let inside = match (frame.is_if, frame.then) {
                    (true, Some(then)) => worst(then, here.take()),
                    (true, None) => worst(here.take(), Some(BTreeMap::new())),
                    // What follows a block may be reached by a branch; its cost is that of its lines all the same.
                    (false, _) => Some(here.take().unwrap_or_default()),
                };
                here = match (frame.before, inside) {
                    (Some(mut before), Some(inside)) => {
                        for (line, fuel) in inside {
                            let share = before.entry(line).or_default();
                            *share = share.saturating_add(fuel.saturating_mul(frame.trips));
                        }
                        Some(before)
                    }
                    _ => None,
                };
            }
            Instruction::Br(_) | Instruction::Return | Instruction::Unreachable => here = None,
            _ => {}
        }
    }
    here.unwrap_or_default()
}

fn worst(a: Shares, b: Shares) -> Shares {
    match (a, b) {
        (Some(mut a), Some(b)) => {
            for (line, fuel) in b {
                let share = a.entry(line).or_default();
                *share = fuel.max(*share);
            }
            Some(a)
        }
        (one, None) | (None, one) => one,
    }
}
