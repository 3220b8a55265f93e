//! The PyO3 shell: strings and bytes in, strings and bytes out. Nothing is decided here, and payload never passes.
//!
//! Every call that may wait releases the interpreter first.

mod fec;

use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rozaneh_engine::{ConfigError as CoreConfigError, Engine as CoreEngine, EngineError};

create_exception!(_native, ConfigError, PyValueError, "The configuration is refused: `path: reason`.");

fn config(error: &CoreConfigError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

fn raise(error: EngineError) -> PyErr {
    match error {
        EngineError::Config(error) => config(&error),
        EngineError::Io(what, error) => match error.raw_os_error() {
            Some(code) => PyOSError::new_err((code, format!("{what}: {error}"))),
            None => PyOSError::new_err(format!("{what}: {error}")),
        },
        EngineError::State(what) => PyRuntimeError::new_err(what),
    }
}

/// Seconds from Python: never negative, never beyond what a clock can add.
fn seconds(value: f64) -> Duration {
    const DAY: f64 = 86_400.0;
    Duration::from_secs_f64(if value.is_finite() { value.clamp(0.0, DAY) } else { DAY })
}

#[pyclass(frozen, module = "rozaneh.engine._native")]
struct Engine(CoreEngine);

#[pymethods]
impl Engine {
    #[new]
    fn new(config_json: &str) -> PyResult<Self> {
        CoreEngine::new(config_json).map(Self).map_err(|error| config(&error))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.start()).map_err(raise)
    }

    fn reload(&self, py: Python<'_>, config: &str) -> PyResult<()> {
        py.detach(|| self.0.reload(config)).map_err(raise)
    }

    fn set_users(&self, py: Python<'_>, users: &str) -> PyResult<()> {
        py.detach(|| self.0.set_users(users)).map_err(|error| config(&error))
    }

    fn drain(&self, py: Python<'_>) {
        py.detach(|| self.0.drain());
    }

    #[pyo3(signature = (grace = 0.0))]
    fn stop(&self, py: Python<'_>, grace: f64) {
        py.detach(|| self.0.stop(seconds(grace)));
    }

    fn listeners(&self) -> String {
        self.0.listeners()
    }

    fn counters(&self) -> String {
        self.0.counters()
    }

    fn events(&self, py: Python<'_>, max: usize, timeout: f64) -> Vec<String> {
        py.detach(|| self.0.events(max, seconds(timeout)))
    }

    fn probe(&self, py: Python<'_>, upstream: &str, timeout: f64) -> PyResult<String> {
        py.detach(|| self.0.probe(upstream, seconds(timeout))).map_err(raise)
    }

    fn fetch<'py>(
        &self,
        py: Python<'py>,
        upstream: &str,
        authority: &str,
        limit: usize,
        timeout: f64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let body = py.detach(|| self.0.fetch(upstream, authority, limit, seconds(timeout))).map_err(raise)?;
        Ok(PyBytes::new(py, &body))
    }
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Engine>()?;
    module.add_class::<fec::FecDecoder>()?;
    module.add_function(wrap_pyfunction!(fec::fec_blocks, module)?)?;
    module.add_function(wrap_pyfunction!(fec::fec_encode, module)?)?;
    module.add("ConfigError", module.py().get_type::<ConfigError>())?;
    Ok(())
}
