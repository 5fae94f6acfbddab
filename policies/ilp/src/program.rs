//! The program: a binary variable for each strategy of each row, and microlp to solve it.

use std::time::Duration;

use microlp::{
    ComparisonOp, LinearExpr, OptimizationDirection, Problem, Solution, SolutionStatus, SolveOptions, SolveOutcome,
    Variable,
};
use mosel_sdk::Micros;

use crate::options::RowOptions;

/// How long the solver may go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) nodes: u64,
    pub(crate) time: Micros,
}

/// What the solver found out.
#[derive(Debug)]
pub(crate) struct Solved {
    /// The best answer it met, if any; by the solver's arithmetic, which is not exact.
    pub(crate) chosen: Option<Vec<u32>>,
    /// No answer is worth more.
    pub(crate) bound: Option<f64>,
    /// The answer was proven to be worth the most.
    pub(crate) optimal: bool,
}

/// What the solver finds out within its limits, with an answer that is known to start from; `None` if it fails.
pub(crate) fn solve(options: &RowOptions, known: &[u32], limits: Limits) -> Option<Solved> {
    let program = Program::new(options);
    let mut options = SolveOptions::default();
    options.node_limit = Some(limits.nodes);
    options.time_limit = Some(Duration::from_micros(limits.time));
    options.warm_start = Some(program.hint(known));
    let outcome = program.problem.solve_with(options).ok()?;
    let bound = outcome.stats().best_bound.map(|bound| program.least_worth + bound * program.scale);
    Some(match outcome {
        SolveOutcome::Solution(solution) => {
            let optimal = solution.status() == SolutionStatus::Optimal;
            Solved { chosen: Some(program.read(&solution)), bound, optimal }
        }
        SolveOutcome::Interrupted(_) => Solved { chosen: None, bound, optimal: false },
    })
}

/// Maximises what rows are worth above their fastest open strategies, in the extra time that those leave.
///
/// Extra time is added up from deadline to deadline in variables of their own, "taken up to here = taken up to the
/// deadline before + what the rows between take", whose upper bounds are the deadlines. Written out, every deadline would
/// be a dense sum over all rows before it, which the solver is slower with from some twenty rows on.
struct Program<'a> {
    options: &'a RowOptions<'a>,
    problem: Problem,
    /// The rows with a choice, each with a variable for every open strategy.
    picks: Vec<(usize, Vec<Variable>)>,
    /// What rows are worth on their fastest open strategies.
    least_worth: f64,
    /// What 1 in the objective is worth.
    scale: f64,
    /// A microsecond is this much in the constraints.
    micro: f64,
}

impl Program<'_> {
    fn new<'a>(options: &'a RowOptions<'a>) -> Program<'a> {
        let rows = 0..options.rows();
        let program = Program {
            options,
            problem: Problem::new(OptimizationDirection::Maximize),
            picks: Vec::new(),
            least_worth: rows.clone().map(|row| options.worth(row, options.open(row)[0])).sum(),
            scale: rows.map(|row| options.importance(row)).fold(f64::MIN_POSITIVE, f64::max),
            micro: micro(options),
        };
        program.filled()
    }

    fn filled(mut self) -> Self {
        let mut taken = LinearExpr::empty();
        for row in 0..self.options.rows() {
            if self.options.open(row).len() > 1 {
                self.add_choice(row, &mut taken);
            }
            if let Some(spare) = self.options.spare(row) {
                taken = self.add_deadline(taken, spare);
            }
        }
        self
    }

    /// One strategy for a row; the extra time it takes joins what is taken.
    fn add_choice(&mut self, row: usize, taken: &mut LinearExpr) {
        let options = self.options;
        let least = options.worth(row, options.open(row)[0]);
        let mut one = LinearExpr::empty();
        let add = |&strategy: &u32| {
            let pick = self.problem.add_binary_var((options.worth(row, strategy) - least) / self.scale);
            one.add(pick, 1.0);
            taken.add(pick, options.extra(row, strategy) as f64 * self.micro);
            pick
        };
        let picks = options.open(row).iter().map(add).collect();
        self.picks.push((row, picks));
        self.problem.add_constraint(one, ComparisonOp::Eq, 1.0);
    }

    /// No more than this may be taken; what follows adds to a variable that stands for it.
    fn add_deadline(&mut self, mut taken: LinearExpr, spare: Micros) -> LinearExpr {
        // Times are whole microseconds: half of one more lets no other answer in, and keeps round-off from shutting one out.
        let most = (spare as f64 + 0.5) * self.micro;
        let so_far = self.problem.add_var(0.0, (0.0, most));
        taken.add(so_far, -1.0);
        self.problem.add_constraint(taken, ComparisonOp::Eq, 0.0);
        let mut next = LinearExpr::empty();
        next.add(so_far, 1.0);
        next
    }

    fn hint(&self, chosen: &[u32]) -> Vec<(Variable, f64)> {
        let of_row = |(row, picks): &(usize, Vec<Variable>)| {
            let strategies = self.options.open(*row).iter();
            let picked = strategies.map(|&strategy| if strategy == chosen[*row] { 1.0 } else { 0.0 });
            picks.iter().copied().zip(picked).collect::<Vec<_>>()
        };
        self.picks.iter().flat_map(of_row).collect()
    }

    fn read(&self, solution: &Solution) -> Vec<u32> {
        let mut chosen = self.options.best();
        for (row, picks) in &self.picks {
            let picked = picks.iter().position(|&pick| solution.var_value(pick) > 0.5);
            chosen[*row] = self.options.open(*row)[picked.unwrap_or(0)];
        }
        chosen
    }
}

/// Milliseconds, or more where a strategy takes so long that its time would be above a million: the solver wants numbers
/// within six orders of magnitude.
fn micro(options: &RowOptions) -> f64 {
    const LARGEST: f64 = 1e6;
    let longest =
        (0..options.rows()).flat_map(|row| options.open(row).iter().map(move |&strategy| options.extra(row, strategy)));
    let longest = longest.max().unwrap_or(0) as f64;
    (LARGEST / longest.max(1.0)).min(1e-3)
}
