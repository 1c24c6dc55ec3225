//! What the process is and uses, by the names that Prometheus' client libraries give it.
//!
//! A confined process opens nothing any more, so the files are opened at the start and read again at each look: the
//! kernel writes them anew for whoever reads from their beginning.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use procfs_core::process::{LimitValue, Limits, Stat};
use procfs_core::{FromRead, ProcError, ProcResult};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use rustix::fs::{Dir, Mode, OFlags};

/// The collector of these metrics.
#[derive(Debug)]
pub(super) struct Process {
    files: Mutex<Files>,
    started: IntGauge,
    cpu: Counter,
    gauges: Vec<(IntGauge, Gauge)>,
}

/// Files of `/proc/self`.
#[derive(Debug)]
struct Files {
    stat: File,
    limits: File,
    descriptors: Dir,
}

/// What is read from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gauge {
    Resident,
    Virtual,
    Threads,
    OpenFiles,
    MostFiles,
}

const GAUGES: [(&str, &str, Gauge); 5] = [
    ("process_resident_memory_bytes", "Memory of the process that is in RAM.", Gauge::Resident),
    ("process_virtual_memory_bytes", "Addresses that the process has taken.", Gauge::Virtual),
    ("process_threads", "Threads of the process.", Gauge::Threads),
    ("process_open_fds", "Open file descriptors.", Gauge::OpenFiles),
    ("process_max_fds", "File descriptors that may be open.", Gauge::MostFiles),
];

impl Process {
    /// Of this process. `None` where the system has no such files, or others than are known: a service can do without.
    pub(super) fn of_this() -> Result<Option<Self>, prometheus::Error> {
        let started = IntGauge::new("process_start_time_seconds", "Start of the process, seconds since 1970.")?;
        let cpu = Counter::new("process_cpu_seconds_total", "Processor time of the process, in seconds.")?;
        let gauges = GAUGES.into_iter().map(|(name, help, of)| Ok((IntGauge::new(name, help)?, of)));
        let gauges = gauges.collect::<Result<_, prometheus::Error>>()?;
        let looked = Files::open().map_err(ProcError::from).and_then(|mut files| {
            // It is of the past: it is not to be looked up again.
            started.set(files.started()?);
            let process = Self { files: Mutex::new(files), started, cpu, gauges };
            process.look()?;
            Ok(process)
        });
        match looked {
            Ok(process) => Ok(Some(process)),
            Err(error) => {
                tracing::warn!(error = super::chain(&error), "there are no metrics of the process (is /proc mounted?)");
                Ok(None)
            }
        }
    }

    /// Sets all of them.
    fn look(&self) -> ProcResult<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let stat = Stat::from_read(again(&mut files.stat)?)?;
        let limits = Limits::from_read(again(&mut files.limits)?)?;
        let ticks = rustix::param::clock_ticks_per_second();
        let page = rustix::param::page_size() as u64;
        #[expect(clippy::cast_precision_loss, reason = "ticks of centuries have room")]
        let seconds = |n: u64| n as f64 / ticks as f64;
        // It only grows, but for a process whose clock is set back.
        self.cpu.inc_by((seconds(stat.utime + stat.stime) - self.cpu.get()).max(0.0));
        files.descriptors.rewind();
        // `.`, `..`, and the directory that is being read.
        let open = (files.descriptors.by_ref().count() as u64).saturating_sub(3);
        for (gauge, of) in &self.gauges {
            let value = match of {
                Gauge::Resident => stat.rss * page,
                Gauge::Virtual => stat.vsize,
                Gauge::Threads => stat.num_threads.unsigned_abs(),
                Gauge::OpenFiles => open,
                Gauge::MostFiles => match limits.max_open_files.soft_limit {
                    LimitValue::Value(most) => most,
                    LimitValue::Unlimited => u64::MAX,
                },
            };
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

impl Files {
    fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptors = rustix::fs::open("/proc/self/fd", flags, Mode::empty())?;
        Ok(Self {
            stat: File::open("/proc/self/stat")?,
            limits: File::open("/proc/self/limits")?,
            descriptors: Dir::read_from(descriptors.as_fd())?,
        })
    }
}

impl Files {
    /// When the process started, in seconds since 1970.
    fn started(&mut self) -> ProcResult<i64> {
        let ticks = Stat::from_read(again(&mut self.stat)?)?.starttime;
        Ok(i64::try_from(boot_time()? + ticks / rustix::param::clock_ticks_per_second()).unwrap_or(i64::MAX))
    }
}

/// The file from its beginning.
fn again(file: &mut File) -> io::Result<impl Read + '_> {
    file.rewind()?;
    Ok(file)
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    line.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges.iter().flat_map(|(gauge, _)| gauge.desc());
        self.started.desc().into_iter().chain(self.cpu.desc()).chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Err(error) = self.look() {
            tracing::debug!(error = super::chain(&error), "the process cannot look at itself");
        }
        let gauges = self.gauges.iter().flat_map(|(gauge, _)| gauge.collect());
        self.started.collect().into_iter().chain(self.cpu.collect()).chain(gauges).collect()
    }
}
