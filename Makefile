# `make` lists the targets. Each target installs what it needs, and fails with the name of a missing prerequisite.

# -f: bash does not expand words of ARGS such as a[0] as file name patterns.
SHELL := /bin/bash
.SHELLFLAGS := -feuo pipefail -c
.DEFAULT_GOAL := help

# Settings of the caller. Commands read them as environment variables ($$ENV), so that make and the shell never run them as
# code. ARGS is split at spaces. PYTHON is the interpreter for .venv, python3 by default. Another version recreates .venv.
PORT ?= 4566
USERS ?= 1000
SEED ?= 1
# More workers than cores, because an apply mostly waits: the provider takes 25 s for a queue. With more than 8 on two cores,
# functions start too late for Cognito's limit of 5 s.
WORKERS ?= 8
override SETTINGS := ENV PLAN ARGS PORT ALLOW_ORIGIN WORKERS USERS SEED KEEP PYTHON
$(foreach name,$(SETTINGS),$(eval override $(name) := $$(value $(name))))
export $(SETTINGS)

# With this variable set, each process would compile all Python modules again.
unexport PYTHONDONTWRITEBYTECODE

override VENV := .venv
override VENV_PYTHON := $(VENV)/bin/python
override READY := $(VENV)/.ready
override BASE_PYTHON := "$${PYTHON:-python3}"
override CLI := $(VENV)/bin/cognito-user-sync
override SCAN_VENV := .venv-scan
override SCAN_READY := $(SCAN_VENV)/.ready

