"""Histories: broken lines cost no other record, merging loses none, and the decisive record of an attempt counts."""

import sys
from collections.abc import Callable
from itertools import permutations
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.history.history import History, UnknownLine, merge_histories, missing_lines, read_history
from ci.history.records import BuildRecord, CompiledObjects, StageRun
from tests.unit.history.strategies import CELLS, RUNS, failure, histories, record, records, text_of
from tests.unit.user_errors import is_one_line, texts


@given(st.lists(records, max_size=4), st.data())
def test_a_history_cut_at_any_byte_loses_only_the_line_that_was_cut(
    found: list[BuildRecord], data: st.DataObject
) -> None:
    whole = text_of(*found).encode()
    cut = data.draw(st.integers(0, len(whole)))
    read = read_history(whole[:cut].decode())
    done = whole[:cut].count(b"\n")
    assert read.records[:done] == tuple(found[:done])
    # Cut after its last character but before the newline, the last record is whole.
    rest = whole[:cut].rpartition(b"\n")[2]
    lost = bool(rest) and rest + b"\n" not in whole.splitlines(keepends=True)
    assert len(read.records) == done + (bool(rest) and not lost)
    assert [problem.partition(":")[0] for problem in read.problems] == (
        [f"history.jsonl line {done + 1}"] if lost else []
    )


@given(st.lists(records, min_size=1, max_size=3), st.lists(records, min_size=1, max_size=3), st.data())
def test_records_written_directly_after_a_cut_line_are_read(
    before: list[BuildRecord], after: list[BuildRecord], data: st.DataObject
) -> None:
    whole = text_of(*before)
    last = len(before[-1].line())
    cut = data.draw(st.integers(len(whole) - last, len(whole) - 1))
    read = read_history(whole[:cut] + text_of(*after))
    kept = before if cut == len(whole) - 1 else before[:-1]
    assert read.records == (*kept, *after)
    spoiled = len(whole) - last < cut
    assert [problem.partition(":")[0] for problem in read.problems] == (
        [f"history.jsonl line {len(before)}"] if spoiled else []
    )


NOW = "2026-11-23T00:00:00Z"  # no record of the tests is newer


def merge(*histories: History) -> History:
    """Merge histories at a time at which no record is dated in the future."""
    return merge_histories(*histories, now=NOW)


GARBAGE = [
    ("nonsense", "not JSON, passed over: 'nonsense'"),
    ('{"cell": "a", "pl', "not JSON, passed over"),
    ("\x00\x00\x00", r"not JSON, passed over: '\x00\x00\x00'"),
    ("\x85\u2028\ud800", "not JSON, passed over"),
    ("[" * 100_000, "not JSON, passed over"),
    ('{"a":' * 100_000, "not JSON, passed over"),
    ('{"cell": ' * 100_000, "not JSON, passed over"),
    ("9" * 10_000, "not JSON, passed over"),
    ("null", "not a record, passed over"),
    ("[]", "not a record, passed over"),
    ('"text"', "not a record, passed over"),
    ("{}", "key 'run': Field required, passed over"),
    ('{"schema": 4}', "schema 4 is newer than this version knows, passed over"),
    ('{"schema": 7, "colour": "red"}', "schema 7 is newer than this version knows, passed over"),
    ('{"schema": 0}', "key 'schema': Input should be 1, 2 or 3, passed over"),
    ('{"schema": "2"}', "key 'schema': Input should be 1, 2 or 3, passed over"),
    ('{"schema": true, "run": 1}', "passed over"),
    (record().line()[:-2] + ', "sise": 3}', "unknown key 'sise' (did you mean 'size'?)"),
    (record().line()[:-2] + ', "a\\nb": 3}', r"unknown key 'a\nb'"),
    (record().line()[:-2] + ', "seconds": NaN}', "key 'seconds': "),
    (record().line()[:-2] + ', "seconds": Infinity}', "key 'seconds': "),
    (record().line()[:-2] + ', "size": "3"}', "key 'size': "),
    (record().line().replace("-22T", "-32T")[:-1], "key 'started': no such day, passed over"),
]


