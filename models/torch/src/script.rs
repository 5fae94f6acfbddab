//! One TorchScript file, and clear words for all that can be wrong with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use tch::{CModule, Device, Kind, TchError, Tensor};

/// A network of a file.
pub(super) struct Script {
    file: String,
    module: CModule,
}

/// Parameters that an error shows at most.
const SHOWN: usize = 24;

impl Script {
    /// Loads a file and casts everything in it to numbers of this kind.
    pub(super) fn read(folder: &Path, file: &str, device: Device, kind: Kind) -> Result<Script> {
        let load = || {
            let loaded = CModule::load_on_device(folder.join(file), device);
            let mut module = loaded.map_err(|error| {
                anyhow!("expected a TorchScript file (torch.jit.save writes one): {}", reason(&error))
            })?;
            module.f_set_eval().map_err(|error| anyhow!("switching to evaluation: {}", reason(&error)))?;
            if kind != Kind::Float {
                module.to(device, kind, false);
            }
            Ok(module)
        };
        // tch has no casting that returns an error
        let loaded =
            catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err(anyhow!("casting it to {kind:?} failed")));
        Ok(Script { file: file.into(), module: loaded.with_context(|| file.to_owned())? })
    }

    /// Runs the network.
    pub(super) fn forward(&self, inputs: &[Tensor]) -> Result<Tensor, TchError> {
        self.module.forward_ts(inputs).map_err(|error| TchError::Torch(format!("{}: {}", self.file, reason(&error))))
    }

    /// Runs the network and expects an answer of this shape; what was put in has these names.
    pub(super) fn check(&self, inputs: &[Tensor], names: &[&str], expected: [i64; 2]) -> Result<()> {
        let put_in = || {
            let each =
                names.iter().zip(inputs).map(|(name, input)| format!("{name} {:?} {:?}", input.size(), input.kind()));
            each.collect::<Vec<_>>().join(", ")
        };
        let ran = catch_unwind(AssertUnwindSafe(|| self.module.forward_ts(inputs)));
        let answer = match ran {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(anyhow!(
                    "{}: forward fails on {}: {}{}",
                    self.file,
                    put_in(),
                    reason(&error),
                    self.parameters()
                ));
            }
            Err(_) => return Err(anyhow!("{}: forward panics on {}{}", self.file, put_in(), self.parameters())),
        };
        let (shape, kind) = (answer.size(), answer.kind());
        ensure!(
            shape == expected,
            "{}: expected an answer of {expected:?} (a row a request, a column a label) to {}, got {shape:?}{}",
            self.file,
            put_in(),
            self.parameters()
        );
        ensure!(
            [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half].contains(&kind),
            "{}: expected an answer of floating-point numbers, got {kind:?}",
            self.file
        );
        Ok(())
    }

    /// Names and shapes of what was trained, for whoever has to find the one that does not fit.
    fn parameters(&self) -> String {
        let parameters = self.module.named_parameters().unwrap_or_default();
        if parameters.is_empty() {
            return String::new();
        }
        let shown = parameters.iter().take(SHOWN).map(|(name, tensor)| format!("{name} {:?}", tensor.size()));
        let more = parameters.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("; its parameters: {}{more}", shown.collect::<Vec<_>>().join(", "))
    }
}

/// The line that says what happened: libtorch puts its own stack, and TorchScript the network's, around it.
fn reason(error: &TchError) -> String {
    let text = error.to_string();
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let says = lines().find(|line| line.split_once(": ").is_some_and(|(word, _)| word.ends_with("Error")));
    says.or_else(|| lines().next()).unwrap_or("unknown").to_owned()
}
