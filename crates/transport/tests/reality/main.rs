//! The REALITY listener over real sockets: friends, strangers, replays, and covers that do not behave.

mod covers;
mod friends;
mod real;
mod rig;
mod strangers;
