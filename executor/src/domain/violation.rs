//! What a module did against its limits, or somebody to the service: the kinds that there are, and what is recorded.

use rulebox_sandbox::{Digest, Severity, Violation, ViolationKind};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::at::At;
use super::caller::{ActorId, RequestMarks};
use super::rule::RuleName;

/// Of what a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A run.
    Run,
    /// A module that is uploaded, and not run.
    Upload,
    /// The service itself, or what it keeps.
    Service,
}

/// What a violation has to do with stopping its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// Nothing: load or habit can cause it, or there is no module.
    Never,
    /// So many of them, of all such kinds together, stop it.
    Counted,
    /// It is counted, and a few of this kind alone stop the module.
    Deaths,
    /// The first stops it.
    AtOnce,
}

/// What there is to know of a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// Its name in records, metrics and answers.
    pub name: &'static str,
    /// How bad it is of a rule that our compiler made.
    pub compiled: Severity,
    /// How bad it is of a module that was uploaded.
    pub guest: Severity,
    /// Of what it is.
    pub stage: Stage,
    /// Whether it stops its module.
    pub stops: Stops,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $compiled:ident, $guest:ident, $stage:ident, $stops:ident;)*) => {
        /// A kind of violation. Every one is here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// What there is to know of it.
            pub const fn info(self) -> KindInfo {
                match self {
                    $(Self::$kind => KindInfo {
                        name: $name,
                        compiled: Severity::$compiled,
                        guest: Severity::$guest,
                        stage: Stage::$stage,
                        stops: Stops::$stops,
                    },)*
                }
            }
        }
    };
}

kinds! {
    // name, severity for a compiled rule and for an uploaded module, of what, whether it stops the module.
    /// The fuel of a run is spent.
    FuelExhausted = "fuel_exhausted", High, Medium, Run, Counted;
    /// A call took longer than its deadline. Load can cause it.
    DeadlineExceeded = "deadline_exceeded", Medium, Medium, Run, Never;
    /// Growth of memory or of a table was refused.
    MemoryLimit = "memory_limit", High, Medium, Run, Counted;
    /// The stack of a run is spent.
    StackOverflow = "stack_overflow", High, Medium, Run, Counted;
    /// A run trapped.
    Trap = "trap", High, Medium, Run, Counted;
    /// A module gave an address, a length or a result outside of the rules.
    AbiBreach = "abi_breach", High, High, Run, Counted;
    /// Messages or outputs were too large, and were cut.
    OutputLimit = "output_limit", Low, Low, Run, Never;
    /// A module imports what there is not.
    ImportForbidden = "import_forbidden", High, High, Upload, Never;
    /// A module is no WebAssembly that is run here.
    ModuleInvalid = "module_invalid", High, High, Upload, Never;
    /// A module is too large.
    ModuleTooLarge = "module_too_large", High, High, Upload, Never;
    /// A module cannot be compiled in bounded time.
    ModuleTooComplex = "module_too_complex", High, High, Upload, Never;
    /// The process that compiles modules met a limit of its own.
    CompileKilled = "compile_killed", High, High, Upload, Never;
    /// A compiled rule used more fuel than was proved: a fault of the compiler, or tampering.
    CostOverBound = "cost_over_bound", Critical, Critical, Run, Counted;
    /// A module and the interpreter of its text differ in a bit.
    DifferentialMismatch = "differential_mismatch", Critical, Critical, Run, AtOnce;
    /// The proved worst case of a rule is over its tenant's limit. Known before anything runs.
    CostLimit = "cost_limit", Low, Low, Upload, Never;
    /// The state of a session, or the cursor of a list, fails its MAC.
    StateForged = "state_forged", Critical, Critical, Service, Never;
    /// A compiled module of the cache fails its MAC.
    CacheTampered = "cache_tampered", Critical, Critical, Service, Never;
    /// An answer of the store has another tenant's id.
    CrossTenant = "cross_tenant", Critical, Critical, Service, Never;
    /// An executor died while it ran the module.
    ExecutorDied = "executor_died", High, High, Run, Deaths;
    /// Bad keys again and again from one address.
    AuthAbuse = "auth_abuse", Medium, Medium, Service, Never;
}

impl Kind {
    /// Its name in records, metrics and answers.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The kind of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// How bad it is. `compiled`: the module came out of our compiler. A refused upload is as bad as this the first time
    /// in a day, and low after that: the store knows which it is.
    pub const fn severity(self, compiled: bool) -> Severity {
        if compiled { self.info().compiled } else { self.info().guest }
    }

