//! The macro that turns a declaration and a function into a module.

use crate::declared::Declared;
use crate::machine::Machine;

/// A declared rule. Implemented by [`crate::rule!`], for the type of the rule's state.
pub trait Rule {
    /// What the rule declares.
    const DECLARED: &'static Declared;
    /// Its manifest, as the module carries it: UTF-8 JSON.
    const MANIFEST: &'static [u8];
    /// Everything that its module keeps.
    type Machine: Machine;
}

/// Declares a rule.
///
/// Its parts stand in this order; those in brackets can be left out.
///
/// | part | says |
/// |---|---|
/// | `rule name;` | the rule's name |
/// | `[clock "Zone" day 17:00;]` | that it uses time, and when its trading day begins (without `day`: 00:00) |
/// | `inputs { … }` | input columns: `name: num`, `name: bool`; `in 0.0..=10.0` is what is plausible; `or missing` makes an `Option` |
/// | `[params { … }]` | `name: num = 0.1 in 0.01..=1.0`, `name: int = 20 in 2..=250`, `name: bool = true` |
/// | `[outs { … }]` | out columns: `name: num`, `name: bool` |
/// | `[statements { … }]` | `name(value: num) => breach(block for 3 bars) "message {value:.2}";` |
/// | `[faults { … }]` | `Name => "why the rule cannot judge";` |
/// | `[lookback 250;]` | how many bars before this one its verdict depends on, for readers of the manifest |
/// | `state Name { … }` | what it remembers: `field: type = value on bar 0` |
///
/// A statement is `warn` or `breach`; in brackets stand its action (`block`, `reduce`, `liquidate`) and its hold
/// (`for 3 bars`, `for 15 minutes`, `for 2 hours`, `for day`, `forever`). Its values are `num`, `bool` or `clock`, and its
/// message shows them as `{name}`, `{name:.2}` (decimals) or `{name:.2%}`. State is made of `f64`, `i64`, `u64`,
/// [`Flag`](crate::Flag), [`Window`](crate::Window), and arrays of them.
///
/// The macro defines, beside the state: `Bar` (a field for each input, `params` and `moment`), `Params` (a field for
/// each), `Outs` (an `Option` for each), `Fault`, and `Verdict` (`Verdict::ok()`, `Verdict::fault(Fault::Name)`, `outs`, and a
/// method for each statement, whose arguments are its values, after the fraction to keep if it reduces). The author
/// writes one function:
///
/// ```text
/// impl State {
///     fn judge(&mut self, bar: &Bar) -> Verdict { … }
/// }
/// ```
///
/// Before it is called, inputs have been checked: what is missing, infinite or outside its range is a fault, without
/// a call. After a fault every later bar is one. The example of the [crate] is complete.
///
/// What does not fit together is an error of the compiler. A placeholder without its value:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     statements { over(x: num) => breach "{y} is too much"; }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// A hold by time without a clock:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     statements { over() => breach(block for day) "too much"; }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// State that cannot be saved and restored:
///
/// ```compile_fail,E0277
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     state Wrong { last: Option<f64> = None }
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
#[macro_export]
macro_rules! rule {
    (
        rule $name:ident;
        $(clock $zone:literal $(day $hour:literal : $minute:literal)?;)?
        inputs { $($input:ident : $input_ty:ident $(in $low:literal ..= $high:literal)? $(or $missing:ident)?),* $(,)? }
        $(params { $($param:ident : $param_ty:ident = $default:literal $(in $least:literal ..= $most:literal)?),* $(,)? })?
        $(outs { $($out:ident : $out_ty:ident),* $(,)? })?
        $(statements {
            $($statement:ident($($arg:ident : $arg_ty:ident),* $(,)?) => $verdict:ident $(($($what:tt)+))? $message:literal;)*
        })?
        $(faults { $($fault:ident => $why:literal;)* })?
        $(lookback $lookback:literal;)?
        $(#[$meta:meta])*
        state $state:ident { $($field:ident : $field_ty:ty = $start:expr),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $state { $($field: $field_ty),* }

        /// One bar: its inputs, the params of the run, and where it stands.
        #[derive(Clone, Copy, Debug)]
        pub struct Bar {
            $(
                #[doc = concat!("The input `", stringify!($input), "`.")]
                pub $input: $crate::__declare!(@input $input_ty $($missing)?),
            )*
            /// The same on every bar of a run.
            pub params: Params,
            /// Its number and, for rules with a clock, its time.
            pub moment: $crate::Moment,
        }

        /// The params of the run.
        #[derive(Clone, Copy, Debug)]
        pub struct Params {
            $($(
                #[doc = concat!("The param `", stringify!($param), "`.")]
                pub $param: $crate::__declare!(@type $param_ty),
            )*)?
        }

        /// The outs of a bar; `None` is missing.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Outs {
            $($(
                #[doc = concat!("The out `", stringify!($out), "`.")]
                pub $out: Option<$crate::__declare!(@type $out_ty)>,
            )*)?
        }

        /// Why the rule cannot judge.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[doc = $why] $fault,)*)? }

        /// What the rule says of a bar.
        #[derive(Clone, Copy, Debug)]
        pub struct Verdict {
            /// Values beside it.
            pub outs: Outs,
            answer: $crate::__private::Answer<
                { <$state as $crate::Rule>::DECLARED.outs.len() },
                { <$state as $crate::Rule>::DECLARED.statements.len() },
                { <$state as $crate::Rule>::DECLARED.values() },
            >,
        }

        const _: () = {
            use $crate::__private as private;
            use private::{FromCell, IntoCell};

            const DECLARED: &private::Declared = &private::Declared {
                name: stringify!($name),
                inputs: &[$(private::Input {
                    name: stringify!($input),
                    ty: $crate::__declare!(@kind $input_ty),
                    optional: $crate::__declare!(@optional $($missing)?),
                    range: $crate::__declare!(@range $($low $high)?),
                }),*],
                params: &[$($(private::Param {
                    name: stringify!($param),
                    ty: $crate::__declare!(@kind $param_ty),
                    default: $crate::__declare!(@default $param_ty $default),
                    default_text: stringify!($default),
                    range: $crate::__declare!(@range $($least $most)?),
                }),*)?],
                outs: &[$($(private::Out { name: stringify!($out), ty: $crate::__declare!(@kind $out_ty) }),*)?],
                statements: &[$($(private::Statement {
                    name: stringify!($statement),
                    verdict: $crate::__declare!(@verdict $verdict),
                    action: $crate::__declare!(@action $($($what)+)?),
                    hold: $crate::__declare!(@hold $($($what)+)?),
                    args: &[$(private::Arg { name: stringify!($arg), ty: $crate::__declare!(@kind $arg_ty) }),*],
                    message: $message,
                }),*)?],
                faults: &[$($($why),*)?],
                clock: $crate::__declare!(@clock $($zone $($hour $minute)?)?),
                lookback: $crate::__declare!(@lookback $($lookback)?),
                line: line!(),
                column: column!(),
            }
            .checked();
            const P: usize = DECLARED.params.len();
            const I: usize = DECLARED.inputs.len();
            const O: usize = DECLARED.outs.len();
            const N: usize = DECLARED.statements.len();
            const V: usize = DECLARED.values();
            const H: usize = if DECLARED.holds() { N } else { 0 };
            const HV: usize = if DECLARED.holds() { V } else { 0 };
            type Machine =
                private::Run<$state, P, I, { DECLARED.times() }, O, N, V, { DECLARED.keeps() }, H, HV>;
            const MANIFEST_BYTES: usize = private::Json::<0>::of(DECLARED, Machine::STATE_BYTES).len();
            const MANIFEST: [u8; MANIFEST_BYTES] =
                private::Json::<MANIFEST_BYTES>::of(DECLARED, Machine::STATE_BYTES).bytes();

            // SAFETY: repr(C), and each field is asked for the same; 8-byte words leave no padding between them.
            unsafe impl $crate::Plain for $state {
                const ZERO: Self = Self { $($field: <$field_ty as $crate::Plain>::ZERO),* };
            }

            impl $crate::Rule for $state {
                const DECLARED: &'static private::Declared = DECLARED;
                const MANIFEST: &'static [u8] = &MANIFEST;
                type Machine = Machine;
            }

            impl private::Program<P, I, O, N, V> for $state {
                const DECLARED: &'static private::Declared = DECLARED;

                fn start(&mut self) {
                    $(self.$field = $start;)*
                }

                #[inline]
                fn on_bar(
                    &mut self,
                    cells: &[f64; I],
                    params: &[f64; P],
                    moment: $crate::Moment,
                ) -> private::Answer<O, N, V> {
                    let [$($input),*] = *cells;
                    let [$($($param),*)?] = *params;
                    let params = Params { $($($param: FromCell::from_cell($param)),*)? };
                    let bar = Bar { $($input: FromCell::from_cell($input),)* params, moment };
                    let Verdict { outs, answer } = <$state>::judge(self, &bar);
                    let Outs { $($($out),*)? } = outs;
                    private::Answer { outs: [$($(IntoCell::into_cell($out)),*)?], ..answer }
                }
            }

            #[allow(dead_code, reason = "a rule need not use all of it")]
            impl Verdict {
                /// Nothing to say, unless a statement is added.
                pub fn ok() -> Self {
                    Self { outs: Outs::default(), answer: private::Answer::OK }
                }

                /// The rule cannot judge: this bar is a fault, and every later one.
                pub fn fault(fault: Fault) -> Self {
                    let mut answer = private::Answer::OK;
                    answer.fault = Some(DECLARED.own_fault(fault as usize));
                    Self { outs: Outs::default(), answer }
                }

                $($($crate::__declare! {
                    @method $statement ($($arg: $arg_ty),*) $($($what)+)?
                })*)?
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__exports!(Machine, MANIFEST, MANIFEST_BYTES);
        };
    };
}

/// The words of a declaration, one at a time.
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    (@type num) => { f64 };
    (@type bool) => { bool };
    (@type int) => { i64 };
    (@type clock) => { u16 };

    (@input $ty:ident) => { $crate::__declare!(@type $ty) };
    (@input $ty:ident missing) => { Option<$crate::__declare!(@type $ty)> };

    (@kind num) => { $crate::__private::Type::Num };
    (@kind bool) => { $crate::__private::Type::Bool };
    (@kind int) => { $crate::__private::Type::Int };
    (@kind clock) => { $crate::__private::Type::Clock };

    (@optional) => { false };
    (@optional missing) => { true };

    (@range) => { None };
    (@range $low:literal $high:literal) => {
        Some($crate::__private::Range {
            low: $low as f64,
            high: $high as f64,
            low_text: stringify!($low),
            high_text: stringify!($high),
        })
    };

    (@default bool $default:literal) => { $default as u8 as f64 };
    (@default $ty:ident $default:literal) => { $default as f64 };

    (@verdict warn) => { $crate::abi::Verdict::Warn };
    (@verdict breach) => { $crate::abi::Verdict::Breach };

    (@action) => { None };
    (@action block $($hold:tt)*) => { Some($crate::__private::Action::Block) };
    (@action reduce $($hold:tt)*) => { Some($crate::__private::Action::Reduce) };
    (@action liquidate $($hold:tt)*) => { Some($crate::__private::Action::Liquidate) };
    (@action for $($hold:tt)*) => { None };
    (@action forever) => { None };

    (@hold) => { None };
    (@hold for $count:literal bars) => { Some($crate::__private::Hold::Bars($count)) };
    (@hold for $count:literal minutes) => { Some($crate::__private::Hold::Millis($count * 60_000)) };
    (@hold for $count:literal hours) => { Some($crate::__private::Hold::Millis($count * 3_600_000)) };
    (@hold for $count:literal days) => { Some($crate::__private::Hold::Millis($count * 86_400_000)) };
    (@hold for day) => { Some($crate::__private::Hold::Day) };
    (@hold forever) => { Some($crate::__private::Hold::Forever) };
    (@hold $action:ident $($hold:tt)*) => { $crate::__declare!(@hold $($hold)*) };

    (@clock) => { None };
    (@clock $zone:literal) => { Some($crate::__private::Clock { zone: $zone, day_start: 0 }) };
    (@clock $zone:literal $hour:literal $minute:literal) => {{
        const { assert!($hour < 24 && $minute < 60, "the trading day begins at a time of day") };
        Some($crate::__private::Clock { zone: $zone, day_start: $hour * 60 + $minute })
    }};

    (@lookback) => { 0 };
    (@lookback $bars:literal) => { $bars };

    (@method $statement:ident ($($arg:ident : $ty:ident),*) reduce $($hold:tt)*) => {
        /// The statement of this name gives its verdict, with the fraction to keep and the values of its message.
        pub fn $statement(&mut self, keep: f64, $($arg: $crate::__declare!(@type $ty)),*) {
            const INDEX: usize = DECLARED.statement(stringify!($statement));
            let values = [$(IntoCell::into_cell($arg)),*];
            self.answer.fire(INDEX, private::fraction(keep), const { DECLARED.first_value(INDEX) }, &values);
        }
    };
    (@method $statement:ident ($($arg:ident : $ty:ident),*) $($what:tt)*) => {
        /// The statement of this name gives its verdict, with the values of its message.
        pub fn $statement(&mut self, $($arg: $crate::__declare!(@type $ty)),*) {
            const INDEX: usize = DECLARED.statement(stringify!($statement));
            let values = [$(IntoCell::into_cell($arg)),*];
            self.answer.fire(INDEX, private::NO_FRACTION, const { DECLARED.first_value(INDEX) }, &values);
        }
    };
}

/// The exports of a module, and its manifest.
#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($machine:ty, $manifest:ident, $bytes:ident) => {
        const _: () = {
            static MODULE: $crate::__private::Module<$machine> = $crate::__private::Module::new(<$machine>::NEW);

            // Not `#[used]`: the bytes would be in the memory too.
            #[unsafe(link_section = "rulebox.manifest")]
            static SECTION: [u8; $bytes] = $manifest;

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_abi_1() {}

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_init(params: i32) -> i32 {
                MODULE.init(params)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_buffer(kind: i32, index: i32, bytes: i32) -> i32 {
                MODULE.buffer(kind, index, bytes)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_reset() {
                MODULE.reset();
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_eval(rows: i32) -> i32 {
                MODULE.eval(rows)
            }

            #[unsafe(no_mangle)]
            extern "C" fn rulebox_state() -> i64 {
                MODULE.state()
            }
        };
    };
}
