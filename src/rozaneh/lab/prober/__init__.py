"""The active prober: what a censor sends to a server it suspects, how servers react, and what that gives away.

`probes` holds the thirteen probes of NDSS'20, `attempt` one connection as a state machine without sockets, `drivers`
what runs attempts (real sockets, or toy servers on a clock that jumps), `trees` the decisions, `thresholds` the byte
counts at which a server closes, `replay` first flights sent again, `control` the proof that an address is one's own,
`examine` all of it together, and `pool` the prober that a censor in a world asks.
Sources: Frolov, Wampler, Wustrow, "Detecting Probe-resistant Proxies", NDSS 2020 (ML-06, section 8.2 of the catalogue);
Alice, Bob, Carol et al., "How China Detects and Blocks Shadowsocks", IMC 2020 (CN-07).
"""