@pytest.mark.parametrize(("line", "problem"), GARBAGE, ids=[line[:30] for line, _ in GARBAGE])
def test_a_line_without_a_record_is_a_problem_with_its_number(line: str, problem: str) -> None:
    first, last = record(), record(cell="b")
    read = read_history(f"{first.line()}\n{line}\n{last.line()}", "mine.jsonl")
    assert read.records == (first, last)
    (problem_line,) = read.problems
    # The blank line counts too.
    assert problem_line.startswith("mine.jsonl line 3: ")
    assert problem in problem_line
    assert is_one_line(problem_line)


@given(st.lists(records, max_size=4), st.lists(st.tuples(st.integers(0, 4), texts), max_size=4))
def test_records_are_read_whatever_lines_are_between_them(
    found: list[BuildRecord], junk: list[tuple[int, str]]
) -> None:
    lines = [one.line()[:-1] for one in found]
    for place, text in junk:
        # Random text may contain newlines or be JSON by chance; with the suffix it is neither.
        lines.insert(place, text.replace("\n", " ") + " nonsense")
    read = read_history("".join(f"{line}\n" for line in lines))
    assert read.records == tuple(found)
    wrong = [number for number, line in enumerate(lines, 1) if line.endswith(" nonsense")]
    assert [int(problem.split(":")[0].rsplit(" ", 1)[1]) for problem in read.problems] == wrong
    assert all(is_one_line(problem) for problem in read.problems)


