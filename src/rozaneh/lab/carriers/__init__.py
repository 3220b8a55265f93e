"""Carriers under an outside judge: what nDPI 5 flags of our ways, of known tunnels and of plain browsing, in one run.

Every carrier is a fresh client's: its program starts, two programs behind it (curl, or Chromium with a context of its
own) fetch pages of two sites through it, it ends. The edge has several addresses; the three sites have certificate
chains of three sizes, because an inner handshake is told by its sizes. The same pages fetched with nothing in between
are the benign side, Shadowsocks and REALITY with Vision the controls that must be flagged.

`plan` says who fetches what, `play` does it in a world and keeps the capture at the censor's place, `judged` asks the
judges, `table` writes it down.
"""
