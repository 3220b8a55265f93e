//! What both sides' handshakes do alike: records in, one stage after another, and an alert where one fails.

use crate::channel::Channel;
use crate::error::{Error, LocalError};
use crate::{Connected, Progress};

/// The stages of one side: each is consumed by the message it waits for.
pub(crate) trait Stage: Sized {
    /// What all stages need.
    type Core;
    /// Where a handshake stands that has failed.
    const FAILED: Self;

    fn failed(&self) -> bool;
    fn done(&self) -> bool;
    /// What the last stage holds, if this is it.
    fn connected(self) -> Option<Connected>;
    /// One message on.
    fn take(self, core: &mut Self::Core, channel: &mut Channel, bytes: &[u8], out: &mut Vec<u8>)
    -> Result<Self, Error>;
}

/// A handshake in progress.
pub(crate) struct Shake<S: Stage> {
    pub(crate) core: S::Core,
    pub(crate) channel: Channel,
    pub(crate) stage: S,
}

impl<S: Stage> Shake<S> {
    /// Takes whole records off the front of `input` and appends what is due to `out`, also when it fails: the alert.
    pub(crate) fn step(&mut self, input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Progress, Error> {
        let mut taken = 0;
        let stage = std::mem::replace(&mut self.stage, S::FAILED);
        if stage.failed() {
            // The alert went out with the failure; nothing more is said.
            return Err(LocalError::State("the handshake has failed").into());
        }
        let result = self.run(stage, input, &mut taken, out);
        input.drain(..taken.min(input.len()));
        match result {
            Ok(stage) => {
                let done = stage.done();
                self.stage = stage;
                Ok(if done { Progress::Done } else { Progress::NeedMore })
            }
            Err(error) => {
                self.channel.fail(&error, out);
                Err(error)
            }
        }
    }

    fn run(&mut self, mut stage: S, input: &mut [u8], taken: &mut usize, out: &mut Vec<u8>) -> Result<S, Error> {
        while !stage.done() {
            let Some(wire) = self.channel.take(input.get_mut(*taken..).unwrap_or_default())? else { return Ok(stage) };
            *taken = taken.saturating_add(wire);
            while let Some(message) = self.channel.next()? {
                stage = stage.take(&mut self.core, &mut self.channel, &message, out)?;
                if stage.done() {
                    break;
                }
            }
        }
        Ok(stage)
    }

    pub(crate) fn finish(self) -> Result<Connected, LocalError> {
        self.stage.connected().ok_or(LocalError::State("the handshake is not done"))
    }
}
