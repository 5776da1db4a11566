"""The scripts that run on a user's machine have no form that bash 3.2, which macOS has, lacks.

No package of bash 3.2 is to be had, so known forms are searched for: a script may pass and still need a newer bash.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("daggerw", "engine/sweep")
LACKING = {
    "mapfile, readarray (4.0)": r"\b(?:mapfile|readarray)\b",
    "associative arrays and references (4.0, 4.3)": r"\b(?:declare|local|typeset|readonly)\s+-\w*[AngluI]",
    "a change of case (4.0)": r"\$\{\w+(?:\[[^]]*\])?(?:,,?|\^\^?)",
    "a transformation (4.4)": r"\$\{[^}]+@[A-Za-z]\}",
    "{fd} in redirections (4.1)": r"\{\w+\}(?:<|>)",
    ";& and ;;& (4.0)": r";;?&",
    "|& and &>> (4.0)": r"\|&|&>>",
    "coproc (4.0)": r"\bcoproc\b",
    "wait -n (4.3)": r"\bwait\s+-\w*[nfp]",
    "an index from the end (4.3)": r"\$\{\w+\[-\d",
    "[[ -v ]] (4.2)": r"\[\[[^]]*\s-v\s",
    "variables of later versions": r"\$\{?(?:BASHPID|EPOCH\w+|SRANDOM|BASH_ARGV0)\b",
    "printf of a time (4.2)": r"%\([^)]*\)T",
    "options of later versions": r"shopt\s+-s\s+.*\b(?:globstar|lastpipe|inherit_errexit|assoc_expand_once)\b",
    "a fraction of a second for read (4.0)": r"\bread\b.*\s-t\s*\d*\.\d",
    "a slice of the arguments, which differs": r"\$\{@:",
    "readlink -f, realpath: not in older macOS": r"\breadlink\s+-\w*f|\brealpath\b",
    "options of GNU's programs": r"\b(?:sed\s+-\w*[irz]\b|grep\s+-\w*P|date\s+-d|stat\s+-c|(?:mktemp|du)\s+--)",
}
EXAMPLES = (
    *(
        "mapfile -t a",
        "declare -A a",
        "local -n a=b",
        "${x,,}",
        "${x[@]^}",
        "${x@Q}",
        "exec {fd}>file",
        "a) b ;;&",
    ),
    *(
        "a |& b",
        "a &>>b",
        "coproc a",
        "wait -n",
        "${a[-1]}",
        "[[ -v a ]]",
        "[[ -n $b && -v a ]]",
        "$EPOCHSECONDS",
    ),
    *("${BASHPID}", "printf '%(%F)T'", "shopt -s globstar", "read -r -t 0.5 a", '"${@:2}"', "readlink -f a"),
    *("sed -i s/a/b/ c", "grep -oP a"),
)


def code(text: str) -> str:
    """Return a script without its comments."""
    return re.sub(r"(?m)(^|\s)#.*$", "", text)


def find_lacking(text: str) -> list[str]:
    """Return the forms that bash 3.2 lacks, each with where it is."""
    return [
        f"{name}: {found[0]}" for name, form in LACKING.items() for found in re.finditer(form, code(text))
    ]


def find_empty_arrays(text: str) -> list[str]:
    """Return the arrays that are expanded and may be empty: in bash 3.2 such is an unbound variable."""
    expanded = set(re.findall(r"(?<!\+)\"\$\{(\w+)\[[@*]\]\}\"", code(text)))
    filled = set(re.findall(r"\b(\w+)=\((?=[^\s)])", code(text))) - set(
        re.findall(r"\b(\w+)=\(\s*\)", code(text))
    )
    return sorted(expanded - filled)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_known_form_of_a_newer_bash_is_used(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert find_lacking(text) == []
    assert find_empty_arrays(text) == []


@pytest.mark.parametrize("form", EXAMPLES)
def test_each_form_is_found(form: str) -> None:
    assert find_lacking(f"echo\n{form}\n")
    assert not find_lacking(f"echo\n# {form}\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a=()\necho "${a[@]}"', ["a"]),
        ('a=(x) b=( )\nb+=(y)\necho "${a[@]}" "${b[@]}"', ["b"]),
        ('a=()\necho ${a[@]+"${a[@]}"} "${#a[@]}"', []),
        ('local call=(call)\ncall+=("$1")\n"${call[@]}"', []),
    ],
)
def test_an_array_that_may_be_empty_is_found(text: str, found: list[str]) -> None:
    assert find_empty_arrays(text) == found


def test_every_script_for_users_is_here() -> None:
    """Others run where only the embedded engine runs (Debian, as root), in tests, or in containers."""
    scripts = {
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("*"), *(ROOT / "engine").glob("*"), *(ROOT / "tests").glob("*")]
        if path.is_file() and path.read_bytes()[:30].split(b"\n")[0].endswith(b"bash")
    }
    assert scripts - set(SCRIPTS) == {"engine/namespace_init.sh", "engine/runc_shim.sh", "tests/run"}
