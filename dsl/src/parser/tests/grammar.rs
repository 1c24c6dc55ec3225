//! The grammar as it is published, read by a recogniser that shares nothing with the parser but its tokens: it takes
//! every way through every rule at once, so it can neither guess nor forget.

use std::collections::{BTreeSet, HashMap};

use crate::lexer::lex;
use crate::token::{Token, TokenKind};

/// The published grammar, its table of precedence and its fine print written out. (Inputs that are `int` parse, so that
/// the checker can say why they cannot be.)
const GRAMMAR: &str = r#"
file    = ["edition" INT] ["clock" STRING "day" HHMM] rule {test}
rule    = "rule" NAME "(" input {"," input} ")" ( "=" expr | "{" {param | stmt} "}" )
input   = NAME [":" ("num"|"int"|"bool") ["?"]] ["in" lit ".." lit]
param   = "param" NAME ":" ("num"|"int"|"bool") "=" lit ["in" lit ".." lit]
stmt    = "let" NAME "=" expr | "var" NAME ["per" "day"] "=" expr | NAME ":=" expr | "out" NAME "=" expr | if | ("warn"|"breach") [action] [hold] STRING
if      = "if" expr block ["else" (if | block)]
block   = "{" {stmt} "}"
action  = "block" | "reduce" "(" expr ")" | "liquidate"
hold    = "for" (INT "bars" | DURATION | "day") | "forever"
expr    = "if" expr "then" expr "else" expr | or
or      = and {"or" and}
and     = not {"and" not}
not     = "not" not | compare
compare = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
sum     = product {("+" | "-") product}
product = unary {("*" | "/") unary}
unary   = "-" unary | dflt
dflt    = primary ["??" unary]
primary = "(" expr ")" | NAME | NAME "[" INT "]" | call | NUMBER | "true" | "false" | HHMM
call    = NAME "(" [arg {"," arg}] ")"
arg     = expr | NAME ":" expr
lit     = ["-"] NUMBER | "true" | "false"
test    = "test" STRING "{" {"set" NAME "=" lit} {"bar" {NAME "=" (lit | STRING)} "->" expected} "}"
expected= "ok" | ("warn"|"breach") ["block"|"reduce"|"liquidate"] | "fault"
"#;

enum Node {
    Quoted(&'static str),
    Class(&'static str),
    Rule(&'static str),
    All(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>),
    Optional(Box<Node>),
}

/// Reads alternatives, up to a closing bracket or the end.
fn alternatives(rest: &mut &'static str) -> Node {
    let (mut done, mut parts) = (Vec::new(), Vec::new());
    loop {
        *rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let taken = if first == '"' { rest[1..].find('"').unwrap() + 2 } else { word.max(1) };
        let (text, after) = rest.split_at(taken);
        if matches!(first, ')' | ']' | '}') {
            break;
        }
        *rest = after;
        match first {
            '"' => parts.push(Node::Quoted(text.trim_matches('"'))),
            '|' => done.push(Node::All(std::mem::take(&mut parts))),
            '(' | '[' | '{' => {
                let inner = alternatives(rest);
                *rest = &rest[1..];
                parts.push(match first {
                    '(' => inner,
                    '[' => Node::Optional(Box::new(inner)),
                    _ => Node::Repeat(Box::new(inner)),
                });
            }
            'A'..='Z' => parts.push(Node::Class(text)),
            _ => parts.push(Node::Rule(text)),
        }
    }
    done.push(Node::All(parts));
    Node::Either(done)
}

struct Recogniser<'a> {
    rules: HashMap<&'static str, Node>,
    source: &'a str,
    tokens: &'a [Token],
}

type Ends = BTreeSet<usize>;

impl Recogniser<'_> {
    /// Where a node can end that begins at a token.
    fn ends(&self, node: &Node, from: usize, known: &mut HashMap<(&'static str, usize), Ends>) -> Ends {
        let token = &self.tokens[from];
        let one = |right: bool| if right { Ends::from([from + 1]) } else { Ends::new() };
        match node {
            Node::Quoted(text) => one(&self.source[token.span.start as usize..token.span.end as usize] == *text),
            Node::Class(class) => one(match token.kind {
                TokenKind::Name => *class == "NAME",
                TokenKind::Number { whole, .. } => *class == "NUMBER" || (*class == "INT" && whole.is_some()),
                TokenKind::Text => *class == "STRING",
                TokenKind::Clock(_) => *class == "HHMM",
                TokenKind::Duration(..) => *class == "DURATION",
                _ => false,
            }),
            Node::Rule(name) => {
                if let Some(ends) = known.get(&(*name, from)) {
                    return ends.clone();
                }
                let ends = self.ends(&self.rules[name], from, known);
                known.insert((name, from), ends.clone());
                ends
            }
            Node::All(parts) => parts.iter().fold(Ends::from([from]), |starts, part| {
                starts.into_iter().flat_map(|start| self.ends(part, start, known)).collect()
            }),
            Node::Either(ways) => ways.iter().flat_map(|way| self.ends(way, from, known)).collect(),
            Node::Optional(inner) => self.ends(inner, from, known).into_iter().chain([from]).collect(),
            Node::Repeat(inner) => {
                let (mut all, mut new) = (Ends::from([from]), vec![from]);
                while let Some(start) = new.pop() {
                    new.extend(self.ends(inner, start, known).into_iter().filter(|end| all.insert(*end)));
                }
                all
            }
        }
    }
}

/// Whether the grammar has a source; nothing of one that is not all tokens.
pub(super) fn has(source: &str) -> Option<bool> {
    let lexed = lex(source);
    if !lexed.diagnostics.is_empty() {
        return None;
    }
    let rules = GRAMMAR.lines().filter_map(|line| line.split_once('='));
    let rules = rules.map(|(name, mut text)| (name.trim(), alternatives(&mut text))).collect();
    let recogniser = Recogniser { rules, source, tokens: &lexed.tokens };
    let ends = recogniser.ends(&Node::Rule("file"), 0, &mut HashMap::new());
    // The last token is the end of the source.
    Some(ends.contains(&(lexed.tokens.len() - 1)))
}
