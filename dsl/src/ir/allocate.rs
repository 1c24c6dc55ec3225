//! Lets scratch registers whose times do not overlap share one, so that a bar has few locals.
//!
//! Lowering gives every value a register of its own, and never asks whether one is free: whether two values are alive
//! at the same time is seen here, from the program as it is emitted. A register is alive from the first place that
//! names it to the last, in the order of emission; one that a loop names, through the whole of that loop. Registers
//! are then given out in the order in which they come alive (linear scan; Poletto and Sarkar, 1999).

use super::{Expr, Home, Program, Reg, Register, Stmt, StmtKind, Type};

/// Makes scratch registers share.
pub fn allocate(program: &mut Program) {
    let mut walk = Walk { registers: &program.registers, at: 0, alive: vec![None; program.registers.len()] };
    for (reg, value) in &program.invariants {
        walk.expr(value);
        walk.touch(*reg);
    }
    walk.stmts(&program.bar);
    let renamed = share(&program.registers, &walk.alive);
    let (kept, numbers) = without_gaps(&program.registers, &renamed);
    program.registers = kept;
    let mut rename = Rename(numbers);
    for (reg, value) in &mut program.invariants {
        rename.reg(reg);
        rename.expr(value);
    }
    rename.stmts(&mut program.bar);
    for good in program.good.finite.iter_mut().chain(&mut program.good.conditions) {
        rename.expr(good);
    }
    rename.reg(&mut program.row);
    rename.reg(&mut program.latch);
}

/// The first and the last place that names a register.
type Alive = Option<(u32, u32)>;

/// Visits a program in the order in which it is emitted.
struct Walk<'p> {
    registers: &'p [Register],
    at: u32,
    alive: Vec<Alive>,
}

impl Walk<'_> {
    fn touch(&mut self, reg: Reg) {
        self.at += 1;
        let scratch = self.registers.get(reg.0 as usize).is_some_and(|r| r.home == Home::Scratch);
        if let Some(alive) = self.alive.get_mut(reg.0 as usize).filter(|_| scratch) {
            let from = alive.map_or(self.at, |(from, _)| from);
            *alive = Some((from, self.at));
        }
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Set(reg, value) => {
                self.expr(value);
                self.touch(*reg);
            }
            StmtKind::Store { address, value, .. } => {
                self.expr(address);
                self.expr(value);
            }
            StmtKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.stmts(then);
                self.stmts(otherwise);
            }
            StmtKind::Tests(tests) => self.stmts(tests),
            StmtKind::Fault(_) => {}
            StmtKind::Loop { body, again, .. } => {
                let begin = self.at + 1;
                self.stmts(body);
                self.expr(again);
                self.at += 1;
                // The next run of the body may read what this one has left.
                for (from, to) in self.alive.iter_mut().flatten().filter(|(_, to)| *to >= begin) {
                    (*from, *to) = ((*from).min(begin), self.at);
                }
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        match e {
            Expr::F64(_) | Expr::I32(_) | Expr::I64(_) => {}
            Expr::Get(reg) => self.touch(*reg),
            Expr::Unary(_, a) | Expr::Load { address: a, .. } | Expr::At(_, a) => self.expr(a),
            Expr::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Select { condition, then, otherwise } => {
                self.expr(then);
                self.expr(otherwise);
                self.expr(condition);
            }
            Expr::If { condition, then, otherwise, .. } => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
            }
            Expr::Seq(stmts, value) => {
                self.stmts(stmts);
                self.expr(value);
            }
        }
    }
}