@pytest.mark.parametrize("change", [lambda text: f"\ufeff{text}", lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_carriage_returns_cost_no_record(change: Any) -> None:
    found = (record(), record(cell="b"))
    assert read_history(change(text_of(*found))) == History(found)


def test_a_line_of_a_later_version_is_written_back_as_it_is() -> None:
    later = '{"schema":4,  "run": "x"}'
    text = f"{later}\n{record().line()}"
    read = read_history(text)
    assert read.unknown_lines == (UnknownLine(later, 0),)
    assert read.text() == merge_histories(read, read).text() == read.with_interrupted().text() == text


@pytest.mark.parametrize("text", ["", "\n", "\r\n \n\t\n"])
def test_an_empty_history_has_nothing(text: str) -> None:
    found = read_history(text)
    assert found == History()
    assert (found.text(), found.latest("a"), found.last_good("a"), found.finished("a")) == (
        "",
        None,
        None,
        (),
    )


OLD_LINE = (
    '{"cell": "a", "plan": "p", "promises": {"imports": true}, "run": "run-1", "schema": 1, "sources": "upstream", '
    '"started": "2026-11-22T02:00:00Z", "status": "ok"}\n'
)


def test_a_stage_may_have_objects_and_older_records_have_none() -> None:
    objects = CompiledObjects(narrow=66, full=1, cached=60)
    stages = (StageRun(name="wheels", seconds=9.0, objects=objects), StageRun(name="pyg", seconds=1.0))
    line = record(stages=stages).line()
    assert '"objects": {"cached": 60, "full": 1, "narrow": 66}' in line
    assert line.count('"objects"') == 1
    assert [stage.objects for stage in read_history(line).records[0].stages] == [objects, None]


def test_a_line_of_schema_1_is_read_and_written_in_the_new_schema() -> None:
    history = read_history(OLD_LINE)
    assert history == History((record(checks={"imports": True}),))
    assert '"checks": {"imports": true}' in history.text()
    assert '"schema": 3' in history.text()
    assert "promises" not in history.text()


def test_a_line_of_schema_2_is_read() -> None:
    line = record(checks={"imports": True}).line().replace('"schema": 3', '"schema": 2')
    assert read_history(line) == History((record(checks={"imports": True}),))


def test_a_step_without_a_digest_is_no_stage_of_a_plan() -> None:
    history = History((record(stages=(StageRun(name="verify", seconds=90.0),)),))
    assert read_history(history.text()) == history
    assert (history.stage_seconds(), history.attempts()) == ({}, {})


def test_an_old_line_and_its_new_form_are_one_record() -> None:
    old = read_history(OLD_LINE)
    new = read_history(old.text())
    assert merge_histories(old, new) == merge_histories(new, old) == new
    assert missing_lines(old, new) == missing_lines(new, old) == ""


@given(histories, histories)
def test_the_missing_lines_are_those_that_merging_adds(one: History, two: History) -> None:
    appended = read_history(one.text() + missing_lines(one, two))
    assert merge(appended) == merge(one, two)
    assert missing_lines(appended, two) == ""


def test_missing_lines_of_a_later_version_are_appended_as_they_are() -> None:
    later = read_history('{"schema":4,  "run": "x"}')
    assert missing_lines(History(), later) == '{"schema":4,  "run": "x"}\n'
    assert missing_lines(later, later) == ""


@given(histories)
def test_merging_a_history_with_itself_changes_nothing_more(one: History) -> None:
    once = merge(one)
    assert merge(once) == merge(once, once) == merge(one, one) == once


@given(histories, histories, histories)
def test_histories_merge_in_any_order_and_lose_no_record(one: History, two: History, three: History) -> None:
    expected = {found.line() for history in (one, two, three) for found in history.records}
    for order in permutations([one, two, three]):
        lines = [found.line() for found in merge(*order).records]
        assert len(lines) == len(set(lines))
        assert set(lines) == expected
    # The order of records that began at the same time may depend on what was merged first.
    stepwise = merge(merge(one, two), three)
    assert {found.line() for found in stepwise.records} == expected
    assert len(stepwise.records) == len(expected)


def test_records_are_ordered_by_their_start_and_by_writing_where_it_is_equal() -> None:
    written = (
        record(cell="z"),
        record(cell="y", started="2026-11-22T02:00:00.50Z"),
        record(cell="x", started="2026-11-22T01:59:59.999Z"),
        record(cell="w", started="2026-11-22T02:00:00.5Z"),
        record(cell="v"),
    )
    assert [found.cell for found in merge_histories(History(written)).records] == ["x", "z", "v", "y", "w"]


def test_each_problem_is_kept_once() -> None:
    one, two = read_history("x", "one"), read_history("x", "two")
    assert merge_histories(one, two, one).problems == (*one.problems, *two.problems)


def test_an_unfinished_attempt_is_marked_as_interrupted() -> None:
    lost = record(status="building", seconds=3.0)
    (marked,) = History((lost,)).with_interrupted().records
    assert marked.status == "failed"
    assert marked.failure
    assert marked.failure.kind == "interrupted"
    assert marked.finished
    assert marked == lost.model_copy(update={"status": "failed", "failure": marked.failure})


def test_only_a_live_run_may_be_building() -> None:
    found = History((record(status="building"), record(status="building", run="run-2", cell="b")))
    assert [one.status for one in found.with_interrupted(["run-2"]).records] == ["failed", "building"]
    unnamed = History((record(status="building", run=""),))
    assert [one.status for one in unnamed.with_interrupted().records] == ["failed"]


@pytest.mark.parametrize("status", ["ok", "warning", "failed"])
@pytest.mark.parametrize("order", [1, -1])
def test_the_start_of_an_attempt_is_superseded_by_its_end(status: str, order: int) -> None:
    # After a merge of two files, the end may come first.
    end = record(status=status, seconds=1.0)
    found = History((record(status="building"), end)[::order])
    for run in ("", "run-1"):
        assert found.with_interrupted([run]).records == (end,)
    assert found.latest("a") == end


def test_the_end_of_one_attempt_supersedes_no_other_attempt() -> None:
    other = {"attempt": 2}, {"run": "run-2"}, {"cell": "b"}
    for changes in other:
        found = History((record(**changes), record(status="building")))
        assert [one.status for one in found.with_interrupted().records] == ["ok", "failed"]


def test_the_last_of_several_starts_of_an_attempt_counts() -> None:
    found = History((record(status="building"), record(status="building", notes=("torch is done",))))
    assert [one.notes for one in found.with_interrupted().records] == [("torch is done",)]


def test_a_run_marked_as_interrupted_that_ended_well_is_ok() -> None:
    # Another sweep has read and written the history meanwhile.
    begun, end = record(status="building"), record(seconds=9.0)
    marked = History((begun,)).with_interrupted(["run-2"])
    for found in (
        merge_histories(marked, History((begun, end))),
        merge_histories(History((begun, end)), marked),
    ):
        assert found.with_interrupted().records == (end,)
        assert found.latest("a") == end
        assert found.finished("a") == (end,)


def test_a_cell_that_was_not_run_is_never_superseded() -> None:
    left = record(status="not-run")
    assert History((left,)).with_interrupted().records == (left,)
    assert History((left, record())).with_interrupted().records == (left, record())


@given(histories, st.sampled_from(["", *RUNS]))
def test_marking_interrupted_attempts_twice_changes_nothing_more(found: History, run: str) -> None:
    marked = found.with_interrupted([run])
    assert all(one.run == run for one in marked.records if one.status == "building")
    assert marked.with_interrupted([run]) == marked
    # Every end is kept unchanged, and every attempt has a record.
    ends = [
        one
        for one in found.records
        if one.finished and not (one.failure and one.failure.kind == "interrupted")
    ]
    assert [one for one in marked.records if one in ends] == ends
    assert {one.key for one in found.records} == {one.key for one in marked.records}


@given(histories, st.sampled_from(CELLS))
def test_latest_last_good_and_finished_agree(found: History, cell: str) -> None:
    ended, latest, good = found.finished(cell), found.latest(cell), found.last_good(cell)
    assert all(one.cell == cell and one.finished for one in ended)
    assert (latest is None) == all(one.cell != cell for one in found.records)
    images = [one for one in ended if one.status != "failed"]
    assert good == (images[-1] if images else None)
    if latest and latest.finished:
        assert ended[-1] == latest


def test_the_newest_record_of_a_cell_counts() -> None:
    bad = record(status="failed", failure=failure(), attempt=2)
    warned = record(status="warning", attempt=3)
    begun = record(status="building", run="run-2")
    found = History((record(), bad, warned, begun, record(cell="b")))
    assert found.latest("a") == begun
    assert found.last_good("a") == warned
    assert found.finished("a") == (record(), bad, warned)
    assert found.latest("c") is None


def test_the_time_of_a_stage_is_the_one_without_a_cache() -> None:
    def stage(digest: str, seconds: float, shared: str = "") -> StageRun:
        return StageRun(name="torch", digest=digest, seconds=seconds, shared_with=shared)

    found = History(
        (
            record(stages=(stage("d1", 0.5), stage("d2", 7.0))),
            record(stages=(stage("d1", 90.0), stage("d2", 0.1)), status="failed"),
            record(stages=(stage("d1", 500.0, "b"), stage("d3", 2.0, "b"))),
        )
    )
    assert found.stage_seconds() == {"d1": 90.0, "d2": 7.0}


def test_the_work_is_linear_in_the_number_of_records() -> None:
    def calls(count: int) -> int:
        text = "".join(
            record(cell=f"cell-{number // 2}", status=("building", "ok")[number % 2]).line()
            for number in range(count)
        )
        steps = 0

        def lines(_frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
            nonlocal steps
            steps += 1  # a call or a line
            return lines

        before = sys.gettrace()
        sys.settrace(lines)
        try:
            found = read_history(text).with_interrupted()
            both = merge_histories(found, found)
            known = [
                (both.latest(one.cell), both.last_good(one.cell), both.finished(one.cell))
                for one in both.records
            ]
        finally:
            sys.settrace(before)
        assert len(known) == count // 2
        return steps

    # Quadratic would be 64 times as much.
    assert calls(800) < 10 * calls(100)


def test_two_records_in_one_line_are_both_read() -> None:
    one, two = record(cell="a"), record(cell="b")
    assert read_history(one.line().rstrip("\n") + two.line()).records == (one, two)


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_records_that_are_nearly_the_same_are_each_kept_once(count: int) -> None:
    written = [record(seconds=float(number)) for number in range(count)]
    merged = merge_histories(History((*written, *written)), History(tuple(written)))
    assert sorted(found.line() for found in merged.records) == sorted(found.line() for found in written)
