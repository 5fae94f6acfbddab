//! The command line: one subcommand a task.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bench, explain, libtorch, log, models, policy, profile, reference, serve, submit, token, train};

/// Serves multimodal models under deadlines, dropping modalities by policy.
#[derive(Debug, Parser)]
#[command(name = "mosel", bin_name = "mosel", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve models over HTTP.
    Serve(serve::Serve),
    /// Submit one job and print what came of it.
    Submit(submit::SubmitArgs),
    /// Serve real held-out inputs under overload, without and with modality selection.
    Demo(mosel_eval::demo::DemoArgs),
    /// Train models of the zoo.
    Train(train::TrainArgs),
    /// Measure models on this machine.
    Profile(profile::ProfileArgs),
    /// Measure the server.
    Bench(bench::BenchArgs),
    /// Simulate a server under a workload, in virtual time.
    Simulate(mosel_eval::simulate::SimulateArgs),
    /// Run a journal through the scheduler once more, or its traffic under other conditions.
    Replay(mosel_eval::replay::ReplayArgs),
    /// Explain what was decided about a job, and why.
    Explain(explain::ExplainArgs),
    /// Write, check, measure, push and use scheduling policies.
    Policy(policy::PolicyArgs),
    /// Make tokens: who may do what on a server.
    Token(token::TokenArgs),
    /// List the models of this machine, add and remove one's own.
    Models(models::ModelsArgs),
    /// Print a page of the documentation that is made from the code.
    #[command(hide = true)]
    Reference(reference::ReferenceArgs),
}

impl Cli {
    /// Starts the log, which a server never waits for.
    pub(crate) fn start_log(&self) -> anyhow::Result<()> {
        if !matches!(self.command, Command::Serve(_)) {
            log::start();
            return Ok(());
        }
        log::ignore_signals_of_outputs();
        Ok(log::start_queue()?)
    }

    /// Does what the command line says; with what the process ends then.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        if self.command.computes() {
            libtorch::require()?;
        }
        match self.command {
            Command::Serve(serve) => return serve.run(),
            Command::Submit(submit) => submit::run(&submit),
            Command::Demo(demo) => mosel_eval::demo::run(&demo),
            Command::Train(train) => train::run(&train),
            Command::Profile(profile) => profile::run(&profile),
            Command::Bench(bench) => bench::run(bench),
            Command::Simulate(simulate) => mosel_eval::simulate::run(&simulate),
            Command::Replay(replay) => mosel_eval::replay::run(&replay),
            Command::Explain(explain) => explain::run(&explain),
            Command::Policy(policy) => policy::run(policy),
            Command::Token(token) => token::run(token),
            Command::Models(models) => models::run(&models),
            Command::Reference(reference) => {
                reference::run(&reference, &<Cli as clap::CommandFactory>::command());
                Ok(())
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Command {
    /// It runs models in this process, whatever its configuration says: it needs libtorch.
    fn computes(&self) -> bool {
        match self {
            Command::Demo(_) | Command::Train(_) | Command::Profile(_) => true,
            Command::Models(models) => models.computes(),
            Command::Bench(bench) => bench.computes(),
            _ => false,
        }
    }
}
