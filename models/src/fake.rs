//! A model for tests: takes as long as it is told, runs out of memory where it is told, and fails at texts that name a
//! way to fail.

use std::time::{Duration, Instant};

use mosel_core::{ModalitySet, Precision};

use crate::{BatchAnswers, DeviceFacts, Example, Input, InputKind, Modality, Model, ModelError, Request, Spec};

/// Answers a request of the text "3" with label 3, any other text with label 0, but "nan" with what is no number.
///
/// Its backend fails at "poison", at "hiccup" once, and for good once it met "fatal".
pub(crate) struct FakeModel {
    /// A batch of more requests is out of memory.
    pub(crate) fits: usize,
    /// Microseconds that a request takes.
    pub(crate) micros: fn(Precision) -> u64,
    /// The backend has failed for good.
    pub(crate) lost: bool,
    /// Every batch that was tried: how large, and with what.
    pub(crate) tried: Vec<(usize, Precision)>,
    /// One modality, text; labels "0" to "15".
    pub(crate) spec: Spec,
    /// `fake`
    pub(crate) device: DeviceFacts,
}

impl FakeModel {
    /// One that takes no time and has memory for everything.
    pub(crate) fn new() -> FakeModel {
        let modalities = vec![Modality::new("text", InputKind::Text { max_bytes: 9 })];
        let labels: Vec<String> = (0..16).map(|label| label.to_string()).collect();
        FakeModel {
            fits: usize::MAX,
            micros: |_| 0,
            lost: false,
            tried: Vec::new(),
            spec: Spec { name: "fake".into(), modalities, labels: labels.into(), weights_sha256: "abc".into() },
            device: DeviceFacts::fake("fake"),
        }
    }

    /// Requests for the labels from 0.
    pub(crate) fn requests(count: usize) -> Vec<Request> {
        (0..count).map(|label| Request::new(vec![Input::Text(label.to_string().into())])).collect()
    }

    /// The same with their labels.
    pub(crate) fn examples(count: usize) -> Vec<Example> {
        let example = |(label, request)| Example { request, label, name: format!("e{label}") };
        FakeModel::requests(count).into_iter().enumerate().map(example).collect()
    }
}

impl FakeModel {
    fn fail(&mut self, requests: &[&Request]) -> Result<(), ModelError> {
        let says = |word: &str| requests.iter().any(|request| text(request) == word);
        self.lost |= says("fatal");
        let hiccup = says("hiccup") && self.tried.len() == 1;
        let reason = match (self.lost, says("poison"), hiccup) {
            (true, ..) => "a text was fatal",
            (_, true, _) => "a text was poison",
            (.., true) => "a text was a hiccup",
            _ => return Ok(()),
        };
        Err(ModelError::Backend(reason.into()))
    }
}

fn text(request: &Request) -> &str {
    match &request.inputs()[0] {
        Input::Text(text) => std::str::from_utf8(text).unwrap_or(""),
        other => panic!("expected text, got {other:?}"),
    }
}

impl Model for FakeModel {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.device
    }

    fn precisions(&self) -> &[Precision] {
        &Precision::ALL
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<BatchAnswers, ModelError> {
        let start = Instant::now();
        self.spec.check_batch(requests, modalities)?;
        self.tried.push((requests.len(), precision));
        if requests.len() > self.fits {
            return Err(ModelError::OutOfMemory(format!("{} requests, {} fit", requests.len(), self.fits)));
        }
        // spun, so that a test does not depend on timers
        while start.elapsed() < Duration::from_micros((self.micros)(precision) * requests.len() as u64) {
            std::hint::spin_loop();
        }
        self.fail(requests)?;
        let answer = |request: &&Request| match text(request) {
            "nan" => self.spec.output(0, f32::NAN),
            text => self.spec.output(text.parse().unwrap_or(0), 1.0),
        };
        let answers = requests.iter().map(|request| Ok(answer(request)?)).collect();
        Ok(BatchAnswers { answers, prepare: Duration::ZERO })
    }
}