    /// Whether it is counted towards the quarantine of its module.
    pub fn counts(self) -> bool {
        self.info().stops != Stops::Never
    }
}

impl From<ViolationKind> for Kind {
    fn from(kind: ViolationKind) -> Self {
        match kind {
            ViolationKind::FuelExhausted => Self::FuelExhausted,
            ViolationKind::DeadlineExceeded => Self::DeadlineExceeded,
            ViolationKind::MemoryLimit => Self::MemoryLimit,
            ViolationKind::StackOverflow => Self::StackOverflow,
            ViolationKind::Trap => Self::Trap,
            ViolationKind::AbiBreach => Self::AbiBreach,
            ViolationKind::ImportForbidden => Self::ImportForbidden,
            ViolationKind::ModuleInvalid => Self::ModuleInvalid,
            ViolationKind::ModuleTooLarge => Self::ModuleTooLarge,
            ViolationKind::ModuleTooComplex => Self::ModuleTooComplex,
            ViolationKind::CompileKilled => Self::CompileKilled,
        }
    }
}

/// Every severity, in ascending order.
pub const SEVERITIES: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

/// The severity of a name.
pub fn find_severity(name: &str) -> Option<Severity> {
    SEVERITIES.into_iter().find(|severity| severity.name() == name)
}

/// Every kind with every severity that it may have: counters begin with all of them.
pub fn kinds() -> impl Iterator<Item = (&'static str, Severity)> {
    Kind::ALL.iter().flat_map(|kind| {
        let KindInfo { name, compiled, guest, stage, .. } = kind.info();
        let may_be = move |severity: &Severity| {
            // An upload is refused also for what it does when it is tried.
            [compiled, guest].contains(severity) || (stage != Stage::Service && *severity == Severity::Low)
        };
        SEVERITIES.into_iter().filter(may_be).map(move |severity| (name, severity))
    })
}

/// A violation to be recorded. Holds no rule text and no inputs.
#[derive(Clone, Debug)]
pub struct NewViolation {
    /// The rule, if it has been stored.
    pub rule: Option<RuleName>,
    /// Its version.
    pub version: Option<u32>,
    /// Of the module.
    pub digest: Option<Digest>,
    /// What it is.
    pub kind: Kind,
    /// How bad.
    pub severity: Severity,
    /// Name of the trap.
    pub trap: Option<&'static str>,
    /// Units of fuel.
    pub fuel_used: u64,
    /// Units of fuel.
    pub fuel_limit: u64,
    /// Bytes.
    pub memory_peak: u64,
    /// Bytes.
    pub memory_limit: u64,
    /// Microseconds.
    pub elapsed_us: u64,
    /// Of the request.
    pub marks: RequestMarks,
    /// Of the caller, if it is known who it is.
    pub actor: Option<ActorId>,
    /// When.
    pub at: At,
    /// Of an upload that is not kept: whoever uploads it may change it each time, so its name and digest tell no repeats
    /// apart.
    pub refused: bool,
    /// What it is about beside all that, if repeats are to be told apart by it: an address, the name of a table.
    pub subject: String,
    /// More evidence, an object. No text of a tenant's.
    pub detail: Value,
}

impl NewViolation {
    /// Repeats within so many milliseconds of the first are one violation.
    pub const REPEAT_MS: i64 = 60_000;

