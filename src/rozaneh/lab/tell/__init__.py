"""Whether strangers can tell an edge from its bare cover: many probes, two servers, and a classifier that tries.

`battery` makes the probes, `talk` is one conversation without sockets, `visits` runs conversations with the kernel's,
`seen` is what a stranger got and `measures` its numbers; `forest` and `nearest` try to tell two servers apart by them,
`verdict` says how well they did, which answers differ every time, and how far apart the times lie. `covers` are the web
servers, `edges` what stands in front of them, `field` the network they stand in and `trial` all of it together;
`replays` sends first flights of real clients again, ten thousand times.
Sources: Frolov, Wampler, Wustrow, "Detecting Probe-resistant Proxies", NDSS 2020 (ML-06, section 8.2 of the catalogue);
Alice, Bob, Carol et al., "How China Detects and Blocks Shadowsocks", IMC 2020 (CN-07).
"""
