//! The form of a compiled rule that runs single bars: without memory, so that a fresh sandbox costs next to nothing. What
//! it reads, writes and keeps are globals ([`rulebox_abi::bar`]); its results and its state are those of the form for
//! columns, to the bit.
//!
//! It is between our compiler and this host: which modules have one is for the caller to know. What is in it is held
//! against limits and believed as little as any module's all the same.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_abi::{BAR_SECTION, MISSING_BITS, Verdict, bar};
use wasmparser::{Parser, Payload};
use wasmtime::{Extern, Global, InstancePre, ModuleExport, Store, TypedFunc, Val};

use crate::account::{Account, Failure, Tank, drain, fill};
use crate::engine::{FEATURES, Sandbox, Shared};
use crate::instance::{RunReport, Shape};
use crate::limiter::{Guest, set_deadline};
use crate::limits::{Limits, ModuleLimits};
use crate::memory::Breach;
use crate::module::{Digest, not_compiled};
use crate::outcome::{InputError, Refusal, RunError};
use crate::run::check_input;
use crate::validate;

/// Bytes of a value of the state.
const WORD: usize = 8;

/// A loaded form for single bars. Cheap to clone; the machine code goes with the last clone.
#[derive(Clone)]
pub struct BarModule {
    loaded: Arc<Loaded>,
}

/// The form for single bars that a module carries, held against the gate.
#[derive(Clone, Copy, Debug)]
pub struct BarForm<'m> {
    bytes: &'m [u8],
}

impl BarForm<'_> {
    /// SHA-256 of its own bytes, which are no other module's.
    pub fn digest(&self) -> Digest {
        Digest::of(self.bytes)
    }
}

struct Loaded {
    /// Keeps the ticker running for as long as something can run.
    shared: Arc<Shared>,
    pre: InstancePre<Guest>,
    digest: Digest,
    bar: ModuleExport,
    cells: Vec<ModuleExport>,
    places: Places,
}

/// Where each kind of global is among all of them.
#[derive(Clone, Debug)]
struct Places {
    params: Range<usize>,
    inputs: Range<usize>,
    /// Time, local day, minute of the day and weekday.
    time: Option<[usize; 4]>,
    verdict: usize,
    fired: usize,
    outs: Range<usize>,
    message_values: Range<usize>,
    keep: Option<usize>,
    state: Range<usize>,
}

impl Places {
    /// Finds the globals of a module, in the order of their kinds and numbers.
    fn find(module: &wasmtime::Module) -> Option<(Vec<ModuleExport>, Self)> {
        let mut cells = Vec::new();
        let one = |cells: &mut Vec<_>, name: &str| {
            cells.push(module.get_export_index(name)?);
            Some(cells.len() - 1)
        };
        let all = |cells: &mut Vec<_>, name: &str| {
            let first = cells.len();
            cells.extend((0..).map_while(|number: usize| module.get_export_index(&format!("{name}{number}"))));
            first..cells.len()
        };
        let params = all(&mut cells, bar::PARAM);
        let inputs = all(&mut cells, bar::INPUT);
        let time = match one(&mut cells, bar::TIME) {
            Some(time) => {
                let [day, minute, weekday] =
                    [bar::LOCAL_DAY, bar::MINUTE_OF_DAY, bar::WEEKDAY].map(|name| one(&mut cells, name));
                Some([time, day?, minute?, weekday?])
            }
            None => None,
        };
        let places = Self {
            params,
            inputs,
            time,
            verdict: one(&mut cells, bar::VERDICT)?,
            fired: one(&mut cells, bar::FIRED)?,
            outs: all(&mut cells, bar::OUT),
            message_values: all(&mut cells, bar::MESSAGE_VALUE),
            keep: one(&mut cells, bar::KEEP),
            state: all(&mut cells, bar::STATE),
        };
        Some((cells, places))
    }