    /// A record of this kind, of which nothing else is known. `compiled`: the module came out of our compiler.
    pub fn new(kind: Kind, compiled: bool, marks: RequestMarks, actor: Option<ActorId>) -> Self {
        Self {
            rule: None,
            version: None,
            digest: None,
            kind,
            severity: kind.severity(compiled),
            trap: None,
            fuel_used: 0,
            fuel_limit: 0,
            memory_peak: 0,
            memory_limit: 0,
            elapsed_us: 0,
            marks,
            actor,
            at: At::now(),
            refused: false,
            subject: String::new(),
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// The record of a violation in a run. `compiled`: the module came out of our compiler.
    pub fn of_run(violation: &Violation, compiled: bool, marks: RequestMarks, actor: ActorId) -> Self {
        Self::new(violation.kind.into(), compiled, marks, Some(actor)).with_evidence(violation)
    }

    /// The same, with what was measured of the run in which it happened.
    #[must_use]
    pub fn with_evidence(self, violation: &Violation) -> Self {
        Self {
            trap: violation.trap.map(rulebox_sandbox::TrapCode::name),
            fuel_used: violation.fuel_used,
            fuel_limit: violation.fuel_limit,
            memory_peak: violation.memory_peak as u64,
            memory_limit: violation.memory_limit as u64,
            elapsed_us: u64::try_from(violation.elapsed.as_micros()).unwrap_or(u64::MAX),
            ..self
        }
    }

    /// What makes another violation a repeat of this one.
    pub fn key(&self) -> [u8; 32] {
        let version = self.version.map(u32::to_le_bytes);
        let (rule, digest) = if self.refused { (None, None) } else { (self.rule.as_ref(), self.digest.as_ref()) };
        // A slip must not hide what is worse.
        let severity = self.refused.then(|| self.severity.name().as_bytes());
        let parts: [Option<&[u8]>; 6] = [
            rule.map(|rule| rule.as_str().as_bytes()),
            version.as_ref().map(<[u8; 4]>::as_slice),
            Some(self.kind.name().as_bytes()),
            digest.map(|digest| digest.0.as_slice()),
            Some(self.subject.as_bytes()),
            severity,
        ];
        let mut hash = Sha256::new_with_prefix(b"rulebox violation 1");
        for part in parts {
            // None is no length that a text has.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            hash.update(part.unwrap_or_default());
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_sandbox_where_both_have_a_word() {
        for of_sandbox in ViolationKind::ALL {
            let kind = Kind::from(of_sandbox);
            assert_eq!(kind.name(), of_sandbox.name());
            for compiled in [false, true] {
                assert_eq!(kind.severity(compiled), of_sandbox.severity(compiled), "{}", kind.name());
            }
            assert_eq!(kind.info().stage == Stage::Upload, of_sandbox.is_of_upload(), "{}", kind.name());
        }
    }

    #[test]
    fn names_are_found_and_are_one_kinds() {
        for kind in Kind::ALL {
            assert_eq!(Kind::find(kind.name()), Some(*kind));
            assert!(!(kind.info().stage == Stage::Upload && kind.counts()), "{}", kind.name());
        }
        assert_eq!(Kind::find("trapped"), None);
        assert!(!Kind::DeadlineExceeded.counts() && !Kind::OutputLimit.counts());
    }

    #[test]
    fn counters_begin_with_every_severity_that_a_kind_may_have() {
        let of = |name| kinds().filter(|(kind, _)| *kind == name).map(|(_, severity)| severity).collect::<Vec<_>>();
        assert_eq!(of("trap"), [Severity::Low, Severity::Medium, Severity::High]);
        assert_eq!(of("module_invalid"), [Severity::Low, Severity::High]);
        assert_eq!(of("cost_limit"), [Severity::Low]);
        assert_eq!(of("cross_tenant"), [Severity::Critical]);
    }

    #[test]
    fn a_repeat_has_the_same_rule_version_kind_digest_and_subject() {
        let marks = |id: &str| RequestMarks { request_id: id.to_owned(), trace_id: String::new() };
        let one = NewViolation::new(Kind::Trap, false, marks("a"), None);
        let later = NewViolation { at: At(7), fuel_used: 9, marks: marks("b"), ..one.clone() };
        assert_eq!(one.key(), later.key());
        let others = [
            NewViolation { rule: RuleName::new("a").ok(), ..one.clone() },
            NewViolation { version: Some(1), ..one.clone() },
            NewViolation { kind: Kind::AbiBreach, ..one.clone() },
            NewViolation { digest: Some(Digest([0; 32])), ..one.clone() },
            NewViolation { subject: "a".to_owned(), ..one.clone() },
            NewViolation { refused: true, subject: "b".to_owned(), ..one.clone() },
            one.clone(),
        ];
        for (i, a) in others.iter().enumerate() {
            assert!(others.iter().skip(i + 1).all(|b| a.key() != b.key()), "{i}");
        }
        // Whoever is refused and tries another name and other bytes repeats himself.
        let refused = NewViolation { refused: true, rule: RuleName::new("a").ok(), ..one };
        let again = NewViolation { rule: RuleName::new("b").ok(), digest: Some(Digest([1; 32])), ..refused.clone() };
        assert_eq!(refused.key(), again.key());
    }
}
