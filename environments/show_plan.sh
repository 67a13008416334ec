#!/usr/bin/env bash
# Prints the output of `terraform plan`, which it reads from stdin, and a summary after it.
# Arguments: the name of the environment, and the command that applies the plan.
#
# If a plan fails, Terraform prints the changes that it has planned so far, and the error on stderr. The script does not
# print these changes, so that the error is not lost among them.
set -euo pipefail
shopt -s extglob

environment="$1"
apply_command="$2"

# Escape sequences of terminal colors.
readonly COLOR=$'\e\\[*([0-9;])m'

account="" pool="" trigger="unchanged" planned=""
created=0 changed="" replaced="" destroyed="" # the last three have one address per line

count_and_names() { # the number of lines, and the first three lines
	local names=() name
	while read -r name; do [ -z "$name" ] || names+=("$name"); done <<< "$1"
	echo "${#names[@]}${names[0]:+: ${names[0]}}${names[1]:+, ${names[1]}}${names[2]:+, ${names[2]}}${names[3]:+, ...}"
}

while IFS= read -r line; do
	text="${line//$COLOR/}"

	# "  # module.a.aws_x.one will be created", "... must be replaced" or "... is tainted, so must be replaced"
	address="${text#"  # "}"
	address="${address%% @(will|must|is) *}"
	case "$text" in
	"Terraform planned the following actions, but then encountered a problem:"*) exec cat > /dev/null ;;
	data.aws_caller_identity.*"[id="*) account="${text##*"[id="}" ;;
	data.aws_cognito_user_pool.*"[id="*) pool="${text##*"[id="}" ;;
	"Plan: "* | "No changes."*) planned=true ;;
	"  # "*" will be created") created=$((created + 1)) ;;
	"  # "*" will be updated in-place") changed+="$address"$'\n' ;;
	"  # "*" replaced"*) replaced+="$address"$'\n' ;;
	"  # "*" will be destroyed") destroyed+="$address"$'\n' ;;
	esac

	# The resources attach and guard of modules/pool_trigger attach and detach the trigger.
	case "$text" in
	*.aws_lambda_invocation.attach" will be created") trigger="attached by this plan" ;;
	*.aws_lambda_invocation.attach" "*replaced*) trigger="attached again by this plan" ;;
	*.aws_lambda_invocation.guard" will be destroyed") trigger="detached by this plan" ;;
	esac

	printf '%s\n' "$line"
done

[ -n "$planned" ] || exit 0

# account and pool still have the "]" of "[id=...]".
cat << SUMMARY

Summary of environment $environment
  account       ${account%]}
  region        ${AWS_REGION:-}
  user pool     ${pool%]}
  pool trigger  $trigger
  create        $created
  change        $(count_and_names "$changed")
  replace       $(count_and_names "$replaced")
  destroy       $(count_and_names "$destroyed")
  apply with    $apply_command
SUMMARY
