//! A file out of symbols that come in any order, in bounded memory: symbols of the file itself are written to their
//! place at once, those that repair it wait in a second file, and a block is decoded when it has enough of both.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use raptorq::{EncodingPacket, PayloadId, SourceBlockDecoder};

use crate::plan::{Block, MAX_ESI, Plan};

/// What became of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was here already, or its block is whole.
    Known,
    /// It is kept.
    Kept,
    /// With it its block is whole.
    Whole,
}

#[derive(Default)]
struct Gathering {
    /// By symbol id: `None` for a symbol of the file itself, else its place among the waiting ones.
    have: HashMap<u32, Option<u64>>,
    whole: bool,
}

/// Gathers a file.
pub struct Decoder {
    plan: Plan,
    out: File,
    waiting: File,
    /// Places in `waiting` that are free again, and the first that was never used.
    free: Vec<u64>,
    next: u64,
    blocks: HashMap<u32, Gathering>,
    whole: u32,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({} of {} blocks)", self.whole, self.plan.blocks())
    }
}

impl Decoder {
    /// Gathers into `out`; `waiting` is scratch. Both are read and written anywhere.
    #[must_use]
    pub fn new(plan: Plan, out: File, waiting: File) -> Self {
        Self { plan, out, waiting, free: Vec::new(), next: 0, blocks: HashMap::new(), whole: 0 }
    }

    /// Whether every block is whole.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.whole == self.plan.blocks()
    }

    /// How many blocks are whole.
    #[must_use]
    pub fn whole(&self) -> u32 {
        self.whole
    }

    /// Whether block `index` is whole.
    #[must_use]
    pub fn is_whole(&self, index: u32) -> bool {
        self.blocks.get(&index).is_some_and(|gathering| gathering.whole)
    }

    /// Symbols that a block has so far.
    #[must_use]
    pub fn have(&self, index: u32) -> usize {
        self.blocks.get(&index).map_or(0, |gathering| gathering.have.len())
    }

    /// Takes symbol `esi` of block `index`.
    ///
    /// # Errors
    /// `InvalidInput` for a block, symbol or length that the plan does not have; whatever the files say.
    pub fn add(&mut self, index: u32, esi: u32, symbol: &[u8]) -> io::Result<Added> {
        let block = self.plan.block(index).ok_or(io::ErrorKind::InvalidInput)?;
        if symbol.len() != usize::from(self.plan.symbol()) || esi > MAX_ESI {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let gathering = self.blocks.entry(index).or_default();
        if gathering.whole || gathering.have.contains_key(&esi) {
            return Ok(Added::Known);
        }
        let place = if esi < block.symbols {
            let (offset, length) = place(&self.plan, &block, esi);
            write_at(&mut self.out, offset, symbol.get(..length).unwrap_or(symbol))?;
            None
        } else {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            write_at(&mut self.waiting, slot * u64::from(self.plan.symbol()), symbol)?;
            Some(slot)
        };
        gathering.have.insert(esi, place);
        if gathering.have.len() < block.symbols as usize {
            return Ok(Added::Kept);
        }
        self.finish(index, &block)
    }

    /// Decodes a block that has enough symbols, or one more than was too few the last time.
    fn finish(&mut self, index: u32, block: &Block) -> io::Result<Added> {
        let Some(gathering) = self.blocks.get_mut(&index) else { return Ok(Added::Kept) };
        let source = gathering.have.values().filter(|place| place.is_none()).count();
        if source < block.symbols as usize {
            let mut packets = Vec::with_capacity(gathering.have.len());
            for (&esi, waiting) in &gathering.have {
                let mut symbol = vec![0; usize::from(self.plan.symbol())];
                match waiting {
                    Some(slot) => read_at(&mut self.waiting, slot * u64::from(self.plan.symbol()), &mut symbol)?,
                    None => {
                        let (offset, length) = place(&self.plan, block, esi);
                        read_at(&mut self.out, offset, symbol.get_mut(..length).unwrap_or_default())?;
                    }
                }
                packets.push(EncodingPacket::new(PayloadId::new(0, esi), symbol));
            }
            let length = u64::from(block.symbols) * u64::from(self.plan.symbol());
            let mut decoder = SourceBlockDecoder::new(0, &self.plan.parameters(block), length);
            let Some(data) = decoder.decode(packets) else { return Ok(Added::Kept) };
            let part = usize::try_from(block.length).ok().and_then(|length| data.get(..length));
            write_at(&mut self.out, block.offset, part.ok_or(io::ErrorKind::InvalidData)?)?;
        }
        self.free.extend(gathering.have.values().flatten());
        gathering.have = HashMap::new();
        gathering.whole = true;
        self.whole += 1;
        Ok(Added::Whole)
    }

    /// Makes what was gathered durable.
    ///
    /// # Errors
    /// Whatever the file says.
    pub fn sync(&self) -> io::Result<()> {
        self.out.sync_all()
    }
}

/// Where a symbol of the file itself stands, and how much of it: the last one may be filled up with zeros.
fn place(plan: &Plan, block: &Block, esi: u32) -> (u64, usize) {
    let inside = u64::from(esi) * u64::from(plan.symbol());
    let length = u64::from(plan.symbol()).min(block.length.saturating_sub(inside));
    (block.offset + inside, usize::try_from(length).unwrap_or_default())
}

fn write_at(file: &mut File, offset: u64, data: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(data)
}

fn read_at(file: &mut File, offset: u64, data: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(data)
}
