//! Huffman codes (RFC 1951 section 3.2.7) by zlib's own heap, because ties decide which of equally good codes comes out.

/// The longest code of the two data alphabets, and of the alphabet that describes them.
pub(super) const MAX_BITS: usize = 15;
pub(super) const MAX_LENGTH_BITS: usize = 7;

/// A finished code.
pub(super) struct Tree {
    /// Length of each symbol's code, 0 where it has none.
    pub lengths: Vec<u8>,
    pub codes: Vec<u16>,
    /// The last symbol that has a code.
    pub max_code: usize,
    /// How often each symbol is wanted, those zlib adds until there are two included.
    counts: Vec<u32>,
    /// The added ones.
    forced: Vec<usize>,
}

/// Nodes ordered by frequency, then by depth; the order among equals is the heap's.
struct Heap {
    /// 1-based, as the arithmetic of heaps likes it.
    nodes: Vec<usize>,
    count: Vec<u32>,
    depth: Vec<u32>,
}

impl Heap {
    fn node(&self, at: usize) -> usize {
        self.nodes.get(at).copied().unwrap_or(0)
    }

    fn weight(&self, node: usize) -> (u32, u32) {
        (self.count.get(node).copied().unwrap_or(0), self.depth.get(node).copied().unwrap_or(0))
    }

    fn not_after(&self, a: usize, b: usize) -> bool {
        self.weight(a) <= self.weight(b)
    }

    fn last(&self) -> usize {
        self.nodes.len() - 1
    }

    fn set(&mut self, at: usize, node: usize) {
        if let Some(place) = self.nodes.get_mut(at) {
            *place = node;
        }
    }

    fn sink(&mut self, mut at: usize) {
        let moving = self.node(at);
        let mut child = 2 * at;
        while child <= self.last() {
            if child < self.last() && self.not_after(self.node(child + 1), self.node(child)) {
                child += 1;
            }
            if self.not_after(moving, self.node(child)) {
                break;
            }
            self.set(at, self.node(child));
            at = child;
            child *= 2;
        }
        self.set(at, moving);
    }

    fn pop(&mut self) -> usize {
        let top = self.node(1);
        let last = self.nodes.pop().unwrap_or(0);
        self.set(1, last);
        self.sink(1);
        top
    }
}

fn add<T: Copy + std::ops::AddAssign>(list: &mut [T], at: usize, by: T) {
    if let Some(entry) = list.get_mut(at) {
        *entry += by;
    }
}

fn get(list: &[u8], at: usize) -> u8 {
    list.get(at).copied().unwrap_or(0)
}

impl Tree {
    /// Builds the code for these frequencies, no code longer than `limit`.
    pub(super) fn build(mut counts: Vec<u32>, limit: usize) -> Self {
        let symbols = counts.len();
        let mut max_code = 0;
        let mut nodes = vec![0];
        for (symbol, &count) in counts.iter().enumerate() {
            if count > 0 {
                nodes.push(symbol);
                max_code = symbol;
            }
        }
        let mut forced_from = if nodes.len() == 1 { None } else { Some(max_code) };
        let mut forced = Vec::new();
        while nodes.len() < 3 {
            // At least two symbols: the first ones that are free, 0 once those are behind.
            let symbol = match forced_from {
                None => 0,
                Some(last) if last < 2 => last + 1,
                Some(_) => 0,
            };
            if forced_from.is_none_or(|last| last < 2) {
                max_code = symbol;
                forced_from = Some(symbol);
            }
            nodes.push(symbol);
            forced.push(symbol);
            if let Some(count) = counts.get_mut(symbol) {
                *count = 1;
            }
        }
        let mut count = counts.clone();
        count.resize(2 * symbols, 0);
        let mut heap = Heap { nodes, count, depth: vec![0; 2 * symbols] };
        for at in (1..=heap.last() / 2).rev() {
            heap.sink(at);
        }
        let mut parents = vec![0; 2 * symbols];
        // Nodes from the root down, heaviest first.
        let mut order = Vec::with_capacity(2 * symbols);
        let mut next = symbols;
        while heap.last() >= 2 {
            let (first, second) = (heap.pop(), heap.node(1));
            order.push(first);
            order.push(second);
            let ((a, depth_a), (b, depth_b)) = (heap.weight(first), heap.weight(second));
            add(&mut heap.count, next, a + b);
            add(&mut heap.depth, next, depth_a.max(depth_b) + 1);
            for child in [first, second] {
                if let Some(parent) = parents.get_mut(child) {
                    *parent = next;
                }
            }
            heap.set(1, next);
            heap.sink(1);
            next += 1;
        }
        order.push(heap.node(1));
        order.reverse();
        let mut lengths = assign(&order, &parents, max_code, limit);
        lengths.truncate(symbols);
        let codes = codes(&lengths, limit);
        Self { lengths, codes, max_code, counts, forced }
    }

