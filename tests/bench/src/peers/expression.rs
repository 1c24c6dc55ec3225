//! Expression engines: prepared once, evaluated once a bar, in a context that is used again.

use std::sync::atomic::{AtomicU64, Ordering};

use evalexpr::{EvalexprError, EvalexprResult};
use zen_expression::scope::Scope;
use zen_expression::variable::{ToVariable, Variable};
use zen_expression::vm::VM;

use super::Peer;
use crate::Error;
use crate::measure::try_nanoseconds_each;
use crate::rows::Rows;
use crate::rules::Rule;

/// How an engine writes what the rules need.
struct Dialect {
    or: &'static str,
    /// Of a condition and two values.
    choice: fn(&str, &str, &str) -> String,
}

const C_LIKE: Dialect =
    Dialect { or: "||", choice: |condition, then, otherwise| format!("({condition} ? {then} : {otherwise})") };

impl Dialect {
    /// A rule that is an expression: whether it is breached, or the number of the verdict.
    fn text(&self, rule: &Rule) -> Option<String> {
        let one_if = |condition: String| (self.choice)(&condition, "1", "0");
        match rule.name {
            "R1" => Some(format!("drawdown > 0.2 {} equity < 50000.0", self.or)),
            "R4" => Some((self.choice)("drawdown >= 0.1", "2", &(self.choice)("drawdown >= 0.08", "1", "0"))),
            "R6" => {
                let drawdowns = (1..=10).map(|percent| one_if(format!("drawdown > {:.2}", f64::from(percent) / 100.0)));
                let equities = (65..=110).step_by(5).map(|money| one_if(format!("equity < {money}000.0")));
                Some(format!("{} >= 12", drawdowns.chain(equities).collect::<Vec<_>>().join(" + ")))
            }
            _ => None,
        }
    }
}

/// Every engine that can say the rule.
pub fn peers<'a>(rule: &Rule, rows: &'a Rows) -> Result<Vec<Peer<'a>>, Error> {
    let all = [
        cel(rule, rows)?,
        cel_with_a_map(rule, rows)?,
        cel_with_a_resolver(rule, rows)?,
        rhai(rule, rows)?,
        evalexpr(rule, rows)?,
        zen(rule, rows)?,
    ];
    Ok(all.into_iter().flatten().collect())
}

/// A peer that is asked for one bar after the other.
fn each_bar<'a>(
    name: &'static str,
    rows: &'a Rows,
    mut say: impl FnMut(f64, f64) -> Result<u8, Error> + 'a,
) -> Peer<'a> {
    let run = move |verdicts: &mut [u8]| {
        let bars = verdicts.len();
        Ok(try_nanoseconds_each(bars, || {
            for ((equity, drawdown), verdict) in rows.equity.iter().zip(&rows.drawdown).zip(verdicts) {
                *verdict = say(*equity, *drawdown)?;
            }
            Ok(())
        }))
    };
    // A fiftieth of the rows, and the same time as Rulebox, or more.
    Peer { name, bars: rows.bars() / 50, run: Box::new(run) }
}

const BREACH: u8 = rulebox_abi::Verdict::Breach as u8;

const fn breach_if(condition: bool) -> u8 {
    if condition { BREACH } else { 0 }
}

/// With a context of each bar, as its documentation has it.
fn cel<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    let Some(text) = C_LIKE.text(rule) else { return Ok(None) };
    let program = cel::Program::compile(&text)?;
    Ok(Some(each_bar("cel", rows, move |equity, drawdown| {
        let mut context = cel::Context::default();
        context.add_variable_from_value("equity", equity);
        context.add_variable_from_value("drawdown", drawdown);
        said_by_cel(program.execute(&context)?)
    })))
}

/// With one context for all bars, and variables that need not be put into it: the quickest way that its API has.
fn cel_with_a_resolver<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    /// Variables that need not be put into a map. A resolver must be `Sync`.
    #[derive(Default)]
    struct Bar([AtomicU64; 2]);
    impl cel::context::VariableResolver for Bar {
        fn resolve(&self, variable: &str) -> Option<cel::Value> {
            let [equity, drawdown] = &self.0;
            let cell = match variable {
                "equity" => equity,
                "drawdown" => drawdown,
                _ => return None,
            };
            Some(cel::Value::Float(f64::from_bits(cell.load(Ordering::Relaxed))))
        }
    }
    let Some(text) = C_LIKE.text(rule) else { return Ok(None) };
    let program = cel::Program::compile(&text)?;
    // It is borrowed for as long as the context lives: one of a few for the whole run.
    let bar: &'static Bar = Box::leak(Box::default());
    let mut context = cel::Context::default();
    context.set_variable_resolver(bar);
    Ok(Some(each_bar("cel, variables resolved", rows, move |equity, drawdown| {
        for (cell, value) in bar.0.iter().zip([equity, drawdown]) {
            cell.store(value.to_bits(), Ordering::Relaxed);
        }
        said_by_cel(program.execute(&context)?)
    })))
}

