# Everything a person or CI runs. `make` lists it. Needs rustup, python3 (3.11) with pip, npm and a C++ compiler.
# Only the release profile is ever built: wasmtime and torch-sys take minutes, and a second profile compiles them again.

CARGO_FLAGS := --release --workspace --locked
SETUP := python3 models/setup/setup.py
MOSEL := target/release/mosel
banner = @printf '\n== %s\n'

# Recipes share one target folder and one cache, so there is nothing to gain from -j; cargo uses all cores itself.
.NOTPARALLEL:
DOOM_CLIPS := 1024
.PHONY: help setup setup-cuda build demo demo-video serve bench figures train test measures parity verify-exact test-cuda

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: ## Fetch libtorch, data and towers once a machine (0.8 GB to fetch, 0.7 GB kept); instant afterwards
	@$(SETUP)

setup-cuda: ## The same with the libraries for NVIDIA GPUs (2 GB more); nothing needs to be rebuilt after it
	@$(SETUP) --cuda

build: setup ## Build target/release/mosel, and mosel-torch beside it
	$(banner) "build"
	cargo build --release --locked -p mosel

demo: build ## Set up, build and show the demo: the only command a fresh clone needs
	$(MOSEL) demo

demo-video: build ## The demo with video and sound of a simulated world, and a page that shows them (records for minutes, once)
	$(SETUP) doom --clips $(DOOM_CLIPS)
	$(MOSEL) demo --model doom-tvlt --page target/demo-video.html

serve: build ## Serve
	$(MOSEL) serve

bench: build ## Measure
	$(MOSEL) bench

figures: build ## Draw the paper's figures into docs/figures, simulated from measured profiles
	$(MOSEL) bench figures

train: build ## Train the models from their data
	$(MOSEL) train

# What fails fastest comes first. clippy and the tests share build scripts, so torch-sys compiles its C++ once.
test: setup ## All that CI checks
	$(banner) "format"
	cargo fmt --check
	$(banner) "set-up's own tests"
	python3 -B models/setup/test_setup.py
	$(banner) "the Python policy's own tests"
	python3 -B policies/examples/fair-share/test_fair_share.py
	$(banner) "lints"
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	$(banner) "the core is pure: it compiles where there is no clock, socket or thread"
	cargo check -p mosel-core --release --locked --target wasm32-unknown-unknown
	$(banner) "a few clips of the simulated world, for tests"
	$(SETUP) doom-sample
	$(banner) "tests, and every command of the documentation"
	MOSEL_TEST_DOCS=all cargo test $(CARGO_FLAGS)

# Each prints what it saw beside its aim. SOAK_SECONDS=1800 for the whole soak.
SOAK_SECONDS := 120
MEASURES := health connections pause hung_batch neighbors bad_pictures outputs fuzz_requests fuzz_media
measures: build ## Measure what strangers, faults and neighbors do to a server (docs/results/trust.md)
	@for measure in $(MEASURES); do python3 -B tests/measures/$$measure.py || failed=1; done; \
	python3 -B tests/measures/soak.py --seconds $(SOAK_SECONDS) && [ -z "$$failed" ]

parity: setup ## Compare TVLT, ViLT and TBN at full size with the published implementations (fetches PyTorch)
	$(banner) "parity"
	python3 -B models/parity/parity.py

verify-exact: ## Compare the policy exact with an independent solver, HiGHS, on large queues (fetches it)
	python3 -B policies/exact/verify/verify.py

# These tests are #[ignore]d and have cuda in their name; the variable says that a missing GPU is a failure.
test-cuda: setup-cuda ## The tests that need an NVIDIA GPU
	$(banner) "tests on the GPU"
	MOSEL_TEST_CUDA=1 cargo test $(CARGO_FLAGS) -- --ignored cuda
