//! Every model of the zoo on an NVIDIA GPU: `make test-cuda`.
//!
//! The tests with cuda in their names are ignored unless they are asked for. Without a GPU they then say so and pass; with
//! `MOSEL_TEST_CUDA=1` they fail. What they check is checked on the CPU too, so that only the device is new on a GPU.

use std::time::{Duration, Instant};

use mosel_core::{ModalitySet, Mode};
use mosel_models::assets::Assets;
use mosel_models::profiler::{self, Settings};
use mosel_models::zoo::{self, Task};
use mosel_models::{
    DeviceChoice, Example, Model, Part, ProfileFile, Request, Stopwatch, backend, blank_request,
    split_on_out_of_memory, warm_up,
};

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_answers_as_the_cpu_does() {
    for Subject { task, mut model, examples } in on_gpu() {
        let mut reference = load(task, DeviceChoice::Cpu).unwrap();
        for modalities in ModalitySet::selections(model.spec().modalities.len()) {
            let expected = labels(reference.as_mut(), &examples, Mode::full(modalities));
            agree(&labels(model.as_mut(), &examples, Mode::full(modalities)), &expected, 0.02, task);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_computes_in_every_precision() {
    on_gpu().into_iter().for_each(check_precisions);
}

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_profiles_have_memory_and_time() {
    for subject in on_gpu() {
        let profile = profiled(subject);
        assert_eq!(profile.device.name, "cuda:0");
        assert_ne!(profile.device.processor, "unknown");
        assert!(profile.memory.method.contains("GPU"), "{}", profile.memory.method);
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn cuda_events_time_a_batch() {
    on_gpu().into_iter().for_each(check_stopwatch);
}

#[test]
fn a_lane_of_the_cpu_answers_as_the_cpu_does() {
    let Subject { task, mut model, examples } = on_cpu();
    let mode = Mode::full(ModalitySet::all(model.spec().modalities.len()));
    let mut lane = load(task, DeviceChoice::CpuLane(1)).unwrap();
    assert_eq!((lane.device().name.as_str(), lane.device().lane.as_str()), ("cpu", "cpu:1"));
    agree(&labels(lane.as_mut(), &examples, mode), &labels(model.as_mut(), &examples, mode), 0.0, task);
}

#[test]
fn the_cpu_computes_in_every_precision() {
    check_precisions(on_cpu());
}

#[test]
fn profiles_of_the_cpu_have_memory_and_time() {
    let profile = profiled(on_cpu());
    assert_eq!(profile.device.name, "cpu");
    assert!(profile.memory.method.contains("VmHWM"), "{}", profile.memory.method);
}

#[test]
fn a_stopwatch_times_a_batch_on_the_cpu() {
    check_stopwatch(on_cpu());
}

/// A model with labeled inputs.
struct Subject {
    task: Task,
    model: Box<dyn Model>,
    examples: Vec<Example>,
}

/// Enough to tell a wrong network from a rounded one.
const EXAMPLES: usize = 64;

/// Every model whose assets are here, on the first GPU; none if there is no GPU and none is demanded. Fails if one of them
/// does not load.
fn on_gpu() -> Vec<Subject> {
    if let Err(reason) = load(Task::Watch, DeviceChoice::Cuda(0)) {
        assert_ne!(std::env::var("MOSEL_TEST_CUDA").as_deref(), Ok("1"), "{reason:#}");
        println!("skipped: {reason:#}");
        return Vec::new();
    }
    zoo::ALL.into_iter().filter_map(|task| subject(task, DeviceChoice::Cuda(0))).collect()
}

fn on_cpu() -> Subject {
    subject(Task::Watch, DeviceChoice::Cpu).expect("run `make setup` first")
}

fn subject(task: Task, device: DeviceChoice) -> Option<Subject> {
    let assets = Assets::standard();
    // the weights of its towers are here too, if their numbers can be counted
    let here = task.examples(&assets, Part::Served).and_then(|examples| task.parameters(&assets).map(|_| examples));
    let mut examples = match here {
        Ok(examples) => examples,
        Err(reason) => {
            println!("skipped {task}: {reason:#}");
            return None;
        }
    };
    examples.truncate(EXAMPLES);
    let model = load(task, device).unwrap_or_else(|error| panic!("{task}'s assets are here, but: {error:#}"));
    Some(Subject { task, model, examples })
}

fn load(task: Task, device: DeviceChoice) -> anyhow::Result<Box<dyn Model>> {
    mosel_torch::install();
    backend::load_zoo(task, device)
}

fn labels(model: &mut dyn Model, examples: &[Example], mode: Mode) -> Vec<usize> {
    let requests: Vec<&Request> = examples.iter().map(|example| &example.request).collect();
    let answered = split_on_out_of_memory(model, &requests, mode).unwrap();
    answered.answers.into_iter().map(|answer| answer.unwrap().label).collect()
}

/// At most this share of the labels differs.
fn agree(labels: &[usize], expected: &[usize], share: f64, task: Task) {
    let differ = labels.iter().zip(expected).filter(|(label, expected)| label != expected).count();
    assert!(differ as f64 <= share * expected.len() as f64, "{task}: {differ} of {} labels differ", expected.len());
}

/// Reduced precisions answer mostly as the full one does.
fn check_precisions(Subject { task, mut model, examples }: Subject) {
    let modalities = ModalitySet::all(model.spec().modalities.len());
    let expected = labels(model.as_mut(), &examples, Mode::full(modalities));
    for precision in model.precisions().to_vec() {
        agree(&labels(model.as_mut(), &examples, Mode { modalities, precision }), &expected, 0.1, task);
    }
}

/// One batch size in full precision, and what must be true of it on any device.
fn profiled(Subject { task, mut model, examples }: Subject) -> ProfileFile {
    let settings = Settings { batch_sizes: vec![4], min_runs: 3, max_runs: 3, ..Settings::default() };
    let profile = profiler::profile(model.as_mut(), &examples, &task.cut(), &settings, &mut |_| ()).unwrap();
    assert!(profile.memory.loaded_bytes > 0);
    // a later selection may find what it needs in pages that are there already
    assert!(profile.selections.iter().any(|selection| selection.batches[0].memory_bytes > 0), "{profile:?}");
    assert!(profile.selections.iter().all(|selection| selection.batches[0].latency_us.median > 0), "{profile:?}");
    profile
}

/// A stopwatch tells a time, and none longer than the clock beside it does.
fn check_stopwatch(Subject { mut model, examples, .. }: Subject) {
    let mode = Mode::full(ModalitySet::all(model.spec().modalities.len()));
    let blank = blank_request(model.spec());
    warm_up(model.as_mut(), &blank, &[mode]).unwrap();
    let clock = Instant::now();
    let stopwatch = Stopwatch::start(model.device()).unwrap();
    labels(model.as_mut(), &examples, mode);
    let (took, longest) = (stopwatch.stop().unwrap(), clock.elapsed());
    assert!(took > Duration::ZERO && took <= longest + Duration::from_millis(1), "{took:?} of {longest:?}");
}