    /// The part of [`Tree::cost`] that goes to symbols nobody asked for.
    pub(super) fn unasked(&self, lengths: &[u8]) -> u32 {
        self.forced.iter().map(|&symbol| u32::from(get(lengths, symbol))).sum()
    }

    /// A code given by its lengths.
    pub(super) fn fixed(lengths: Vec<u8>) -> Self {
        let codes = codes(&lengths, MAX_BITS);
        let max_code = lengths.len() - 1;
        Self { codes, max_code, counts: Vec::new(), forced: Vec::new(), lengths }
    }

    /// Code and length of a symbol.
    pub(super) fn code(&self, symbol: usize) -> (u32, u32) {
        (u32::from(self.codes.get(symbol).copied().unwrap_or(0)), u32::from(get(&self.lengths, symbol)))
    }

    /// The size in bits of everything counted, were it written with `lengths` and `extra` bits for each symbol.
    pub(super) fn cost(&self, lengths: &[u8], extra: impl Fn(usize) -> u32) -> u32 {
        let each = |(symbol, &count): (usize, &u32)| count * (u32::from(get(lengths, symbol)) + extra(symbol));
        self.counts.iter().enumerate().map(each).sum()
    }
}

/// Lengths by depth in the tree; where that is beyond the limit, codes are moved down until all fit.
fn assign(order: &[usize], parents: &[usize], max_code: usize, limit: usize) -> Vec<u8> {
    let mut lengths = vec![0_u8; parents.len()];
    let mut of_length = [0_usize; MAX_BITS + 1];
    let mut overflow = 0_i32;
    // The root is first and has length 0.
    for &node in order.iter().skip(1) {
        let parent = parents.get(node).copied().unwrap_or(0);
        let mut bits = usize::from(get(&lengths, parent)) + 1;
        if bits > limit {
            bits = limit;
            overflow += 1;
        }
        if let Some(length) = lengths.get_mut(node) {
            *length = bits as u8;
        }
        if is_leaf(node, max_code) {
            add(&mut of_length, bits, 1);
        }
    }
    if overflow == 0 {
        return lengths;
    }
    while overflow > 0 {
        let shorter = (1..limit).rev().find(|&bits| of_length.get(bits).is_some_and(|&n| n > 0)).unwrap_or(1);
        if let Some(n) = of_length.get_mut(shorter) {
            *n -= 1;
        }
        add(&mut of_length, shorter + 1, 2);
        if let Some(n) = of_length.get_mut(limit) {
            *n = n.saturating_sub(1);
        }
        overflow -= 2;
    }
    // The lightest symbols get the longest codes.
    let mut leaves = order.iter().rev().filter(|&&node| is_leaf(node, max_code));
    for bits in (1..=limit).rev() {
        for _ in 0..of_length.get(bits).copied().unwrap_or(0) {
            if let Some(length) = leaves.next().and_then(|&leaf| lengths.get_mut(leaf)) {
                *length = bits as u8;
            }
        }
    }
    lengths
}

fn is_leaf(node: usize, max_code: usize) -> bool {
    node <= max_code
}

/// Canonical codes (RFC 1951 section 3.2.2), bits reversed because they are written from the lowest.
fn codes(lengths: &[u8], limit: usize) -> Vec<u16> {
    let mut of_length = [0_u16; MAX_BITS + 1];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        add(&mut of_length, usize::from(length), 1);
    }
    let mut next = [0_u16; MAX_BITS + 1];
    let mut code = 0;
    for bits in 1..=limit {
        code = (code + of_length.get(bits - 1).copied().unwrap_or(0)) << 1;
        if let Some(first) = next.get_mut(bits) {
            *first = code;
        }
    }
    lengths
        .iter()
        .map(|&length| match next.get_mut(usize::from(length)) {
            Some(code) if length > 0 => {
                let own = *code;
                *code = code.wrapping_add(1);
                own.reverse_bits() >> (16 - u32::from(length))
            }
            _ => 0,
        })
        .collect()
}
