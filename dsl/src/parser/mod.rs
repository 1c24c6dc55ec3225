//! Text to syntax tree.
use crate::Limits;
use crate::ast::*;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};

#[derive(Clone, Debug, PartialEq)]
enum T {
    Name(String),
    Num(f64, bool, String), // value, percent, text
    Clock(u16),
    Dur(u64, DurationUnit),
    Str(String),
    P(&'static str),
    Eof,
}
type R<X> = Result<X, Diagnostic>;
fn err<X>(m: impl Into<String>, s: Span) -> R<X> {
    Err(Diagnostic::new(Code::SOURCE_TOO_LONG, m, s, ""))
}
const PUNCT: &[&str] = &[
    "->", ":=", "??", "<=", ">=", "==", "!=", "..", "(", ")", "{", "}", "[", "]", ",", ":", "?", "=", "<", ">", "+",
    "-", "*", "/",
];
const WORDS: &[&str] = &[
    "edition",
    "clock",
    "day",
    "rule",
    "param",
    "let",
    "var",
    "per",
    "out",
    "if",
    "then",
    "else",
    "warn",
    "breach",
    "block",
    "reduce",
    "liquidate",
    "for",
    "bars",
    "forever",
    "or",
    "and",
    "not",
    "test",
    "set",
    "bar",
    "ok",
    "fault",
    "in",
    "num",
    "int",
    "bool",
    "true",
    "false",
];

fn lex(s: &str) -> R<Vec<(T, Span)>> {
    let b = s.as_bytes();
    let mut i = 0;
    let mut out = Vec::new();
    while i < b.len() {
        let c = b[i];
        let st = i;
        let sp = |a: usize, e: usize| Span::new(a as u32, e as u32);
        if c.is_ascii_whitespace() {
            i += 1;
            continue;
        }
        if c == b'#' {
            while i < b.len() && b[i] != b'\n' {
                i += 1;
            }
            continue;
        }
        if c.is_ascii_lowercase() || c == b'_' {
            while i < b.len() && (b[i].is_ascii_lowercase() || b[i] == b'_' || b[i].is_ascii_digit()) {
                i += 1;
            }
            out.push((T::Name(s[st..i].to_string()), sp(st, i)));
            continue;
        }
        if c.is_ascii_digit() {
            while i < b.len() && b[i].is_ascii_digit() {
                i += 1;
            }
            if i + 2 < b.len() && b[i] == b':' && b[i + 1].is_ascii_digit() && b[i + 2].is_ascii_digit() && i - st == 2
            {
                let h: u16 = s[st..i].parse().unwrap();
                let m: u16 = s[i + 1..i + 3].parse().unwrap();
                i += 3;
                if h > 23 || m > 59 {
                    return err("time", sp(st, i));
                }
                out.push((T::Clock(h * 60 + m), sp(st, i)));
                continue;
            }
            let mut frac = false;
            if i + 1 < b.len() && b[i] == b'.' && b[i + 1].is_ascii_digit() {
                frac = true;
                i += 1;
                while i < b.len() && b[i].is_ascii_digit() {
                    i += 1;
                }
            }
            let mut exp = false;
            if i < b.len() && (b[i] == b'e' || b[i] == b'E') {
                let mut j = i + 1;
                if j < b.len() && (b[j] == b'-' || b[j] == b'+') {
                    j += 1;
                }
                if j < b.len() && b[j].is_ascii_digit() {
                    exp = true;
                    i = j;
                    while i < b.len() && b[i].is_ascii_digit() {
                        i += 1;
                    }
                }
            }
            let text = s[st..i].to_string();
            if i < b.len() && b[i] == b'%' && !exp {
                i += 1;
                let v: f64 = format!("{text}e-2").parse().unwrap();
                out.push((T::Num(v, true, text), sp(st, i)));
                continue;
            }
            if !frac && !exp && i < b.len() && matches!(b[i], b'm' | b'h' | b'd') {
                let u = match b[i] {
                    b'm' => DurationUnit::Minutes,
                    b'h' => DurationUnit::Hours,
                    _ => DurationUnit::Days,
                };
                i += 1;
                out.push((T::Dur(text.parse().unwrap_or(u64::MAX), u), sp(st, i)));
                continue;
            }
            let v: f64 = text.parse().unwrap();
            if !v.is_finite() {
                return err("not finite", sp(st, i));
            }
            out.push((T::Num(v, false, text), sp(st, i)));
            continue;
        }
        if c == b'"' {
            i += 1;
            while i < b.len() && b[i] != b'"' && b[i] != b'\n' {
                i += 1;
            }
            if i >= b.len() || b[i] != b'"' {
                return err("unterminated string", sp(st, i));
            }
            i += 1;
            out.push((T::Str(s[st + 1..i - 1].to_string()), sp(st, i)));
            continue;
        }
        let mut hit = false;
        for p in PUNCT {
            if s[i..].starts_with(p) {
                i += p.len();
                out.push((T::P(p), sp(st, i)));
                hit = true;
                break;
            }
        }
        if !hit {
            return err(format!("stray {:?}", c as char), sp(st, st + 1));
        }
    }
    out.push((T::Eof, Span::new(b.len() as u32, b.len() as u32)));
    Ok(out)
}

struct P {
    t: Vec<(T, Span)>,
    i: usize,
}
impl P {
    fn peek(&self) -> &T {
        &self.t[self.i].0
    }
    fn span(&self) -> Span {
        self.t[self.i].1
    }
    fn prev(&self) -> Span {
        self.t[self.i.saturating_sub(1)].1
    }
    fn is(&self, p: &str) -> bool {
        matches!(self.peek(), T::P(q) if *q == p)
    }
    fn word(&self, w: &str) -> bool {
        matches!(self.peek(), T::Name(n) if n == w)
    }
    fn take(&mut self, p: &str) -> bool {
        let h = self.is(p);
        if h {
            self.i += 1;
        }
        h
    }
    fn takew(&mut self, p: &str) -> bool {
        let h = self.word(p);
        if h {
            self.i += 1;
        }
        h
    }
    fn need(&mut self, p: &str) -> R<Span> {
        let s = self.span();
        if self.take(p) { Ok(s) } else { err(format!("expected `{p}`, got {:?}", self.peek()), s) }
    }
    fn needw(&mut self, p: &str) -> R<Span> {
        let s = self.span();
        if self.takew(p) { Ok(s) } else { err(format!("expected `{p}`, got {:?}", self.peek()), s) }
    }
    fn name(&mut self) -> R<Name> {
        let s = self.span();
        match self.peek().clone() {
            T::Name(n) if !WORDS.contains(&n.as_str()) => {
                self.i += 1;
                Ok(Spanned::new(n, s))
            }
            t => err(format!("expected a name, got {t:?}"), s),
        }
    }
    fn string(&mut self) -> R<Spanned<String>> {
        let s = self.span();
        match self.peek().clone() {
            T::Str(x) => {
                self.i += 1;
                Ok(Spanned::new(x, s))
            }
            t => err(format!("expected a string, got {t:?}"), s),
        }
    }
    fn int(&mut self) -> R<Spanned<u64>> {
        let s = self.span();
        match self.peek().clone() {
            T::Num(_, false, t) if t.bytes().all(|b| b.is_ascii_digit()) => {
                self.i += 1;
                Ok(Spanned::new(t.parse().unwrap_or(u64::MAX), s))
            }
            t => err(format!("expected a whole number, got {t:?}"), s),
        }
    }
    fn lit(&mut self) -> R<Literal> {
        let s = self.span();
        if self.takew("true") {
            return Ok(Literal { value: LiteralValue::Bool(true), span: s });
        }
        if self.takew("false") {
            return Ok(Literal { value: LiteralValue::Bool(false), span: s });
        }
        let neg = self.take("-");
        match self.peek().clone() {
            T::Num(v, ..) => {
                self.i += 1;
                Ok(Literal { value: LiteralValue::Num(if neg { -v } else { v }), span: s.to(self.prev()) })
            }
            t => err(format!("expected a literal, got {t:?}"), s),
        }
    }
    fn range(&mut self) -> R<Option<Range>> {
        if !self.takew("in") {
            return Ok(None);
        }
        let lo = self.lit()?;
        self.need("..")?;
        let hi = self.lit()?;
        let span = lo.span.to(hi.span);
        Ok(Some(Range { lo, hi, span }))
    }
    fn ty(&mut self) -> R<Spanned<TypeName>> {
        let s = self.span();
        for (w, t) in [("num", TypeName::Num), ("bool", TypeName::Bool), ("int", TypeName::Int)] {
            if self.takew(w) {
                return Ok(Spanned::new(t, s));
            }
        }
        err("expected a type", s)
    }
    fn file(&mut self) -> R<File> {
        let edition = if self.takew("edition") { Some(self.int()?) } else { None };
        let st = self.span();
        let clock = if self.takew("clock") {
            let zone = self.string()?;
            self.needw("day")?;
            let s = self.span();
            let T::Clock(m) = *self.peek() else { return err("expected HH:MM", s) };
            self.i += 1;
            Some(ClockLine { zone, day: Spanned::new(m, s), span: st.to(s) })
        } else {
            None
        };
        let rule = self.rule()?;
        let mut tests = vec![];
        while self.word("test") {
            tests.push(self.test()?);
        }
        if *self.peek() != T::Eof {
            return err(format!("unexpected {:?}", self.peek()), self.span());
        }
        Ok(File { edition, clock, rule, tests })
    }
    fn rule(&mut self) -> R<Rule> {
        let st = self.needw("rule")?;
        let name = self.name()?;
        self.need("(")?;
        let mut inputs = vec![];
        loop {
            let name = self.name()?;
            let s = name.span;
            let (mut ty, mut optional) = (None, false);
            if self.take(":") {
                ty = Some(self.ty()?);
                optional = self.take("?");
            }
            let range = self.range()?;
            inputs.push(Input { name, ty, optional, range, span: s.to(self.prev()) });
            if !self.take(",") {
                break;
            }
        }
        self.need(")")?;
        let body = if self.take("=") {
            Body::Short(self.expr()?)
        } else {
            self.need("{")?;
            let mut items = vec![];
            while !self.is("}") {
                if self.word("param") {
                    let s = self.span();
                    self.i += 1;
                    let name = self.name()?;
                    self.need(":")?;
                    let ty = self.ty()?;
                    self.need("=")?;
                    let default = self.lit()?;
                    let range = self.range()?;
                    items.push(Item::Param(Param { name, ty, default, range, span: s.to(self.prev()) }));
                } else {
                    items.push(Item::Stmt(self.stmt()?));
                }
            }
            self.need("}")?;
            Body::Block(items)
        };
        Ok(Rule { name, inputs, body, span: st.to(self.prev()) })
    }
    fn block(&mut self) -> R<Vec<Stmt>> {
        self.need("{")?;
        let mut v = vec![];
        while !self.is("}") {
            v.push(self.stmt()?);
        }
        self.need("}")?;
        Ok(v)
    }
    fn if_(&mut self) -> R<If> {
        self.needw("if")?;
        let condition = self.expr()?;
        let then = self.block()?;
        let otherwise = if self.takew("else") {
            if self.word("if") {
                let s = self.span();
                let i = self.if_()?;
                Some(Else::If(Box::new(Spanned::new(i, s.to(self.prev())))))
            } else {
                Some(Else::Block(self.block()?))
            }
        } else {
            None
        };
        Ok(If { condition, then, otherwise })
    }
    fn stmt(&mut self) -> R<Stmt> {
        let s = self.span();
        let kind = if self.takew("let") {
            let name = self.name()?;
            self.need("=")?;
            StmtKind::Let { name, value: self.expr()? }
        } else if self.takew("var") {
            let name = self.name()?;
            let per_day = self.takew("per");
            if per_day {
                self.needw("day")?;
            }
            self.need("=")?;
            StmtKind::Var { name, per_day, value: self.expr()? }
        } else if self.takew("out") {
            let name = self.name()?;
            self.need("=")?;
            StmtKind::Out { name, value: self.expr()? }
        } else if self.word("if") {
            StmtKind::If(self.if_()?)
        } else if self.word("warn") || self.word("breach") {
            let severity = if self.word("warn") { Severity::Warn } else { Severity::Breach };
            self.i += 1;
            let a = self.span();
            let action = if self.takew("block") {
                Some(Action::Block)
            } else if self.takew("liquidate") {
                Some(Action::Liquidate)
            } else if self.takew("reduce") {
                self.need("(")?;
                let e = self.expr()?;
                self.need(")")?;
                Some(Action::Reduce(e))
            } else {
                None
            };
            let action = action.map(|x| Spanned::new(x, a.to(self.prev())));
            let h = self.span();
            let hold = if self.takew("forever") {
                Some(Hold::Forever)
            } else if self.takew("for") {
                if self.takew("day") {
                    Some(Hold::Day)
                } else if let T::Dur(n, u) = *self.peek() {
                    self.i += 1;
                    Some(Hold::Duration(n, u))
                } else {
                    let n = self.int()?.value;
                    self.needw("bars")?;
                    Some(Hold::Bars(n))
                }
            } else {
                None
            };
            let hold = hold.map(|x| Spanned::new(x, h.to(self.prev())));
            StmtKind::Verdict(VerdictStmt { severity, action, hold, message: self.string()? })
        } else {
            let name = self.name()?;
            self.need(":=")?;
            StmtKind::Assign { name, value: self.expr()? }
        };
        Ok(Stmt { kind, span: s.to(self.prev()) })
    }
    fn expr(&mut self) -> R<Expr> {
        let s = self.span();
        if self.takew("if") {
            let condition = Box::new(self.expr()?);
            self.needw("then")?;
            let then = Box::new(self.expr()?);
            self.needw("else")?;
            let otherwise = Box::new(self.expr()?);
            return Ok(Expr { span: s.to(otherwise.span), kind: ExprKind::If { condition, then, otherwise } });
        }
        self.bin(0)
    }
    fn bin(&mut self, level: usize) -> R<Expr> {
        const L: [&[(&str, BinaryOp)]; 5] = [
            &[("or", BinaryOp::Or)],
            &[("and", BinaryOp::And)],
            &[
                ("<", BinaryOp::Lt),
                ("<=", BinaryOp::Le),
                (">", BinaryOp::Gt),
                (">=", BinaryOp::Ge),
                ("==", BinaryOp::Eq),
                ("!=", BinaryOp::Ne),
            ],
            &[("+", BinaryOp::Add), ("-", BinaryOp::Sub)],
            &[("*", BinaryOp::Mul), ("/", BinaryOp::Div)],
        ];
        if level == 2 && self.word("not") {
            let s = self.span();
            self.i += 1;
            let e = self.bin(2)?;
            return Ok(Expr { span: s.to(e.span), kind: ExprKind::Unary { op: UnaryOp::Not, operand: Box::new(e) } });
        }
        if level == 5 {
            return self.unary();
        }
        let mut left = self.bin(level + 1)?;
        let mut chained = false;
        'o: loop {
            for (w, op) in L[level] {
                if self.is(w) || self.word(w) {
                    let s = self.span();
                    if level == 2 && chained {
                        return err("comparisons do not chain", s);
                    }
                    chained = true;
                    self.i += 1;
                    let right = self.bin(level + 1)?;
                    left = Expr {
                        span: left.span.to(right.span),
                        kind: ExprKind::Binary {
                            op: Spanned::new(*op, s),
                            left: Box::new(left),
                            right: Box::new(right),
                        },
                    };
                    continue 'o;
                }
            }
            return Ok(left);
        }
    }
    fn unary(&mut self) -> R<Expr> {
        let s = self.span();
        if self.take("-") {
            let e = self.unary()?;
            return Ok(Expr { span: s.to(e.span), kind: ExprKind::Unary { op: UnaryOp::Neg, operand: Box::new(e) } });
        }
        let p = self.primary()?;
        let s = self.span();
        if self.take("??") {
            let r = self.unary()?;
            return Ok(Expr {
                span: p.span.to(r.span),
                kind: ExprKind::Binary {
                    op: Spanned::new(BinaryOp::Default, s),
                    left: Box::new(p),
                    right: Box::new(r),
                },
            });
        }
        Ok(p)
    }
    fn primary(&mut self) -> R<Expr> {
        let s = self.span();
        let kind = if self.take("(") {
            let e = self.expr()?;
            self.need(")")?;
            ExprKind::Paren(Box::new(e))
        } else if self.takew("true") {
            ExprKind::Bool(true)
        } else if self.takew("false") {
            ExprKind::Bool(false)
        } else {
            match self.peek().clone() {
                T::Num(v, ..) => {
                    self.i += 1;
                    ExprKind::Num(v)
                }
                T::Clock(m) => {
                    self.i += 1;
                    ExprKind::Clock(m)
                }
                _ => {
                    let name = self.name()?;
                    if self.take("[") {
                        let back = self.int()?;
                        self.need("]")?;
                        ExprKind::Index { name, back }
                    } else if self.take("(") {
                        let mut args = vec![];
                        while !self.is(")") {
                            let mut an = None;
                            if matches!(self.peek(), T::Name(_)) && matches!(self.t[self.i + 1].0, T::P(":")) {
                                an = Some(self.name()?);
                                self.need(":")?;
                            }
                            args.push(Arg { name: an, value: self.expr()? });
                            if !self.take(",") {
                                break;
                            }
                        }
                        self.need(")")?;
                        ExprKind::Call { name, args }
                    } else {
                        ExprKind::Name(name.value)
                    }
                }
            }
        };
        Ok(Expr { kind, span: s.to(self.prev()) })
    }
    fn test(&mut self) -> R<Test> {
        let s = self.needw("test")?;
        let name = self.string()?;
        self.need("{")?;
        let (mut sets, mut bars) = (vec![], vec![]);
        while self.takew("set") {
            let n = self.name()?;
            self.need("=")?;
            sets.push((n, self.lit()?));
        }
        while self.word("bar") {
            let s = self.span();
            self.i += 1;
            let mut values = vec![];
            while !self.is("->") {
                let n = self.name()?;
                self.need("=")?;
                let v = if matches!(self.peek(), T::Str(_)) {
                    TestValue::Text(self.string()?)
                } else {
                    TestValue::Literal(self.lit()?)
                };
                values.push((n, v));
            }
            self.need("->")?;
            let e = self.span();
            let expected = if self.takew("ok") {
                Expected::Ok
            } else if self.takew("fault") {
                Expected::Fault
            } else {
                let sev = if self.takew("warn") {
                    Severity::Warn
                } else {
                    self.needw("breach")?;
                    Severity::Breach
                };
                let a = if self.takew("block") {
                    Some(ActionWord::Block)
                } else if self.takew("reduce") {
                    Some(ActionWord::Reduce)
                } else if self.takew("liquidate") {
                    Some(ActionWord::Liquidate)
                } else {
                    None
                };
                Expected::Verdict(sev, a)
            };
            bars.push(TestBar { values, expected: Spanned::new(expected, e.to(self.prev())), span: s.to(self.prev()) });
        }
        self.need("}")?;
        Ok(Test { name, sets, bars, span: s.to(self.prev()) })
    }
}

/// Reads a source; the first error ends it.
pub fn parse(source: &str, _limits: &Limits) -> (Option<File>, Vec<Diagnostic>) {
    match lex(source).and_then(|t| P { t, i: 0 }.file()) {
        Ok(f) => (Some(f), vec![]),
        Err(d) => (None, vec![d]),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn generated_rules_parse() {
        for seed in 0..2000 {
            let g = crate::generate::generate(&mut crate::generate::Choices::seeded(seed), 8, 1);
            let (f, d) = super::parse(&g.source, &crate::Limits::DEFAULT);
            assert!(f.is_some(), "{}\n{d:?}", g.source);
        }
    }
}
