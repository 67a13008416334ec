# `make` lists the targets. Each sets up what it needs; a missing prerequisite is named.

# -f: words of ARGS such as a[0] are not patterns of file names.
SHELL := /bin/bash
.SHELLFLAGS := -feuo pipefail -c
.DEFAULT_GOAL := help

# What a caller may set. It reaches commands as environment variables ($$ENV), never as text that make or the shell would
# run. ARGS is split at spaces. PYTHON, python3 by default, makes .venv, and makes it again if its version is another one.
PORT ?= 4566
USERS ?= 1000
SEED ?= 1
# More than cores, since an apply mostly waits: the provider takes 25 s for a queue. But two cores are busy with 8: with more,
# functions start too late for Cognito's 5 s.
WORKERS ?= 8
override SETTINGS := ENV PLAN ARGS PORT ALLOW_ORIGIN WORKERS USERS SEED KEEP PYTHON
$(foreach name,$(SETTINGS),$(eval override $(name) := $$(value $(name))))
export $(SETTINGS)

# Each run would compile all modules again, in every process.
unexport PYTHONDONTWRITEBYTECODE

override VENV := .venv
override VENV_PYTHON := $(VENV)/bin/python
override READY := $(VENV)/.ready
override BASE_PYTHON := "$${PYTHON:-python3}"
override CLI := $(VENV)/bin/cognito-user-sync
override SCAN_VENV := .venv-scan
override SCAN_READY := $(SCAN_VENV)/.ready

