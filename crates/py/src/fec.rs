//! The erasure code for documents that travel in pieces (`rozaneh_fec`); documents are what `offline` is about.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rozaneh_fec::{Added, Plan};

fn plan(length: u64, symbol: u16) -> PyResult<Plan> {
    Plan::new(length, symbol).ok_or_else(|| PyValueError::new_err("no file can be cut like this"))
}

fn io(error: &std::io::Error) -> PyErr {
    match (error.kind(), error.raw_os_error()) {
        (std::io::ErrorKind::InvalidInput, None) => PyValueError::new_err("the file has no such symbol"),
        (_, Some(code)) => PyOSError::new_err((code, error.to_string())),
        _ => PyOSError::new_err(error.to_string()),
    }
}

/// The blocks of a file of `length` bytes: first byte, bytes, symbols of each.
#[pyfunction]
pub(crate) fn fec_blocks(length: u64, symbol: u16) -> PyResult<Vec<(u64, u64, u32)>> {
    let plan = plan(length, symbol)?;
    let blocks = (0..plan.blocks()).filter_map(|index| plan.block(index));
    Ok(blocks.map(|block| (block.offset, block.length, block.symbols)).collect())
}

/// Symbols `first..first + count` of block `index`, whose bytes are `data`.
#[pyfunction]
pub(crate) fn fec_encode<'py>(
    py: Python<'py>,
    length: u64,
    symbol: u16,
    index: u32,
    data: &[u8],
    first: u32,
    count: u32,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let plan = plan(length, symbol)?;
    let symbols = py
        .detach(|| rozaneh_fec::encode(&plan, index, data, first, count))
        .ok_or_else(|| PyValueError::new_err("the file has no such symbols"))?;
    Ok(symbols.iter().map(|one| PyBytes::new(py, one)).collect())
}

/// Gathers a file.
#[pyclass(module = "rozaneh.engine._native")]
pub(crate) struct FecDecoder(rozaneh_fec::Decoder);

fn open(path: &PathBuf) -> PyResult<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(|error| io(&error))
}

#[pymethods]
impl FecDecoder {
    /// Both files are made new; `waiting` is scratch.
    #[new]
    fn new(length: u64, symbol: u16, out: PathBuf, waiting: PathBuf) -> PyResult<Self> {
        Ok(Self(rozaneh_fec::Decoder::new(plan(length, symbol)?, open(&out)?, open(&waiting)?)))
    }

    /// 0: it was known; 1: it is kept; 2: with it its block is whole.
    fn add(&mut self, py: Python<'_>, index: u32, esi: u32, symbol: &[u8]) -> PyResult<u8> {
        match py.detach(|| self.0.add(index, esi, symbol)).map_err(|error| io(&error))? {
            Added::Known => Ok(0),
            Added::Kept => Ok(1),
            Added::Whole => Ok(2),
        }
    }

    #[getter]
    fn complete(&self) -> bool {
        self.0.complete()
    }

    /// Whole blocks.
    #[getter]
    fn whole(&self) -> u32 {
        self.0.whole()
    }

    /// Symbols that a block has so far; none once it is whole.
    fn have(&self, index: u32) -> usize {
        self.0.have(index)
    }

    fn is_whole(&self, index: u32) -> bool {
        self.0.is_whole(index)
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.sync()).map_err(|error| io(&error))
    }
}
