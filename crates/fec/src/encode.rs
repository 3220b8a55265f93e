//! A block's symbols.

use raptorq::SourceBlockEncoder;

use crate::plan::{MAX_ESI, Plan};

/// Symbols `first..first + count` of block `index`, whose bytes are `data`. `None` where there is no such block, `data`
/// has another length than it, or the last symbol would be past [`MAX_ESI`].
///
/// The code's work on a block is done anew each call: ask for all the symbols of a block that are wanted at once.
#[must_use]
pub fn encode(plan: &Plan, index: u32, data: &[u8], first: u32, count: u32) -> Option<Vec<Vec<u8>>> {
    let block = plan.block(index)?;
    if data.len() as u64 != block.length || first.checked_add(count)? > MAX_ESI {
        return None;
    }
    let size = usize::from(plan.symbol());
    let mut out = Vec::with_capacity(count as usize);
    let source_end = block.symbols.min(first.saturating_add(count));
    for part in data.chunks(size).skip(first as usize).take(source_end.saturating_sub(first) as usize) {
        let mut symbol = part.to_vec();
        symbol.resize(size, 0);
        out.push(symbol);
    }
    let repair = count - u32::try_from(out.len()).ok()?;
    if repair > 0 {
        let mut whole = data.to_vec();
        whole.resize(block.symbols as usize * size, 0);
        let encoder = SourceBlockEncoder::new(0, &plan.parameters(&block), &whole);
        let from = first.saturating_sub(block.symbols);
        out.extend(encoder.repair_packets(from, repair).into_iter().map(|packet| packet.split().1));
    }
    Some(out)
}
