#!/usr/bin/env bash
# Shows its input, which is the output of `terraform plan`, and ends with a summary.
# Arguments: the environment, and the command that applies the plan.
#
# Of a plan that fails, Terraform prints the changes planned so far, and then the error. These changes are left out.
set -euo pipefail
shopt -s extglob

readonly COLOR=$'\e\\[*([0-9;])m'
account="" pool="" trigger="unchanged" planned=""
created=0 changed="" replaced="" destroyed=""

listed() { # a count, and the first names of lines
	local names=() name
	while read -r name; do [ -z "$name" ] || names+=("$name"); done <<< "$1"
	echo "${#names[@]}${names[0]:+: ${names[0]}}${names[1]:+, ${names[1]}}${names[2]:+, ${names[2]}}${names[3]:+, ...}"
}

while IFS= read -r line; do
	text="${line//$COLOR/}"
	name="${text#"  # "}"
	name="${name%% @(will|must|is) *}"
	case "$text" in
	"Terraform planned the following actions, but then encountered a problem:"*) exec cat > /dev/null ;;
	data.aws_caller_identity.*"[id="*) account="${text##*"[id="}" ;;
	data.aws_cognito_user_pool.*"[id="*) pool="${text##*"[id="}" ;;
	"Plan: "* | "No changes."*) planned=true ;;
	"  # "*" will be created") created=$((created + 1)) ;;
	"  # "*" will be updated in-place") changed+="$name"$'\n' ;;
	"  # "*" replaced"*) replaced+="$name"$'\n' ;;
	"  # "*" will be destroyed") destroyed+="$name"$'\n' ;;
	esac
	case "$text" in
	*.aws_lambda_invocation.attach" will be created" | *.aws_lambda_invocation.attach" "*replaced*) trigger="attached by this plan" ;;
	*.aws_lambda_invocation.guard" will be destroyed") trigger="detached by this plan" ;;
	esac
	printf '%s\n' "$line"
done

[ "$planned" ] || exit 0
cat << EOF

Summary of environment $1
  account       ${account%]}
  region        ${AWS_REGION:-}
  user pool     ${pool%]}
  pool trigger  $trigger
  create        $created
  change        $(listed "$changed")
  replace       $(listed "$replaced")
  destroy       $(listed "$destroyed")
  apply with    $2
EOF
