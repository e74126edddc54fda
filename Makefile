# Everything that one does with kvasm, for a fresh Debian or Ubuntu with Rust, a C compiler and make.
# `make` lists the targets.

# rustup's directory, for shells that have not read its profile yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

PORT ?= 6379
DIR ?= ./data
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run build guests test soak lint bench

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: build ## build and serve 127.0.0.1:6379 with data in ./data (PORT=, DIR=, ARGS="--appendfsync always")
	@exec target/release/kvasm --dir $(DIR) --port $(PORT) $(ARGS)

build: ## build target/release/kvasm
	@scripts/setup build
	cargo build --release --locked --package kvasm

guests: ## compile the example procedures to target/guests/*.wasm
	@scripts/setup test
	@scripts/build-guests

test: guests ## run all tests
	@scripts/setup-clients
	cargo test --workspace --locked

soak: guests ## run the crash and differential tests for long
	@scripts/setup-clients
	KVASM_SOAK=1 cargo test --release --locked --package kvasm-tests

lint: ## check format, lints, documentation and dependencies
	@scripts/setup build
	@scripts/lint

bench: build guests ## compare with redis-server and write bench/README.md (ARGS="--quick")
	cargo run --release --locked --package kvasm-bench -- $(ARGS)
