"""Write the generated parts of the documentation: inputs and outputs of each module, and diagrams of state machines.

    python -m docs.generate            writes them
    python -m docs.generate --check    writes nothing; names each stale file, and exits 1 if there is one

Inputs and outputs are what `terraform-docs .` writes with .terraform-docs.yml: either program can renew them.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hcl2.query import DocumentView
from hcl2.utils import SerializationOptions

from docs.parts import between, main, with_part

ROOT = Path(__file__).parents[1]
AS_VALUE = SerializationOptions(strip_string_quotes=True)
MARKERS = ("<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->")

# --- inputs and outputs


def inputs_and_outputs(module: Path) -> str:
    """Return the two tables of a module. A table without rows is omitted, as with terraform-docs' hide-empty."""
    return "\n\n".join(text for text in (inputs(module / "variables.tf"), outputs(module / "outputs.tf")) if text)


def inputs(file: Path) -> str:
    rows = []
    for block in blocks(file, "variable"):
        default = "n/a"
        if has_default := block.attribute("default") is not None:
            # As Go's encoder writes it: keys are sorted.
            default = code(json.dumps(value(block, "default"), ensure_ascii=False, indent=2, sort_keys=True))
        type_ = code(block.attribute("type").value_node.to_hcl().strip())
        rows.append((linked_name("input", block), description(block), type_, default, "no" if has_default else "yes"))
    return table("Inputs", {"Name": "-", "Description": "-", "Type": "-", "Default": "-", "Required": ":"}, rows)


def outputs(file: Path) -> str:
    rows = [(linked_name("output", block), description(block)) for block in blocks(file, "output")]
    return table("Outputs", {"Name": "-", "Description": "-"}, rows)


def blocks(file: Path, kind: str) -> list[Any]:
    """Return the blocks of a kind, as hcl2.query.BlockView."""
    return DocumentView.parse(file.read_text(encoding="utf-8")).blocks(kind) if file.exists() else []


def value(block: Any, attribute: str) -> Any:
    return block.attribute(attribute).value_node.to_dict(AS_VALUE)


def description(block: Any) -> str:
    text = value(block, "description")
    if heredoc := re.fullmatch(r"<<-?(\w+)\n(.*\n)\s*\1", text, flags=re.DOTALL):
        text = textwrap.dedent(heredoc[2])
    # A pipe would end the cell, except in code.
    escaped = re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or "\\|", text)
    return escaped.strip().replace("\n", "<br/>")


def linked_name(prefix: str, block: Any) -> str:
    name = block.name_labels[0]
    return f'<a name="{prefix}_{name}"></a> [{name}](#{prefix}_{name})'


def code(text: str) -> str:
    return f"<pre>{text.replace(chr(10), '<br/>')}</pre>" if "\n" in text else f"`{text}`"


def table(heading: str, columns: dict[str, str], rows: Sequence[Sequence[str]]) -> str:
    rules = [f"{edge}{'-' * (len(title) - 2)}{edge}" for title, edge in columns.items()]
    lines = [f"| {' | '.join(cells)} |" for cells in (list(columns), rules, *rows)]
    return "\n".join([f"## {heading}\n", *lines]) if rows else ""


# --- state machines


def state_machine(root: Path, name: str) -> str:
    """Return the heading, the comment and the diagram of a state machine."""
    path = f"modules/{name}/{name}.asl.json"
    # A placeholder that stands for a whole value, outside quotes, becomes a string.
    tokens = re.compile(r'("(?:[^"\\]|\\.)*")|(\$\{[^}]*\})')
    template = (root / path).read_text(encoding="utf-8")
    machine = json.loads(tokens.sub(lambda token: token[1] or f'"{token[2]}"', template))
    lines = "\n".join(diagram(machine, "    "))
    return f"### {name}\n\n[{path}](../{path}): {machine['Comment']}.\n\n```mermaid\nstateDiagram-v2\n{lines}\n```"


def diagram(machine: dict[str, Any], indent: str) -> Iterator[str]:
    """Yield the lines of a Mermaid stateDiagram-v2 of a machine, or of the processor of a Map state."""
    yield f"{indent}[*] --> {machine['StartAt']}"
    for state, fields in machine["States"].items():
        if fields["Type"] == "Map":
            yield f'{indent}state "{state}, for each of {path_of(fields["ItemsPath"])}" as {state} {{'
            yield from diagram(fields["ItemProcessor"], indent + "    ")
            yield f"{indent}}}"
        for target, when in transitions(fields):
            yield f"{indent}{state} --> {target}" + (f" : {when}" if when else "")


def transitions(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the next state of each transition, and its condition (empty: always)."""
    for rule in state.get("Choices", []):
        yield rule["Next"], condition(rule)
    if "Default" in state:
        yield state["Default"], "otherwise"
    if "Next" in state:
        yield state["Next"], ""
    for catch in state.get("Catch", []):
        errors = "any error" if catch["ErrorEquals"] == ["States.ALL"] else " or ".join(catch["ErrorEquals"])
        yield catch["Next"], f"after {errors}"
    if state.get("End") or state["Type"] == "Succeed":
        yield "[*]", ""
    if state["Type"] == "Fail":
        yield "[*]", "fails"


SIGNS = {"StringEquals": "=", "StringEqualsPath": "=", "BooleanEquals": "=", "NumericGreaterThan": ">"}


def condition(rule: dict[str, Any]) -> str:
    """Return a choice rule in words: https://states-language.net/#choice-state"""
    for operator in ("And", "Or"):
        if operator in rule:
            return f" {operator.lower()} ".join(condition(each) for each in rule[operator])
    if "Not" in rule:
        return f"not {condition(rule['Not'])}"
    (comparison,) = rule.keys() - {"Variable", "Next", "Comment"}
    variable, expected = path_of(rule["Variable"]), rule[comparison]
    if comparison == "IsPresent":
        return f"{variable} is {'present' if expected else 'absent'}"
    return (
        f"{variable} {SIGNS[comparison]} {path_of(expected) if comparison.endswith('Path') else json.dumps(expected)}"
    )


def path_of(path: str) -> str:
    return path.removeprefix("$.")


# --- documents


def pages(root: Path) -> dict[str, str]:
    """Return the text of each page. Raises MissingMarkerError."""
    found = {}
    for module in [root, *sorted(each.parent for each in root.glob("modules/*/main.tf"))]:
        readme = module / "README.md"
        text = between(readme.read_text(encoding="utf-8"), *MARKERS, inputs_and_outputs(module))
        found[str(readme.relative_to(root))] = text
    machines = "\n\n".join(state_machine(root, name) for name in ("user_sync", "reconciliation"))
    architecture = "docs/architecture.md"
    old = (root / architecture).read_text(encoding="utf-8")
    return {**found, architecture: with_part(old, "state machines", "docs", machines)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, pages))