    /// Whether the module takes and gives what the shape says.
    fn fits(&self, shape: &Shape) -> bool {
        let counts = [&self.params, &self.inputs, &self.outs, &self.message_values].map(ExactSizeIterator::len);
        counts == [shape.params, shape.inputs, shape.outs, shape.message_values]
            && self.time.is_some() == shape.uses_time
            && self.keep.is_some() == shape.keep
    }
}

impl Sandbox {
    /// The form for single bars that a module of our compiler carries; `None` if it carries none. The module itself is
    /// not looked at.
    ///
    /// # Errors
    /// A refusal that says which limit or rule the form breaks.
    pub fn bar_form<'m>(&self, module: &'m [u8], limits: &ModuleLimits) -> Result<Option<BarForm<'m>>, Refusal> {
        let Some(bytes) = section(module)? else { return Ok(None) };
        validate::bar(bytes, limits, self.config())?;
        Ok(Some(BarForm { bytes }))
    }

    /// Compiles a form for single bars.
    ///
    /// # Errors
    /// A refusal if the engine does not take it.
    pub fn load_bar(&self, form: BarForm<'_>) -> Result<BarModule, Refusal> {
        let module = wasmtime::Module::from_binary(&self.shared.engine, form.bytes).map_err(|e| not_compiled(&e))?;
        BarModule::link(Arc::clone(&self.shared), &module, form.digest()).map_err(|e| not_compiled(&e))
    }
}

/// Values of one row, as columns of it.
fn columns(values: &[[u8; WORD]]) -> Vec<&[u8]> {
    values.iter().map(<[u8; WORD]>::as_slice).collect()
}

/// The section of a module that has its form for single bars.
fn section(module: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(module) {
        if let Payload::CustomSection(section) = payload.map_err(|e| validate::malformed(&e))?
            && section.name() == BAR_SECTION
        {
            return Ok(Some(section.data()));
        }
    }
    Ok(None)
}

fn missing() -> wasmtime::Error {
    wasmtime::Error::msg("an export of the form for single bars is missing")
}

impl BarModule {
    /// Makes compiled code ready to start.
    pub(crate) fn link(shared: Arc<Shared>, module: &wasmtime::Module, digest: Digest) -> wasmtime::Result<Self> {
        let pre = shared.linker.instantiate_pre(module)?;
        let (cells, places) = Places::find(module).ok_or_else(missing)?;
        let bar = module.get_export_index(bar::BAR).ok_or_else(missing)?;
        Ok(Self { loaded: Arc::new(Loaded { shared, pre, digest, bar, cells, places }) })
    }

    /// SHA-256 of the form's own bytes.
    pub fn digest(&self) -> Digest {
        self.loaded.digest
    }

    /// What was compiled.
    pub(crate) fn code(&self) -> &wasmtime::Module {
        self.loaded.pre.module()
    }

    /// Bytes of its machine code, and of what goes with it.
    pub fn code_bytes(&self) -> usize {
        let image = self.loaded.pre.module().image_range();
        image.end.addr().saturating_sub(image.start.addr())
    }

    /// Starts the form in a fresh store, at bar 0.
    ///
    /// # Errors
    /// [`RunError::Input`] if there are too few or too many params, [`RunError::Busy`] if the pool is empty, and a
    /// violation if the module is none of this shape.
    pub fn start(&self, shape: &Shape, params: &[f64], limits: &Limits) -> Result<BarInstance, RunError> {
        if params.len() != shape.params {
            return Err(InputError::Params { expected: shape.params, got: params.len() }.into());
        }
        let began = Instant::now();
        let mut account = Account::new(limits, &self.loaded.shared.config);
        let mut store = self.loaded.shared.store(limits)?;
        set_deadline(&mut store, account.deadline_ticks);
        let live = fill(&mut store, limits.setup_fuel)
            .map_err(Failure::from)
            .and_then(|()| self.instantiate(&mut store, shape, params));
        account.setup_fuel_left = drain(&store).unwrap_or(0);
        account.close(&store, began);
        match live {
            Ok((bar, cells)) => {
                let live = Live { store, bar, cells, places: self.loaded.places.clone() };
                Ok(BarInstance { shape: shape.clone(), account, live: Some(live) })
            }
            Err(failure) => Err(account.fail(&store, Tank::Setup, failure)),
        }
    }