NEED_PYTHON = { $(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; } 2> /dev/null || { echo "Python >= 3.11 is required ($(BASE_PYTHON) is $$($(BASE_PYTHON) --version 2> /dev/null || echo "not installed")): name another one, as in PYTHON=python3.12 make setup, or see https://www.python.org/downloads/" >&2; exit 1; }

# Without the request by which Terraform looks for its newest version.
NEED_TERRAFORM = found="$$(CHECKPOINT_DISABLE=1 terraform version 2> /dev/null | sed -nE '1s/^Terraform v//p' || :)"; printf '1.9\n%s\n' "$$found" | sort -V -C || { echo "terraform >= 1.9 is required (found $${found:-none}): install it from https://developer.hashicorp.com/terraform/install" >&2; exit 1; }

# For tests and checks: sets what terraform needs on a machine that cannot reach the registry, and nothing elsewhere.
USE_PROVIDERS = providers="$$($(VENV_PYTHON) -m local_aws.terraform_providers)" && eval "$$providers"

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z|-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

# --- set-up

$(READY): requirements/dev.txt
	@$(NEED_PYTHON)
	@$(NEED_TERRAFORM)
	$(BASE_PYTHON) -m venv --clear $(VENV)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@touch $@

# It becomes newer than .ready if the caller names an interpreter of another version.
ifneq ($(PYTHON),)
$(READY): $(VENV)/pyvenv.cfg
$(VENV)/pyvenv.cfg: FORCE
	@[ "$$("$$PYTHON" --version 2>&1)" = "$$($(VENV_PYTHON) --version 2>&1)" ] || touch -c $@
FORCE:
endif

# A virtual environment of its own: checkov pins boto3 to an old version.
$(SCAN_READY): requirements/scan.txt | $(READY)
	$(VENV_PYTHON) -m venv --clear $(SCAN_VENV)
	$(SCAN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/scan.txt
	@touch $@

.PHONY: setup
setup: $(READY) ## make the virtual environment .venv

# The sources of this clone, wherever it is called from; `pip install .` would copy them.
$(CLI): $(READY)
	@printf '%s\n' '#!/bin/sh' 'clone="$$(cd "$$(dirname "$$0")/../.." && pwd)"' \
		'PYTHONPATH="$$clone/cli:$$clone/lambda_src" exec "$$clone/.venv/bin/python" -m cognito_user_sync_cli "$$@"' > $@
	@chmod +x $@

.PHONY: cli
cli: $(CLI) ## the command line of this clone, as .venv/bin/cognito-user-sync
	@echo "Ready: $(CLI) --help"

.PHONY: lock
lock: $(READY) ## renew requirements/*.txt from the .in files, and the npm packages of tests/javascript
	$(VENV_PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet pip-tools
	for name in dev scan javascript; do \
		CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file "requirements/$$name.txt" "requirements/$$name.in"; \
	done
	$(VENV_PYTHON) -m tests.javascript

.PHONY: clean
clean: ## stop the local AWS, and remove what these targets made (never the state of a deployment to AWS)
	@for pid in $(wildcard .local/local-aws-*.pid); do port="$${pid##*-}"; $(VENV_PYTHON) -m local_aws down --port "$${port%.pid}"; done
	rm -rf $(VENV) $(SCAN_VENV) $(filter-out .local/acceptance,$(wildcard .local/*)) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- the main job on a laptop

.PHONY: demo
demo: $(READY) ## end-to-end demo on the local AWS (KEEP=1 keeps it running until Ctrl-C)
	@$(VENV_PYTHON) -m demo $${KEEP:+--keep}

.PHONY: local-aws-up
local-aws-up: $(READY) ## start the local AWS (PORT=4566, ALLOW_ORIGIN=http://localhost:5173 for your own web app)
	@$(VENV_PYTHON) -m local_aws up --port "$$PORT" --allow-origin "$$ALLOW_ORIGIN"

.PHONY: local-aws-down
local-aws-down: $(READY) ## stop it
	@$(VENV_PYTHON) -m local_aws down --port "$$PORT"

.PHONY: local-aws-env
local-aws-env: $(READY) ## print the export lines under which AWS tools and terraform talk to it
	@$(VENV_PYTHON) -m local_aws env --port "$$PORT"

# --- tests and checks

.PHONY: test
test: test-unit test-terraform test-integration ## every test

.PHONY: test-unit
test-unit: $(READY) ## the Python code, and the local AWS itself (ARGS="-k words of a name")
	$(VENV_PYTHON) -m pytest -p no:terraform -n 2 tests/unit tests/local_aws $$ARGS

.PHONY: test-terraform
test-terraform: $(READY) ## the Terraform code: its variables, and terraform test with mocked providers
	$(VENV_PYTHON) -m pytest -p no:terraform tests/terraform $$ARGS

.PHONY: test-integration
test-integration: $(READY) ## the module on the local AWS, by the real Terraform, under faults and in a storm
	$(USE_PROVIDERS) && $(VENV_PYTHON) -m pytest -p no:hypothesispytest -n "$$WORKERS" --dist loadfile --no-loadscope-reorder tests/faults tests/incidents tests/integration tests/acceptance --tf-binary="$$(command -v terraform)" $$ARGS

STORM = $(VENV_PYTHON) -m pytest -p no:terraform -p no:hypothesispytest tests/faults/test_storm.py

.PHONY: test-storm
test-storm: $(READY) ## 300 sign-ups while 20 % of all calls fail: a part of test-integration
	$(STORM)

.PHONY: storm
storm: $(READY) ## USERS sign-ups while 20 % of all calls fail (USERS=1000 SEED=1); writes its figures to docs/reliability.md
	$(STORM) -s --storm-users "$$USERS" --storm-seed "$$SEED" --storm-report docs/reliability.md

# Neither test nor check runs these: they need an AWS account, and ACCEPTANCE_ACCOUNT to confirm it.
.PHONY: acceptance
acceptance: $(READY) ## the main job in a real AWS account, which costs cents; see docs/acceptance.md
	@$(NEED_TERRAFORM)
	@PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.acceptance

.PHONY: acceptance-clean
acceptance-clean: $(READY) ## delete what an interrupted acceptance run left in the AWS account
	@$(NEED_TERRAFORM)
	@PYTHONPATH=cli:lambda_src $(VENV_PYTHON) -m tests.acceptance clean

.PHONY: mutants
mutants: $(READY) ## put deliberate faults into a copy and show the test that finds each (ARGS=name ...)
	$(VENV_PYTHON) -m tests.mutants $$ARGS

.PHONY: bench
bench: $(READY) ## sign-ups, cold starts, reconciliation and costs; writes docs/benchmarks.md, docs/cost.md, README.md's figures
	PYTHONPATH=lambda_src $(VENV_PYTHON) -m benchmarks

.PHONY: check
check: $(READY) $(SCAN_READY) ## format, lint, types, validate, provider schema, imports, generated docs, checkov, parliament, pip-audit, zizmor
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) check-python check-terraform check-docs check-scan check-policies

.PHONY: check-python
check-python: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy lambda_src cli local_aws demo benchmarks docs tests
	$(VENV_PYTHON) tests/check_lambda_imports.py

# In a copy, so that neither the lock file nor the data directory of a deployment names the providers that are used here.
.PHONY: check-terraform
check-terraform: $(READY)
	terraform fmt -check -recursive
	@mkdir -p .local/validate && find .local/validate -name "*.tf" -delete && cp -R $(wildcard *.tf) pyproject.toml modules examples emails .local/validate
	@$(USE_PROVIDERS) && export GOGC=off GOMEMLIMIT=1GiB TF_DATA_DIR="$$PWD/.local/terraform-data" && cd .local/validate && for folder in . $(wildcard examples/*/); do \
		echo "terraform validate: $$folder"; \
		terraform -chdir="$$folder" init -input=false -backend=false > /dev/null; \
		terraform -chdir="$$folder" validate; \
	done
	@$(VENV_PYTHON) -m tests.provider_schema

.PHONY: provider-schema
provider-schema: $(READY) ## renew the AWS provider's schema that make check compares with (needs a registry)
	@$(USE_PROVIDERS) && $(VENV_PYTHON) -m tests.provider_schema --renew

.PHONY: check-docs
check-docs: $(READY)
	@$(VENV_PYTHON) -m docs.generate --check
	@$(VENV_PYTHON) -m docs.demo_picture --check
	@PYTHONPATH=lambda_src $(VENV_PYTHON) -m benchmarks.pages --check

# Not a part of check yet.
.PHONY: check-words
check-words: $(READY) ## find words of the old vocabulary ([tool.words] in pyproject.toml) in all tracked text files
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
docs: $(READY) ## write the generated parts of README.md and docs/
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

# --- deploying: one workspace, and so one state, for each file in environments/

# Terraform alone decides where its providers come from: with a caller's credentials, no other is run.

override STAGES := $(patsubst environments/%.tfvars,%,$(wildcard environments/*.tfvars))

.PHONY: known-stage
known-stage:
	@for stage in $(STAGES); do if [ "$$stage" = "$$ENV" ]; then exit; fi; done; \
	echo "ENV is \"$$ENV\": it must be one of $(STAGES), as in: make plan ENV=$(firstword $(STAGES))" >&2; exit 1

.PHONY: known-keys
known-keys: known-stage
	@$(NEED_TERRAFORM); environments/check_keys.sh "environments/$$ENV.tfvars"

# A value that a .tfvars file has in quotes, in a line of its own that is not indented.
value_of = sed -nE 's/^$(1)[[:space:]]*=[[:space:]]*"([^"]*)".*/\1/p' "$$tfvars"

# The workspace is that of the file; of the local AWS, which forgets, one of its own. The variable TF_WORKSPACE would override it.
define use_workspace
	tfvars="environments/$$ENV.tfvars"; workspace="$$ENV"; \
	case "$${AWS_ENDPOINT_URL:-}" in http://127.0.0.1:*) workspace="$$ENV-local-$${AWS_ENDPOINT_URL##*:}";; esac; \
	stage="$$($(call value_of,stage))"; \
	if [ "$$stage" != "$$ENV" ]; then echo "$$tfvars has stage = \"$$stage\": it must be \"$$ENV\", as the file is named" >&2; exit 1; fi; \
	if [ "$${TF_WORKSPACE:-$$workspace}" != "$$workspace" ]; then echo "TF_WORKSPACE is $$TF_WORKSPACE: using $$workspace, the workspace of $$tfvars" >&2; fi; \
	unset TF_WORKSPACE
endef

# The providers of the local AWS have a stand-in among them, which must not run with the credentials of an account.
NEED_OWN_PROVIDERS = case "$${TF_CLI_CONFIG_FILE:-} $${AWS_ENDPOINT_URL:-}" in "$$PWD/.local/"*" http://127.0.0.1:"*) ;; "$$PWD/.local/"*) echo "TF_CLI_CONFIG_FILE is $$TF_CLI_CONFIG_FILE, of the local AWS, and AWS_ENDPOINT_URL is \"$${AWS_ENDPOINT_URL:-}\": unset TF_CLI_CONFIG_FILE and TF_DATA_DIR to deploy to AWS, or set both as local-aws-env prints them" >&2; exit 1;; esac

# Needs terraform alone.
define select_stage
	$(NEED_TERRAFORM); \
	$(NEED_OWN_PROVIDERS); \
	$(use_workspace); \
	pool="$$($(call value_of,user_pool_id))"; \
	region="$${pool%%_*}"; \
	if [ "$$region" = "$$pool" ]; then echo "$$tfvars has no user pool: it must have a line like user_pool_id = \"eu-west-1_AbCdEfGhI\", from which the region is read" >&2; exit 1; fi; \
	for name in AWS_REGION AWS_DEFAULT_REGION; do \
		if [ -n "$${!name:-}" ] && [ "$${!name}" != "$$region" ]; then echo "$$name is $${!name}: using $$region, the region of the pool in $$tfvars" >&2; fi; \
	done; \
	export AWS_REGION="$$region" AWS_DEFAULT_REGION="$$region"; \
	terraform init -input=false > /dev/null; \
	terraform workspace select -or-create=true "$$workspace"
endef

.PHONY: plan
plan: known-keys ## show what apply would do, with a summary at the end (ENV=dev, PLAN=file to save it, ARGS=...)
	@$(select_stage); given="$${ARGS:+ ARGS='$$ARGS'}"; [ -z "$$PLAN" ] || given=" PLAN=$$PLAN"; \
	terraform plan -var-file="$$tfvars" $${PLAN:+"-out=$$PLAN"} $$ARGS | environments/show_plan.sh "$$ENV" "make apply ENV=$$ENV$$given"

.PHONY: apply
apply: known-keys ## deploy an environment (ENV=dev, PLAN=saved plan)
	@$(select_stage); terraform apply "$${PLAN:--var-file=$$tfvars}" $$ARGS

override GUARD := module.pool_trigger[0].aws_lambda_invocation.guard
override POOL_TRIGGER := module.pool_trigger[0].module.function.aws_lambda_function.this

.PHONY: destroy
destroy: known-stage ## detach the trigger and delete an environment (ENV=dev)
	@$(select_stage); \
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
release-table: known-stage $(READY) ## end the deletion protection of the table that an environment made, so that destroy deletes it (ENV=dev)
	@$(select_stage); \
	table="$$(terraform state show -no-color '$(TABLE)' | sed -nE 's/^    name +=  *"([^"]+)"$$/\1/p')"; \
	$(VENV_PYTHON) -c 'import boto3, sys; boto3.client("dynamodb").update_table(TableName=sys.argv[1], DeletionProtectionEnabled=False)' "$$table"; \
	echo "The table $$table is not protected any more, until the next apply. To delete it: make destroy ENV=$$ENV"

.PHONY: reconcile
reconcile: known-stage $(CLI) ## run the reconciliation of a stage, and wait for it (ENV=dev, ARGS=--allow-deletes 500)
	@$(use_workspace); \
	terraform workspace select "$$workspace" > /dev/null; \
	$(CLI) reconcile $$ARGS

# A data source makes the zip, so a plan of it makes it, without credentials.
.PHONY: package
package: $(READY) ## the functions' package in build/, by the same Terraform code as apply
	@$(NEED_TERRAFORM); \
	$(NEED_OWN_PROVIDERS); \
	rm -rf build; \
	terraform -chdir=modules/package init -input=false > /dev/null; \
	terraform -chdir=modules/package plan -input=false -lock=false -target=data.archive_file.this -var=name=functions -var=directory="$$PWD/build" -var=source_dir="$$PWD/lambda_src" > /dev/null; \
	$(VENV_PYTHON) -c 'import hashlib, pathlib; [print(f"{zip.stat().st_size:>7} bytes  sha256 {hashlib.sha256(zip.read_bytes()).hexdigest()}  {zip}") for zip in pathlib.Path("build").glob("*.zip")]'
