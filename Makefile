# make help says what there is.
#   PYTHON=3.12     only that Python's tools (each builds its own .venv/VERSION)
#   SCENARIO=name   one Molecule scenario
#   LAB_NAME=name   another lab than the default one

.DEFAULT_GOAL := help
RUN = tests/run $(if $(PYTHON),--python $(PYTHON))
export LAB_NAME PYTHON

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 26

.PHONY: demo down lab
demo: ## a cluster in the lab, and how it survives its director's end
	tests/with-lab --again lab/demo

lab: ## a Docker engine whose kernel has IPVS and Coda; `lab/lab env` tells how to reach it
	lab/lab up

down: ## end every lab of this machine
	lab/lab down --all

.PHONY: test lint unit sanity sanity-core molecule gone native docs
test: ## all checks and all scenarios
	@$(RUN)

lint: ## yamllint, ansible-lint, ruff, mypy, shellcheck, codespell, proselint, changelog fragments, galaxy-importer, actionlint, docs
	@$(RUN) lint

unit: ## pytest and hypothesis
	@$(RUN) unit

sanity: ## ansible-test sanity
	@$(RUN) sanity

sanity-core: ## CORE=2.18: ansible-test sanity with that ansible-core (or devel)
	tests/sanity-core $(CORE)

gone: ## what a command is told when its lab dies under it
	@$(RUN) gone

native: ## SCENARIO=name (ipvs): make demo and that scenario on a machine's own engine, which is the lab's guest
	tests/native $(SCENARIO)

molecule: ## SCENARIO=name: that scenario; else all, in up to three labs
	@$(RUN) $(if $(SCENARIO),--scenario $(SCENARIO),molecule)

docs: ## the documentation site, in build/docs
	website/build


.PHONY: chaos bench-checks bench-coda bench-coda-survival bench-failover bench-interrupted bench-ipvs bench-preflight bench-second-run machines
bench-checks: ## how soon ldirectord and keepalived take dead real servers out, and what that costs (hours)
	tests/with-lab benchmarks/checks

bench-coda: ## the thesis's file tests on Coda, NFS and a local disk
	tests/with-lab benchmarks/coda_files

bench-coda-survival: ## what becomes of changes on a Coda client when cables are pulled and machines die (1 h)
	tests/with-lab benchmarks/coda_survival

chaos: ## MINUTES=60 SEED=n: random faults, alone and in pairs, and whether the cluster is whole after each
	tests/with-lab benchmarks/chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

machines: ## a cluster of five machines with kernels of their own, and what clients miss when one fails (20 min)
	tests/with-lab benchmarks/machines

bench-failover: ## what clients see when a director loses power, here and with keepalived and Pacemaker (8 h)
	tests/with-lab benchmarks/failover

bench-interrupted: ## whether the next run mends a site.yml that was killed half-way
	tests/with-lab benchmarks/interrupted

bench-ipvs: ## what the module ipvs costs, against ipvsadm
	tests/with-lab benchmarks/ipvs

bench-preflight: ## what preflight and the plan of a large inventory cost, against parsing its YAML
	"$$(tests/venv $(PYTHON))"/bin/python benchmarks/preflight

bench-second-run: ## what a run that changes nothing costs, against gathering facts
	tests/with-lab benchmarks/second_run

.PHONY: venv build release release-check clean
venv: ## the tools, in .venv/VERSION
	@tests/venv $(PYTHON)

build: ## the collection's tarball, in build/
	"$$(tests/venv $(PYTHON))"/bin/ansible-galaxy collection build --force --output-path build

release: ## VERSION=1.2.3: make this checkout that release, to be looked at and committed
	tests/release $(VERSION)

release-check: ## VERSION=1.2.3: whether this checkout is that release
	tests/release --check $(VERSION)

clean: ## remove what the tools made
	rm -rf .venv build .ansible .hypothesis
