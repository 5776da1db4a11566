"""The results of checks as a message and as a table."""

from ci.inspection.verify import CheckResult, describe_failed, format_results
from ci.plan.inputs import Options
from tests.unit.plans import plan

PASSED = CheckResult(name="imports", passed=True, seconds=1.25, last_line='{"check": "imports"}')
FAILED = CheckResult(name="train_step", passed=False, seconds=0.5, last_line="no torch")


def test_failed_checks_are_named_with_their_last_line() -> None:
    assert describe_failed([PASSED, FAILED]) == "1 of 2 checks failed: train_step (no torch)"
    assert describe_failed([PASSED]) == ""


def test_the_table_has_each_check_and_each_that_is_waived_with_its_reason() -> None:
    slim = plan("cu12.8.1-py3.13-runtime", options=Options(variant="slim"))
    head, *rows = format_results(slim, [PASSED]).splitlines()
    assert head == "cu12.8.1-py3.13-runtime@slim: all 1 checks passed"
    assert rows[0].split() == ["imports", "1.2", "s", '{"check":', '"imports"}']
    assert [row.split()[:4] for row in rows[1:]] == [
        [name, "waived", "by", "slim:"] for name, _ in slim.waives
    ]
    assert all(reason in row for row, (_, reason) in zip(rows[1:], slim.waives, strict=True))


def test_a_check_that_counts_from_below_names_the_image_that_it_ran_in() -> None:
    result = PASSED.model_copy(update={"ran_in": "cu12.8.1-py3.13-runtime"})
    _, row = format_results(plan("cu12.8.1-py3.13-ray-runtime"), [result]).splitlines()
    assert row.startswith("  imports  passed in cu12.8.1-py3.13-runtime ")