/// For each register, the one that it becomes: itself, or an earlier one of its type that is not alive any more.
fn share(registers: &[Register], alive: &[Alive]) -> Vec<Reg> {
    let mut order: Vec<(u32, u32, usize)> =
        alive.iter().enumerate().filter_map(|(reg, alive)| alive.map(|(from, to)| (from, to, reg))).collect();
    order.sort_unstable();
    let mut becomes: Vec<Reg> = (0..).map(Reg).take(registers.len()).collect();
    // By type: registers that were given out, each with the last place of whoever has it now.
    let mut given: [Vec<(Reg, u32)>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for (from, to, reg) in order {
        let (Some(register), Some(becomes)) = (registers.get(reg), becomes.get_mut(reg)) else { continue };
        let given = match register.ty {
            Type::I32 => &mut given[0],
            Type::I64 => &mut given[1],
            Type::F64 => &mut given[2],
        };
        match given.iter_mut().find(|(_, last)| *last < from) {
            Some((shared, last)) => (*becomes, *last) = (*shared, to),
            None => given.push((*becomes, to)),
        }
    }
    becomes
}

/// Leaves out registers that became others: what is left, and the new number of each old register.
fn without_gaps(registers: &[Register], becomes: &[Reg]) -> (Vec<Register>, Vec<Reg>) {
    let mut kept = Vec::new();
    let mut numbers = vec![Reg(0); registers.len()];
    for (old, register) in registers.iter().enumerate() {
        if becomes.get(old).is_some_and(|becomes| becomes.0 as usize == old) {
            if let Some(number) = numbers.get_mut(old) {
                *number = Reg(u32::try_from(kept.len()).unwrap_or(u32::MAX));
            }
            kept.push(*register);
        }
    }
    let through = becomes.iter().map(|becomes| numbers.get(becomes.0 as usize).copied().unwrap_or(Reg(0))).collect();
    (kept, through)
}

/// Writes the new numbers.
struct Rename(Vec<Reg>);

impl Rename {
    fn reg(&mut self, reg: &mut Reg) {
        if let Some(new) = self.0.get(reg.0 as usize) {
            *reg = *new;
        }
    }

    fn stmts(&mut self, stmts: &mut [Stmt]) {
        for stmt in stmts {
            match &mut stmt.kind {
                StmtKind::Set(reg, value) => {
                    self.reg(reg);
                    self.expr(value);
                }
                StmtKind::Store { address, value, .. } => {
                    self.expr(address);
                    self.expr(value);
                }
                StmtKind::If { condition, then, otherwise } => {
                    self.expr(condition);
                    self.stmts(then);
                    self.stmts(otherwise);
                }
                StmtKind::Tests(tests) => self.stmts(tests),
                StmtKind::Fault(_) => {}
                StmtKind::Loop { body, again, .. } => {
                    self.stmts(body);
                    self.expr(again);
                }
            }
        }
    }

    fn expr(&mut self, e: &mut Expr) {
        match e {
            Expr::F64(_) | Expr::I32(_) | Expr::I64(_) => {}
            Expr::Get(reg) => self.reg(reg),
            Expr::Unary(_, a) | Expr::Load { address: a, .. } | Expr::At(_, a) => self.expr(a),
            Expr::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Select { condition, then, otherwise } | Expr::If { condition, then, otherwise, .. } => {
                self.expr(condition);
                self.expr(then);
                self.expr(otherwise);
            }
            Expr::Seq(stmts, value) => {
                self.stmts(stmts);
                self.expr(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Binary;

    const SCRATCH: Register = Register { ty: Type::F64, home: Home::Scratch };

    fn set(reg: u32, value: Expr) -> Stmt {
        Stmt { kind: StmtKind::Set(Reg(reg), value), line: 0 }
    }

    fn get(reg: u32) -> Expr {
        Expr::Get(Reg(reg))
    }

    fn sum(a: u32, b: u32) -> Expr {
        Expr::Binary(Binary::Add, Box::new(get(a)), Box::new(get(b)))
    }

    fn shared(registers: usize, stmts: &[Stmt]) -> Vec<u32> {
        let registers = vec![SCRATCH; registers];
        let mut walk = Walk { registers: &registers, at: 0, alive: vec![None; registers.len()] };
        walk.stmts(stmts);
        share(&registers, &walk.alive).iter().map(|reg| reg.0).collect()
    }

    #[test]
    fn a_register_is_shared_once_it_was_read_for_the_last_time() {
        // 1 is written by what reads 0 last; 2 comes while 1 is still to be read.
        let stmts = [set(0, Expr::F64(1.0)), set(1, get(0)), set(2, Expr::F64(2.0)), set(3, sum(1, 2))];
        assert_eq!(shared(4, &stmts), [0, 0, 2, 0]);
    }

    #[test]
    fn a_register_that_a_loop_names_is_alive_through_all_of_it() {
        let body = vec![set(1, get(0)), set(2, Expr::F64(1.0))];
        let again = get(2);
        let in_loop = Stmt { kind: StmtKind::Loop { trips: 3, body, again }, line: 0 };
        let stmts = [set(0, Expr::F64(1.0)), in_loop, set(3, Expr::F64(2.0))];
        assert_eq!(shared(4, &stmts), [0, 1, 2, 0]);
    }
}