NEED_PYTHON = { $(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; } 2> /dev/null || { echo "Python >= 3.11 is required ($(BASE_PYTHON) is $$($(BASE_PYTHON) --version 2> /dev/null || echo "not installed")): name another one, as in PYTHON=python3.12 make setup, or see https://www.python.org/downloads/" >&2; exit 1; }

# CHECKPOINT_DISABLE: without Terraform's request for its newest version.
NEED_TERRAFORM = found="$$(CHECKPOINT_DISABLE=1 terraform version 2> /dev/null | sed -nE '1s/^Terraform v//p' || :)"; printf '1.9\n%s\n' "$$found" | sort -V -C || { echo "terraform >= 1.9 is required (found $${found:-none}): install it from https://developer.hashicorp.com/terraform/install" >&2; exit 1; }

# For tests and checks on a machine that cannot reach the Terraform registry. On other machines, it sets nothing.
USE_PROVIDERS = providers="$$($(VENV_PYTHON) -m local_aws.offline.terraform_providers)" && eval "$$providers"

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z|-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# --- setup

$(READY): requirements/dev.txt
	@$(NEED_PYTHON)
	@$(NEED_TERRAFORM)
	$(BASE_PYTHON) -m venv --clear $(VENV)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

# If PYTHON has another version than .venv, pyvenv.cfg becomes newer than .ready, so that .venv is created again.
ifneq ($(PYTHON),)
$(READY): $(VENV)/pyvenv.cfg
$(VENV)/pyvenv.cfg: FORCE
	@[ "$$("$$PYTHON" --version 2>&1)" = "$$($(VENV_PYTHON) --version 2>&1)" ] || touch -c $@
FORCE:
endif

# A separate virtual environment, because checkov requires an old version of boto3.
$(SCAN_READY): requirements/scan.txt | $(READY)
	$(VENV_PYTHON) -m venv --clear $(SCAN_VENV)
	$(SCAN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/scan.txt
	@touch $@

.PHONY: setup
setup: $(READY) ## create the virtual environment .venv

# A script that runs the sources of this clone from any folder. `pip install .` would copy them.
$(CLI): $(READY)
	@printf '%s\n' '#!/bin/sh' 'clone="$$(cd "$$(dirname "$$0")/../.." && pwd)"' \
		'PYTHONPATH="$$clone/cli:$$clone/lambda_src" exec "$$clone/.venv/bin/python" -m cognito_user_sync_cli "$$@"' > $@
	@chmod +x $@

.PHONY: cli
cli: $(CLI) ## install the command line of this clone as .venv/bin/cognito-user-sync
	@echo "Ready: $(CLI) --help"

.PHONY: lock
lock: $(READY) ## update requirements/*.txt from the .in files, and the npm packages of tests/javascript
	$(VENV_PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet pip-tools
	for name in dev scan javascript; do \
		CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file "requirements/$$name.txt" "requirements/$$name.in"; \
	done
	$(VENV_PYTHON) -m tests.javascript

.PHONY: clean
clean: ## stop the local AWS, and delete all files that make creates, except Terraform state of AWS
	@for pid in $(wildcard .local/local-aws-*.pid); do port="$${pid##*-}"; $(VENV_PYTHON) -m local_aws down --port "$${port%.pid}"; done
	rm -rf $(VENV) $(SCAN_VENV) $(filter-out .local/acceptance,$(wildcard .local/*)) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- demo and local AWS

.PHONY: demo
demo: $(READY) ## run the end-to-end demo on the local AWS (KEEP=1 keeps it running until Ctrl-C)
	@$(VENV_PYTHON) -m demo $${KEEP:+--keep}

.PHONY: local-aws-up
local-aws-up: $(READY) ## start the local AWS (PORT=4566, ALLOW_ORIGIN=http://localhost:5173 for your own web app)
	@$(VENV_PYTHON) -m local_aws up --port "$$PORT" --allow-origin "$$ALLOW_ORIGIN"

.PHONY: local-aws-down
local-aws-down: $(READY) ## stop the local AWS (PORT=4566)
	@$(VENV_PYTHON) -m local_aws down --port "$$PORT"

.PHONY: local-aws-env
local-aws-env: $(READY) ## print export lines that make AWS tools and Terraform use the local AWS
	@$(VENV_PYTHON) -m local_aws env --port "$$PORT"

# --- tests and checks

# The four parts run at the same time, because test-integration waits for much of its time. Each prints its output at its end.
.PHONY: test
test: $(READY) ## run all tests
	@$(MAKE) --no-print-directory --jobs=4 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) test-unit test-terraform test-local-aws test-integration

# nice: the parts that call the local AWS have time limits, and the others have none.
.PHONY: test-unit
test-unit: $(READY) ## test the Python code (ARGS="-k words of a name")
	nice -n 19 $(VENV_PYTHON) -m pytest -p no:terraform -n 2 tests/unit $$ARGS

.PHONY: test-terraform
test-terraform: $(READY) ## test the Terraform code with mocked providers
	nice -n 19 $(VENV_PYTHON) -m pytest -p no:terraform tests/terraform $$ARGS

.PHONY: test-local-aws
test-local-aws: $(READY) ## test the local AWS
	$(VENV_PYTHON) -m pytest -p no:terraform tests/local_aws $$ARGS

.PHONY: test-integration
test-integration: $(READY) ## test the module on the local AWS with Terraform, also under faults and load
	$(USE_PROVIDERS) && $(VENV_PYTHON) -m pytest -p no:hypothesispytest -n "$$WORKERS" --dist loadfile --no-loadscope-reorder tests/faults tests/incidents tests/integration tests/acceptance --tf-binary="$$(command -v terraform)" $$ARGS

STORM = $(VENV_PYTHON) -m pytest -p no:terraform -p no:hypothesispytest tests/faults/test_storm.py

.PHONY: test-storm
test-storm: $(READY) ## test 300 sign-ups while 20 % of all AWS calls fail; a part of test-integration
	$(STORM)

.PHONY: storm
storm: $(READY) ## write the figures of USERS sign-ups under faults to docs/reliability.md (USERS=1000 SEED=1)
	$(STORM) -s --storm-users "$$USERS" --storm-seed "$$SEED" --storm-report docs/reliability.md

# test and check do not run these: they need an AWS account, and ACCEPTANCE_ACCOUNT as a confirmation.
.PHONY: acceptance
acceptance: $(READY) ## test the module in an AWS account, which costs cents: see docs/acceptance.md
	@$(NEED_TERRAFORM)
	@PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.acceptance

.PHONY: acceptance-clean
acceptance-clean: $(READY) ## delete the resources of an interrupted acceptance run
	@$(NEED_TERRAFORM)
	@PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.acceptance clean

.PHONY: mutants
mutants: $(READY) ## run mutation tests: each fault in a copy of the code must fail a test (ARGS=name ...)
	$(VENV_PYTHON) -m tests.mutants $$ARGS

.PHONY: bench
bench: $(READY) ## run the benchmarks, and write docs/benchmarks.md, docs/cost.md and the figures of README.md
	PYTHONPATH=lambda_src $(VENV_PYTHON) -m benchmarks

.PHONY: check
check: $(READY) $(SCAN_READY) ## check formatting, types, Terraform, generated docs, policies, dependencies and workflows
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) check-python check-words check-terraform check-docs check-scan check-policies

.PHONY: check-python
check-python: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy lambda_src cli local_aws demo benchmarks docs tests
	$(VENV_PYTHON) tests/check_lambda_imports.py

# In a copy, so that the lock file and the data directory of a deployment do not get the providers of these checks.
.PHONY: check-terraform
check-terraform: $(READY)
	terraform fmt -check -recursive
	@mkdir -p .local/validate && find .local/validate \( -name "*.tf" -o -name .terraform.lock.hcl \) -delete && cp -R $(wildcard *.tf) pyproject.toml modules examples emails .local/validate
	@$(USE_PROVIDERS) && export GOGC=off GOMEMLIMIT=1GiB TF_DATA_DIR="$$PWD/.local/terraform-data" && cd .local/validate && for folder in . $(wildcard examples/*/); do \
		echo "terraform validate: $$folder"; \
		terraform -chdir="$$folder" init -input=false -backend=false > /dev/null; \
		terraform -chdir="$$folder" validate; \
	done
	@$(VENV_PYTHON) -m tests.provider_schema

.PHONY: provider-schema
provider-schema: $(READY) ## update the AWS provider's schema for make check (requires a Terraform registry)
	@$(USE_PROVIDERS) && $(VENV_PYTHON) -m tests.provider_schema --renew

.PHONY: check-docs
check-docs: $(READY)
	@$(VENV_PYTHON) -m docs.generate --check
	@$(VENV_PYTHON) -m docs.demo_picture --check
	@PYTHONPATH=lambda_src $(VENV_PYTHON) -m benchmarks.pages --check

.PHONY: check-words
check-words: $(READY)
	@$(VENV_PYTHON) tests/check_words.py

.PHONY: check-scan
check-scan: $(SCAN_READY)
	@$(SCAN_VENV)/bin/python tests/check_terraform_scan.py
	@$(SCAN_VENV)/bin/python tests/check_dependencies.py
	@$(SCAN_VENV)/bin/zizmor --offline --strict-collection --quiet .github

.PHONY: check-policies
check-policies: $(SCAN_READY)
	@$(VENV_PYTHON) -m tests.rendered_policies | $(SCAN_VENV)/bin/python tests/check_policies.py

.PHONY: docs
docs: $(READY) ## write the generated parts of README.md, docs/ and modules/*/README.md
	$(VENV_PYTHON) -m docs.generate
	$(VENV_PYTHON) -m docs.demo_picture
	PYTHONPATH=lambda_src $(VENV_PYTHON) -m benchmarks.pages
	PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.acceptance.facts
	PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.errors

.PHONY: fmt
fmt: $(READY) ## format all code
	terraform fmt -recursive
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# --- deployment: each file in environments/ has a Terraform workspace, and so a state

# These targets do not use USE_PROVIDERS: with the caller's credentials, only Terraform selects the providers.

override ENVIRONMENTS := $(patsubst environments/%.tfvars,%,$(wildcard environments/*.tfvars))

.PHONY: known-environment
known-environment:
	@for name in $(ENVIRONMENTS); do if [ "$$name" = "$$ENV" ]; then exit; fi; done; \
	echo "ENV is \"$$ENV\": it must be one of $(ENVIRONMENTS), as in: make plan ENV=$(firstword $(ENVIRONMENTS))" >&2; exit 1

# Value of a variable in $tfvars: in quotes, in one line that is not indented.
value_of = sed -nE 's/^$(1)[[:space:]]*=[[:space:]]*"([^"]*)".*/\1/p' "$$tfvars"

# Each environment has a workspace. The local AWS has separate ones, because it keeps no resources. TF_WORKSPACE would
# override the workspace.
define use_workspace
	tfvars="environments/$$ENV.tfvars"; workspace="$$ENV"; \
	case "$${AWS_ENDPOINT_URL:-}" in http://127.0.0.1:*) workspace="$$ENV-local-$${AWS_ENDPOINT_URL##*:}";; esac; \
	stage="$$($(call value_of,stage))"; \
	if [ "$$stage" != "$$ENV" ]; then echo "$$tfvars has stage = \"$$stage\": it must be \"$$ENV\", the name of the file" >&2; exit 1; fi; \
	if [ "$${TF_WORKSPACE:-$$workspace}" != "$$workspace" ]; then echo "TF_WORKSPACE is $$TF_WORKSPACE: using $$workspace, the workspace of $$tfvars" >&2; fi; \
	unset TF_WORKSPACE
endef

# The provider mirror of the local AWS contains a replacement of the archive provider, which must not run with AWS credentials.
NEED_OWN_PROVIDERS = case "$${TF_CLI_CONFIG_FILE:-} $${AWS_ENDPOINT_URL:-}" in "$$PWD/.local/"*" http://127.0.0.1:"*) ;; "$$PWD/.local/"*) echo "TF_CLI_CONFIG_FILE is $$TF_CLI_CONFIG_FILE, of the local AWS, and AWS_ENDPOINT_URL is \"$${AWS_ENDPOINT_URL:-}\": unset TF_CLI_CONFIG_FILE and TF_DATA_DIR to deploy to AWS, or set both as local-aws-env prints them" >&2; exit 1;; esac

# Requires only Terraform, not Python.
define select_environment
	$(NEED_TERRAFORM); \
	$(NEED_OWN_PROVIDERS); \
	$(use_workspace); \
	pool="$$($(call value_of,user_pool_id))"; \
	region="$${pool%%_*}"; \
	if [ "$$region" = "$$pool" ]; then echo "$$tfvars has no user_pool_id with a region: it must have a line like user_pool_id = \"eu-west-1_AbCdEfGhI\"" >&2; exit 1; fi; \
	for name in AWS_REGION AWS_DEFAULT_REGION; do \
		if [ -n "$${!name:-}" ] && [ "$${!name}" != "$$region" ]; then echo "$$name is $${!name}: using $$region, the region of the pool in $$tfvars" >&2; fi; \
	done; \
	export AWS_REGION="$$region" AWS_DEFAULT_REGION="$$region"; \
	terraform init -input=false > /dev/null; \
	terraform workspace select -or-create=true "$$workspace"
endef

.PHONY: plan
plan: known-environment ## show the plan of an environment, with a summary (ENV=dev, PLAN=file to save it, ARGS=...)
	@$(select_environment); given="$${ARGS:+ ARGS='$$ARGS'}"; [ -z "$$PLAN" ] || given=" PLAN=$$PLAN"; \
	terraform plan -var-file="$$tfvars" $${PLAN:+"-out=$$PLAN"} $$ARGS | environments/show_plan.sh "$$ENV" "make apply ENV=$$ENV$$given"

.PHONY: apply
apply: known-environment ## deploy an environment (ENV=dev, PLAN=saved plan, ARGS=...)
	@$(select_environment); terraform apply "$${PLAN:--var-file=$$tfvars}" $$ARGS

override GUARD := module.pool_trigger[0].aws_lambda_invocation.guard
override POOL_TRIGGER := module.pool_trigger[0].module.function.aws_lambda_function.this

.PHONY: destroy
destroy: known-environment ## detach the trigger and delete an environment (ENV=dev)
	@$(select_environment); \
	terraform destroy -var-file="$$tfvars" $$ARGS || { \
		status="$$?"; state="$$(terraform state list)"; \
		if [[ "$$state" == *"$(GUARD)"* && "$$state" != *"$(POOL_TRIGGER)"* ]]; then \
			echo "The function that detaches the trigger from the pool was deleted. Create it again, then destroy:" >&2; \
			echo "make apply ENV=$$ENV ARGS='-target=module.pool_trigger[0].module.function'" >&2; \
		fi; \
		exit "$$status"; \
	}

override TABLE := module.user_table.aws_dynamodb_table.this[0]

.PHONY: release-table
release-table: known-environment $(READY) ## disable the deletion protection of an environment's table, so that destroy deletes it (ENV=dev)
	@$(select_environment); \
	table="$$(terraform state show -no-color '$(TABLE)' | sed -nE 's/^    name +=  *"([^"]+)"$$/\1/p')"; \
	$(VENV_PYTHON) -c 'import boto3, sys; boto3.client("dynamodb").update_table(TableName=sys.argv[1], DeletionProtectionEnabled=False)' "$$table"; \
	echo "The deletion protection of the table $$table is disabled until the next apply. To delete the table: make destroy ENV=$$ENV"

.PHONY: reconcile
reconcile: known-environment $(CLI) ## run the reconciliation of an environment, and wait for its end (ENV=dev, ARGS="--allow-deletes 500")
	@$(use_workspace); \
	terraform workspace select "$$workspace" > /dev/null; \
	$(CLI) reconcile $$ARGS

# A data source creates the zip file, so a plan creates it, without credentials.
.PHONY: package
package: $(READY) ## create the functions' zip file in build/, with the same Terraform code as apply
	@$(NEED_TERRAFORM); \
	$(NEED_OWN_PROVIDERS); \
	rm -rf build; \
	terraform -chdir=modules/package init -input=false > /dev/null; \
	terraform -chdir=modules/package plan -input=false -lock=false -target=data.archive_file.this -var=name=functions -var=directory="$$PWD/build" -var=source_dir="$$PWD/lambda_src" > /dev/null; \
	$(VENV_PYTHON) -c 'import hashlib, pathlib; [print(f"{zip.stat().st_size:>7} bytes  sha256 {hashlib.sha256(zip.read_bytes()).hexdigest()}  {zip}") for zip in pathlib.Path("build").glob("*.zip")]'
