//! The REALITY listener over real sockets: friends, strangers, replays, and covers that do not behave.

mod covers;
mod friends;
mod rig;
mod strangers;