    fn instantiate(
        &self,
        store: &mut Store<Guest>,
        shape: &Shape,
        params: &[f64],
    ) -> Result<(TypedFunc<(), i32>, Vec<Global>), Failure> {
        let loaded = &*self.loaded;
        if !loaded.places.fits(shape) {
            return Err(Breach::Shape.into());
        }
        let instance = loaded.pre.instantiate(&mut *store)?;
        let mut export = |export| instance.get_module_export(&mut *store, export);
        let bar = export(&loaded.bar).and_then(Extern::into_func).ok_or_else(missing)?;
        let cells = loaded.cells.iter().map(|cell| export(cell).and_then(Extern::into_global).ok_or_else(missing));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        for (cell, value) in cells.get(loaded.places.params.clone()).unwrap_or_default().iter().zip(params) {
            cell.set(&mut *store, Val::F64(value.to_bits()))?;
        }
        Ok((bar.typed(&*store)?, cells))
    }
}

/// One run of a form for single bars. It is of no use after an error.
pub struct BarInstance {
    shape: Shape,
    account: Account,
    /// Gone after the first failure.
    live: Option<Live>,
}

struct Live {
    store: Store<Guest>,
    bar: TypedFunc<(), i32>,
    cells: Vec<Global>,
    places: Places,
}

impl BarInstance {
    /// What the run has used so far.
    pub fn report(&self) -> RunReport {
        self.account.report
    }

    /// Gives the bars from here on this much fuel. What the report counts goes on.
    pub fn refuel(&mut self, fuel: u64) {
        self.account.refuel(fuel);
    }

    /// Runs these bars, one call each. `first_row` is the number that the sink gets for the first.
    ///
    /// # Errors
    /// As [`crate::Instance::eval`].
    pub fn eval(
        &mut self,
        input: &InputColumns<'_>,
        first_row: usize,
        sink: &mut dyn OutputSink,
    ) -> Result<(), RunError> {
        check_input(&self.shape, input)?;
        let began = Instant::now();
        let mut live = self.live.take().ok_or(RunError::Stopped)?;
        let ran = (0..input.rows).try_for_each(|row| {
            if !sink.wants_more() {
                return Err(Failure::Cancelled);
            }
            let number = first_row + row;
            self.account.calling = Some(number..number + 1);
            live.set_inputs(input, row)?;
            live.call(&mut self.account)?;
            live.hand_out(number, sink)
        });
        self.account.close(&live.store, began);
        match ran {
            Ok(()) => {
                self.live = Some(live);
                Ok(())
            }
            Err(failure) => Err(self.account.fail(&live.store, Tank::Eval, failure)),
        }
    }

    /// Everything that must be kept to resume the run in another instance, of either form.
    ///
    /// # Errors
    /// [`RunError::Stopped`] after an earlier error.
    pub fn save_state(&mut self) -> Result<Vec<u8>, RunError> {
        let live = self.live.as_mut().ok_or(RunError::Stopped)?;
        let mut state = Vec::with_capacity(live.places.state.len() * WORD);
        for cell in live.places.state.clone() {
            let bits = match live.get(cell) {
                Val::I32(value) => u64::from(value.cast_unsigned()),
                Val::I64(value) => value.cast_unsigned(),
                Val::F64(bits) => bits,
                _ => 0,
            };
            state.extend_from_slice(&bits.to_le_bytes());
        }
        Ok(state)
    }

    /// Puts saved state back, of either form: see [`crate::Instance::restore_state`].
    ///
    /// # Errors
    /// As [`BarInstance::save_state`], and [`InputError::StateLength`] if the state is another module's.
    pub fn restore_state(&mut self, state: &[u8]) -> Result<(), RunError> {
        let live = self.live.as_mut().ok_or(RunError::Stopped)?;
        let expected = live.places.state.len() * WORD;
        if state.len() != expected {
            return Err(InputError::StateLength { expected, got: state.len() }.into());
        }
        for (cell, word) in live.places.state.clone().zip(state.as_chunks::<WORD>().0) {
            let bits = u64::from_le_bytes(*word);
            #[expect(clippy::cast_possible_truncation, reason = "an i32 is in the first half")]
            let value = match live.get(cell) {
                Val::I32(_) => Val::I32((bits as u32).cast_signed()),
                Val::I64(_) => Val::I64(bits.cast_signed()),
                _ => Val::F64(bits),
            };
            live.set(cell, value).map_err(|error| RunError::Engine(error.into()))?;
        }
        Ok(())
    }
}

