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
/// (`for 3 bars`, `for 15 minutes`, `for 2 hours`, `for 3 days`, `for day`, `forever`). Its values are `num`, `bool` or
/// `clock`, and its message shows them as `{name}`, `{name:.2}` (decimals) or `{name:.2%}`. State is made of `f64`, `i64`,
/// `u64`, [`Flag`](crate::Flag), [`Window`](crate::Window), and arrays of them.
///
/// Names of inputs, params and outs are as in the rule language: small letters, digits and `_`, and no word of that
/// language. Two inputs or params have two names; no input is `params` or `moment`, and no statement `ok` or `fault`.
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
/// a call. After a fault every later bar is one. A value of NaN or infinity in what the function gives is a fault too:
/// an out that is missing is `None`. The example of the [crate] is complete.
///
/// What does not fit together is an error of the compiler, but for the name of the zone and characters that cannot be
/// seen, which the upload refuses. A placeholder without its value:
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
/// An input and a param of one name:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     params { x: num = 1.0 }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// A name that the rule language could not read:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { Equity: num }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// An out that is neither num nor bool:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     outs { y: int }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// A hold of nothing:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     statements { over() => breach(block for 0 bars) "too much"; }
///     state Wrong {}
/// }
/// impl Wrong {
///     fn judge(&mut self, _: &Bar) -> Verdict { Verdict::ok() }
/// }
/// ```
///
/// State with room between its words, which nobody wrote to:
///
/// ```compile_fail,E0080
/// rulebox_guest::rule! {
///     rule wrong;
///     inputs { x: num }
///     #[repr(align(32))]
///     state Wrong { top: f64 = 0.0 }
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
                pub $out: ::core::option::Option<$crate::__declare!(@type $out_ty)>,
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

        $($crate::__declare!(@input_name $input);)*
        $($($crate::__declare!(@statement_name $statement);)*)?

        // What the author wrote stands outside of the block below, whose names it does not see.

        // SAFETY: repr(C), and each field is asked for the same; 8-byte words leave no padding between them, and what an
        // attribute adds is refused below.
        unsafe impl $crate::Plain for $state {
            const ZERO: Self = Self { $($field: <$field_ty as $crate::Plain>::ZERO),* };
        }

        const _: () = assert!(
            ::core::mem::align_of::<$state>() <= 8
                && ::core::mem::size_of::<$state>() == 0 $(+ ::core::mem::size_of::<$field_ty>())*,
            concat!("the state `", stringify!($state), "` has an attribute that changes its layout: leave it out"),
        );

        impl $crate::__private::Start for $state {
            fn start(&mut self) {
                $(self.$field = $start;)*
            }
        }

        const _: () = {
            use $crate::__private as __rulebox;

            const __RULEBOX_DECLARED: &__rulebox::Declared = &__rulebox::Declared {
                name: stringify!($name),
                inputs: &[$(__rulebox::Input {
                    name: stringify!($input),
                    ty: $crate::__declare!(@kind $input_ty),
                    optional: $crate::__declare!(@optional $($missing)?),
                    range: $crate::__declare!(@range $($low $high)?),
                }),*],
                params: &[$($(__rulebox::Param {
                    name: stringify!($param),
                    ty: $crate::__declare!(@kind $param_ty),
                    default: $crate::__declare!(@default $param_ty $default),
                    default_text: stringify!($default),
                    range: $crate::__declare!(@range $($least $most)?),
                }),*)?],
                outs: &[$($(__rulebox::Out { name: stringify!($out), ty: $crate::__declare!(@kind $out_ty) }),*)?],
                statements: &[$($(__rulebox::Statement {
                    name: stringify!($statement),
                    verdict: $crate::__declare!(@verdict $verdict),
                    action: $crate::__declare!(@action $($($what)+)?),
                    hold: $crate::__declare!(@hold $($($what)+)?),
                    args: &[$(__rulebox::Arg { name: stringify!($arg), ty: $crate::__declare!(@kind $arg_ty) }),*],
                    message: $message,
                }),*)?],
                faults: &[$($($why),*)?],
                clock: $crate::__declare!(@clock $($zone $($hour $minute)?)?),
                lookback: $crate::__declare!(@lookback $($lookback)?),
                line: line!(),
                column: column!(),
            }
            .checked();
            const __RULEBOX_P: usize = __RULEBOX_DECLARED.params.len();
            const __RULEBOX_I: usize = __RULEBOX_DECLARED.inputs.len();
            const __RULEBOX_O: usize = __RULEBOX_DECLARED.outs.len();
            const __RULEBOX_N: usize = __RULEBOX_DECLARED.statements.len();
            const __RULEBOX_V: usize = __RULEBOX_DECLARED.values();
            type __RuleboxMachine = __rulebox::Run<
                $state,
                __RULEBOX_P,
                __RULEBOX_I,
                { __RULEBOX_DECLARED.times() },
                __RULEBOX_O,
                __RULEBOX_N,
                __RULEBOX_V,
                { __RULEBOX_DECLARED.keeps() },
                { if __RULEBOX_DECLARED.holds() { __RULEBOX_N } else { 0 } },
                { if __RULEBOX_DECLARED.holds() { __RULEBOX_V } else { 0 } },
            >;
            const __RULEBOX_BYTES: usize =
                __rulebox::Json::<0>::of(__RULEBOX_DECLARED, __RuleboxMachine::STATE_BYTES).len();
            const __RULEBOX_MANIFEST: [u8; __RULEBOX_BYTES] =
                __rulebox::Json::<__RULEBOX_BYTES>::of(__RULEBOX_DECLARED, __RuleboxMachine::STATE_BYTES).bytes();

            impl $crate::Rule for $state {
                const DECLARED: &'static __rulebox::Declared = __RULEBOX_DECLARED;
                const MANIFEST: &'static [u8] = &__RULEBOX_MANIFEST;
                type Machine = __RuleboxMachine;
            }

            impl __rulebox::Program<__RULEBOX_P, __RULEBOX_I, __RULEBOX_O, __RULEBOX_N, __RULEBOX_V> for $state {
                const DECLARED: &'static __rulebox::Declared = __RULEBOX_DECLARED;

                #[inline]
                fn on_bar(
                    &mut self,
                    cells: &[f64; __RULEBOX_I],
                    params: &[f64; __RULEBOX_P],
                    moment: $crate::Moment,
                ) -> __rulebox::Answer<__RULEBOX_O, __RULEBOX_N, __RULEBOX_V> {
                    let [$($input),*] = *cells;
                    let [$($($param),*)?] = *params;
                    let params = Params { $($($param: __rulebox::FromCell::from_cell($param)),*)? };
                    let bar = Bar { $($input: __rulebox::FromCell::from_cell($input),)* params, moment };
                    let Verdict { outs, answer } = <$state>::judge(self, &bar);
                    let Outs { $($($out),*)? } = outs;
                    __rulebox::Answer { outs: [$($(__rulebox::IntoCell::into_cell($out)),*)?], ..answer }
                }
            }

            #[allow(dead_code, reason = "a rule need not use all of it")]
            impl Verdict {
                /// Nothing to say, unless a statement is added.
                pub fn ok() -> Self {
                    Self { outs: Outs::default(), answer: __rulebox::Answer::OK }
                }

                /// The rule cannot judge: this bar is a fault, and every later one.
                pub fn fault(fault: Fault) -> Self {
                    let mut answer = __rulebox::Answer::OK;
                    answer.fault = ::core::option::Option::Some(__RULEBOX_DECLARED.own_fault(fault as usize));
                    Self { outs: Outs::default(), answer }
                }

                $($($crate::__declare! {
                    @method $statement ($($arg: $arg_ty),*) $($($what)+)?
                })*)?
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__exports!(__RuleboxMachine, __RULEBOX_MANIFEST, __RULEBOX_BYTES);
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
    (@type $other:ident) => {
        compile_error!(concat!(
            "`", stringify!($other), "` is no type of a rule: write `num` or `bool`, of a param also `int`, and of a ",
            "value of a message also `clock`",
        ))
    };

    (@input $ty:ident) => { $crate::__declare!(@type $ty) };
    (@input $ty:ident missing) => { ::core::option::Option<$crate::__declare!(@type $ty)> };
    (@input $ty:ident $other:ident) => {
        compile_error!(concat!("`or ", stringify!($other), "` says nothing of an input: write `or missing`"))
    };

    (@input_name params) => { compile_error!("an input cannot be `params`: `bar.params` has the params of the run"); };
    (@input_name moment) => { compile_error!("an input cannot be `moment`: `bar.moment` has the time of the bar"); };
    (@input_name $other:ident) => {};

    (@statement_name ok) => { compile_error!("a statement cannot be `ok`: `Verdict::ok` begins every verdict"); };
    (@statement_name fault) => { compile_error!("a statement cannot be `fault`: `Verdict::fault` gives a fault"); };
    (@statement_name $other:ident) => {};

    (@kind bool) => { $crate::__private::Type::Bool };
    (@kind int) => { $crate::__private::Type::Int };
    (@kind clock) => { $crate::__private::Type::Clock };
    // What is no type at all was told of at its first place.
    (@kind $num:ident) => { $crate::__private::Type::Num };

    (@optional) => { false };
    (@optional $missing:ident) => { true };

    (@range) => { ::core::option::Option::None };
    (@range $low:literal $high:literal) => {
        ::core::option::Option::Some($crate::__private::Range {
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
    (@verdict $other:ident) => {
        compile_error!(concat!("`", stringify!($other), "` is no verdict: write `warn` or `breach`"))
    };

    (@action) => { ::core::option::Option::None };
    (@action block $($hold:tt)*) => { ::core::option::Option::Some($crate::__private::Action::Block) };
    (@action reduce $($hold:tt)*) => { ::core::option::Option::Some($crate::__private::Action::Reduce) };
    (@action liquidate $($hold:tt)*) => { ::core::option::Option::Some($crate::__private::Action::Liquidate) };
    (@action for $($hold:tt)*) => { ::core::option::Option::None };
    (@action forever) => { ::core::option::Option::None };
    (@action $other:tt $($hold:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($other), "` is no action: write `block`, `reduce` or `liquidate`, and then what holds it",
        ))
    };

    (@hold) => { ::core::option::Option::None };
    (@hold for day) => { $crate::__declare!(@held Day) };
    (@hold for $count:literal bars) => { $crate::__declare!(@held Bars($count)) };
    (@hold for $count:literal minutes) => { $crate::__declare!(@held Millis($count * 60_000)) };
    (@hold for $count:literal hours) => { $crate::__declare!(@held Millis($count * 3_600_000)) };
    (@hold for $count:literal days) => { $crate::__declare!(@held Millis($count * 86_400_000)) };
    (@hold forever) => { $crate::__declare!(@held Forever) };
    (@hold for $($other:tt)*) => {
        compile_error!(concat!(
            "`for ", stringify!($($other)*), "` is no time: write `for 3 bars`, `for 15 minutes`, `for 2 hours`, ",
            "`for 3 days`, `for day` or `forever`",
        ))
    };
    (@hold $action:ident $($hold:tt)*) => { $crate::__declare!(@hold $($hold)*) };
    (@hold $($other:tt)*) => {
        compile_error!(concat!("`", stringify!($($other)*), "` holds nothing: write `for 3 bars`, `for day` or `forever`"))
    };
    (@held $($hold:tt)+) => { ::core::option::Option::Some($crate::__private::Hold::$($hold)+) };

    (@clock) => { ::core::option::Option::None };
    (@clock $zone:literal) => { ::core::option::Option::Some($crate::__private::Clock { zone: $zone, day_start: 0 }) };
    (@clock $zone:literal $hour:literal $minute:literal) => {{
        const { assert!($hour < 24 && $minute < 60, "the trading day begins at a time of day") };
        ::core::option::Option::Some($crate::__private::Clock { zone: $zone, day_start: $hour * 60 + $minute })
    }};

    (@lookback) => { 0 };
    (@lookback $bars:literal) => { $bars };

    (@method $statement:ident ($($arg:ident : $ty:ident),*) reduce $($hold:tt)*) => {
        /// The statement of this name gives its verdict, with the fraction to keep and the values of its message.
        pub fn $statement(&mut self, keep: f64, $($arg: $crate::__declare!(@type $ty)),*) {
            const __RULEBOX_INDEX: usize = __RULEBOX_DECLARED.statement(stringify!($statement));
            let values = [$(__rulebox::IntoCell::into_cell($arg)),*];
            let first_value = const { __RULEBOX_DECLARED.first_value(__RULEBOX_INDEX) };
            self.answer.fire(__RULEBOX_INDEX, __rulebox::fraction(keep), first_value, &values);
        }
    };
    (@method $statement:ident ($($arg:ident : $ty:ident),*) $($what:tt)*) => {
        /// The statement of this name gives its verdict, with the values of its message.
        pub fn $statement(&mut self, $($arg: $crate::__declare!(@type $ty)),*) {
            const __RULEBOX_INDEX: usize = __RULEBOX_DECLARED.statement(stringify!($statement));
            let values = [$(__rulebox::IntoCell::into_cell($arg)),*];
            let first_value = const { __RULEBOX_DECLARED.first_value(__RULEBOX_INDEX) };
            self.answer.fire(__RULEBOX_INDEX, __rulebox::NO_FRACTION, first_value, &values);
        }
    };
}
