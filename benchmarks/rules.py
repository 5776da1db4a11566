"""Remove too much from a real image by each rule: `python -m benchmarks.rules`, best after that image was built.

Each rule of the matrix first removes the files that it names, and the checks that it lists must pass; then also files
that a slip in its patterns would remove, and one of the checks must fail. Files are removed in a container of the
finished image, so nothing is built again. The program fails if no check notices a rule's slip. With `--rules` only
these are tried, and the rows of the others stay as they are.
"""

import argparse
import json
import re

from benchmarks.page import machine, part_of_page, put
from ci.config.matrix import default_matrix
from ci.config.variants import Rule
from ci.plan.paths import LIBRARIES, PREFIX
from tests.engine.conftest import ROOT, succeed

PAIR = ("--cuda=12.8.1", "--python=3.13")
SITE = "lib/python3.*/site-packages"
# What a slip would take besides, by rule: a star too much, a word too little.
SLIPS = {
    "archives": (f"{SITE}/**/lib*.so*",),
    "tests": (f"{SITE}/**/test*/**",),
    "headers": (f"{SITE}/nvidia/**",),
    "unused-cuda": (f"{SITE}/nvidia/**/libnvrtc*.so*",),
    "second-ptxas": (f"{SITE}/**/bin/ptxas*",),
    "profilers": (f"{SITE}/triton/_C/**",),
    "triton": (f"{SITE}/triton*/**",),
    "docs": ("s*/**",),
}
PROGRAMS = "/run/programs"
# Runs in the image: removes the files of the rule, then runs each check.
ASK = f"""
import json, subprocess, sys
rule, checks = json.loads(sys.argv[1]), sys.argv[2:]
open("/tmp/rules.json", "w").write(json.dumps([rule]))
trimmed = [sys.executable, "{PROGRAMS}/trim_env.py", "/opt/env", "--rules", "/tmp/rules.json"]
said = {{"taken": json.loads(subprocess.check_output(trimmed))[rule["name"]]}}
for name in checks:
    ran = subprocess.run([sys.executable, f"{PROGRAMS}/checks/{{name}}.py"], capture_output=True, text=True)
    said[name] = (ran.stderr.strip().splitlines() or ["ended with %d" % ran.returncode])[-1] if ran.returncode else ""
print(json.dumps(said))
"""


def placed(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns with what they are in a finished image, where CUDA's libraries lie beside Python's folder."""
    own, beside = f"{SITE}/nvidia/", f"{LIBRARIES.removeprefix(f'{PREFIX}/')}/"
    return (*patterns, *(one.replace(own, beside) for one in patterns if one.startswith(own)))


def asked(name: str, rule: Rule, more: tuple[str, ...]) -> tuple[int, dict[str, str]]:
    """Remove the files of a rule and more; return their number, and the message of each check that failed."""
    given = {
        "name": name,
        "remove": placed((*rule.remove, *more)),
        "unless": placed(rule.unless),
        "only_tests": rule.only_tests and not more,
    }
    words = ["/opt/env/bin/python", "-c", ASK, json.dumps(given), *rule.noticed_by]
    quoted = ",".join('"' + word.replace('"', '""') + '"' for word in words)
    said = json.loads(
        succeed(
            *("call", "build", *PAIR, "--target=marimo-runtime", "with-user", "--name=root"),
            *("with-mounted-directory", f"--path={PROGRAMS}", f"--source={ROOT / 'ci/programs'}"),
            *("with-exec", f"--args={quoted}", "stdout"),
        )
    )
    return int(said.pop("taken")["files"]), {check: text for check, text in said.items() if text}


def known_rows() -> dict[str, str]:
    """Return the rows that the page has, by rule."""
    rows = re.finditer(r"^\| ([a-z0-9-]+) \|.*$", part_of_page("rules"), re.MULTILINE)
    return {row[1]: row[0] for row in rows}


def main() -> None:
    """Try rules, and write the page."""
    rules = default_matrix().rules
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", nargs="+", choices=list(rules), default=list(rules), help="all by default")
    rows, bad = known_rows(), []
    for name in parser.parse_args().rules:
        rule = rules[name]
        files, missed = asked(name, rule, ())
        if missed:
            bad.append(f"{name} as it is breaks {missed}")
        more, noticed = asked(name, rule, SLIPS[name])
        if not noticed:
            bad.append(f"{name}: {SLIPS[name]} is noticed by none of {', '.join(rule.noticed_by)}")
        slips = ", ".join(f"`{slip.removeprefix(SITE).lstrip('/')}`" for slip in SLIPS[name])
        kept = ", ".join(one for one in rule.noticed_by if one not in noticed) or "none"
        rows[name] = (
            f"| {name} | {files:,} | {slips} | {more:,} | {', '.join(noticed) or 'nothing'} | {kept} |"
        )
        print(name, files, missed, more, noticed, flush=True)
    text = [
        "## Rules that take too much",
        "",
        f"`python -m benchmarks.rules`, {machine()}, 12.8.1 / 3.13. Each rule of `[rules]`, on the image of",
        "marimo-runtime (`default`), without what its own rules take: as it is, all checks that it names pass;",
        "with the files that a slip in its patterns also removes, those that notice it fail.",
        "",
        "| rule | files | a slip | files then | noticed by | not by |",
        "|---|---|---|---|---|---|",
        *(rows[name] for name in rules if name in rows),
    ]
    put("rules", "\n".join(text))
    if bad:
        raise SystemExit("; ".join(bad))


if __name__ == "__main__":
    main()