impl Live {
    fn get(&mut self, cell: usize) -> Val {
        // INVARIANT: a place is an index of the cells that it was found with.
        self.cells.get(cell).map_or(Val::I32(0), |cell| cell.get(&mut self.store))
    }

    fn set(&mut self, cell: usize, value: Val) -> wasmtime::Result<()> {
        self.cells.get(cell).map_or(Ok(()), |cell| cell.set(&mut self.store, value))
    }

    fn set_inputs(&mut self, input: &InputColumns<'_>, row: usize) -> Result<(), Failure> {
        for (cell, column) in self.places.inputs.clone().zip(input.inputs) {
            self.set(cell, Val::F64(column.get(row).map_or(MISSING_BITS, |value| value.to_bits())))?;
        }
        if let (Some([time, day, minute, weekday]), Some(columns)) = (self.places.time, input.time) {
            self.set(time, Val::I64(columns.time.get(row).copied().unwrap_or(rulebox_abi::TIME_MISSING)))?;
            for (cell, column) in
                [(day, columns.local_day), (minute, columns.minute_of_day), (weekday, columns.weekday)]
            {
                self.set(cell, Val::I32(column.get(row).copied().unwrap_or_default()))?;
            }
        }
        Ok(())
    }

    fn call(&mut self, account: &mut Account) -> Result<(), Failure> {
        fill(&mut self.store, account.fuel_left)?;
        set_deadline(&mut self.store, account.deadline_ticks);
        let result = self.bar.call(&mut self.store, ());
        let left = drain(&self.store);
        account.fuel_left = left.as_ref().copied().unwrap_or(0);
        let code = result?;
        left?;
        // The only other answer is that it refuses its params.
        if code == 0 { Ok(()) } else { Err(Failure::ParamsRefused(code)) }
    }

    fn hand_out(&mut self, number: usize, sink: &mut dyn OutputSink) -> Result<(), Failure> {
        let verdict = match self.get(self.places.verdict) {
            Val::I32(value) => u8::try_from(value).ok().filter(|byte| Verdict::from_byte(*byte).is_some()),
            _ => None,
        };
        let verdict = verdict.ok_or(Breach::Verdict { row: 0, verdict: u8::MAX })?;
        let Val::I32(fired) = self.get(self.places.fired) else { return Err(Breach::Shape.into()) };
        let outs = self.values(self.places.outs.clone());
        let message_values = self.values(self.places.message_values.clone());
        let keep = self.places.keep.map_or_else(Vec::new, |cell| self.values(cell..cell + 1));
        sink.rows(
            number,
            &OutputRows {
                rows: 1,
                verdicts: &[verdict],
                fired: &fired.to_le_bytes(),
                outs: &columns(&outs),
                message_values: &columns(&message_values),
                keep: keep.as_flattened(),
                messages: &[],
            },
        );
        Ok(())
    }

    /// Numbers, whose only NaN is the missing one.
    fn values(&mut self, cells: Range<usize>) -> Vec<[u8; WORD]> {
        let number = |value| match value {
            Val::F64(bits) if !f64::from_bits(bits).is_nan() => bits,
            _ => MISSING_BITS,
        };
        cells.map(|cell| number(self.get(cell)).to_le_bytes()).collect()
    }
}

impl fmt::Debug for BarModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarModule").field("places", &self.loaded.places).finish_non_exhaustive()
    }
}

impl fmt::Debug for BarInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarInstance").field("report", &self.account.report).finish_non_exhaustive()
    }
}