/// With one context for all bars, whose variables are put into it anew.
fn cel_with_a_map<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    let Some(text) = C_LIKE.text(rule) else { return Ok(None) };
    let program = cel::Program::compile(&text)?;
    let mut context = cel::Context::default();
    Ok(Some(each_bar("cel, one context", rows, move |equity, drawdown| {
        context.add_variable_from_value("equity", equity);
        context.add_variable_from_value("drawdown", drawdown);
        said_by_cel(program.execute(&context)?)
    })))
}

fn said_by_cel(value: cel::Value) -> Result<u8, Error> {
    match value {
        cel::Value::Bool(breached) => Ok(breach_if(breached)),
        cel::Value::Int(verdict) => Ok(u8::try_from(verdict)?),
        other => Err(format!("cel says {other:?}").into()),
    }
}

fn rhai<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    let dialect = Dialect {
        or: "||",
        choice: |condition, then, otherwise| format!("(if {condition} {{ {then} }} else {{ {otherwise} }})"),
    };
    let Some(text) = dialect.text(rule) else { return Ok(None) };
    let mut engine = rhai::Engine::new();
    engine.set_max_expr_depths(0, 0);
    let ast = engine.compile(text)?;
    let mut scope = rhai::Scope::new();
    Ok(Some(each_bar("rhai", rows, move |equity, drawdown| {
        scope.set_value("equity", equity).set_value("drawdown", drawdown);
        let said: rhai::Dynamic = engine.eval_ast_with_scope(&mut scope, &ast).map_err(|error| error.to_string())?;
        match said.as_bool() {
            Ok(breached) => Ok(breach_if(breached)),
            Err(_) => Ok(u8::try_from(said.as_int()?)?),
        }
    })))
}

fn evalexpr<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    /// Variables without a map.
    struct Bar([evalexpr::Value; 2]);
    impl evalexpr::Context for Bar {
        fn get_value(&self, identifier: &str) -> Option<&evalexpr::Value> {
            let [equity, drawdown] = &self.0;
            match identifier {
                "equity" => Some(equity),
                "drawdown" => Some(drawdown),
                _ => None,
            }
        }

        fn call_function(&self, identifier: &str, _argument: &evalexpr::Value) -> EvalexprResult<evalexpr::Value> {
            Err(EvalexprError::FunctionIdentifierNotFound(identifier.to_owned()))
        }

        fn are_builtin_functions_disabled(&self) -> bool {
            false
        }

        fn set_builtin_functions_disabled(&mut self, _disabled: bool) -> EvalexprResult<()> {
            Ok(())
        }
    }
    let dialect =
        Dialect { or: "||", choice: |condition, then, otherwise| format!("if({condition}, {then}, {otherwise})") };
    let Some(text) = dialect.text(rule) else { return Ok(None) };
    let tree = evalexpr::build_operator_tree(&text)?;
    Ok(Some(each_bar("evalexpr", rows, move |equity, drawdown| {
        let bar = Bar([equity, drawdown].map(evalexpr::Value::Float));
        match tree.eval_with_context(&bar)? {
            evalexpr::Value::Boolean(breached) => Ok(breach_if(breached)),
            evalexpr::Value::Int(verdict) => Ok(u8::try_from(verdict)?),
            other => Err(format!("evalexpr says {other:?}").into()),
        }
    })))
}

fn zen<'a>(rule: &Rule, rows: &'a Rows) -> Result<Option<Peer<'a>>, Error> {
    let Some(text) = (Dialect { or: "or", ..C_LIKE }).text(rule) else { return Ok(None) };
    let expression = zen_expression::compile_expression(&text)?;
    let (mut vm, mut scope) = (VM::new(), Scope::default());
    let [name_of_equity, name_of_drawdown] = ["equity", "drawdown"].map(Variable::key);
    Ok(Some(each_bar("zen-expression", rows, move |equity, drawdown| {
        scope.set_local(name_of_equity.clone(), equity.to_variable());
        scope.set_local(name_of_drawdown.clone(), drawdown.to_variable());
        match expression.evaluate_with_scope(&scope, &mut vm)? {
            Variable::Bool(breached) => Ok(breach_if(breached)),
            Variable::Number(verdict) => Ok(u8::try_from(verdict)?),
            other => Err(format!("zen-expression says {other:?}").into()),
        }
    })))
}
