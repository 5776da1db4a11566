"""extensions/schedule.py: the order of jobs, the bounds of cores and memory, and the plan for a large machine."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from extensions.schedule import GB, MEMORY, SECONDS, Job, Placed, Room, length, next_job, plan_jobs, show_plan

# The objects of PyG's four packages: of each package CUDA sources, host sources, modules.
PACKAGES = {"cluster": (7, 16, 9), "scatter": (3, 7, 4), "sparse": (4, 23, 12), "spline": (2, 5, 3)}


def job(name: str, kind: str, needs: Sequence[str] = ()) -> Job:
    return Job(name, kind, SECONDS[kind], MEMORY[kind], frozenset(needs))


def real_jobs(full: str = "") -> list[Job]:
    jobs = []
    for package, (cuda, host, modules) in PACKAGES.items():
        objects = [job(f"{package} cu{i}", f"{full}cu") for i in range(cuda)]
        objects += [job(f"{package} cpp{i}", f"{full}cpp") for i in range(host)]
        links = [
            job(f"{package} link{i}", "link", [o.name for o in objects[i::modules]]) for i in range(modules)
        ]
        jobs += [*objects, *links, job(f"{package} wheel", "pack", [link.name for link in links])]
    return jobs


def most_memory(placed: Sequence[Placed]) -> float:
    return max(sum(p.job.memory for p in placed if p.begin <= one.begin < p.end) for one in placed)


def test_the_longest_comes_first() -> None:
    jobs = [job("a", "cpp"), job("b", "cu"), job("c", "full_cu")]
    first = next_job(jobs, [], set(), Room(2, 24 * GB))
    assert first is jobs[2]


def test_a_link_comes_before_objects_as_soon_as_its_own_are_there() -> None:
    jobs = [job("o", "cu"), job("l", "link", ["x", "y"])]
    room = Room(2, 24 * GB)
    assert next_job(jobs, [], {"x"}, room) is jobs[0]
    assert next_job(jobs, [], {"x", "y"}, room) is jobs[1]


def test_memory_bounds_what_runs_and_a_smaller_job_takes_what_is_left() -> None:
    jobs, running = [job("a", "full_cu"), job("b", "cpp")], [job("r", "full_cu")]
    assert next_job(jobs, running, set(), Room(4, 7 * GB)) is jobs[0]
    assert next_job(jobs, running, set(), Room(4, 5 * GB)) is jobs[1]
    assert next_job(jobs, running, set(), Room(4, 4 * GB)) is None
    assert next_job(jobs, [], set(), Room(4, GB)) is jobs[0], "alone it may try"


@pytest.mark.parametrize("cores", [1, 2, 4, 16])
def test_no_core_idles_while_objects_wait(cores: int) -> None:
    jobs, room = real_jobs(), Room(cores, 1000 * GB)
    placed = plan_jobs(jobs, room)
    assert sorted(one.job.name for one in placed) == sorted(one.name for one in jobs)
    total, longest = sum(one.seconds for one in jobs), max(one.seconds for one in jobs)
    assert length(placed) <= total / cores + longest, "as near to the bound as any list of jobs comes"
    ends = {one.job.name: one.end for one in placed}
    assert all(ends[need] <= one.begin for one in placed for need in one.job.needs)
    for core in range(cores):
        mine = sorted((one.begin, one.end) for one in placed if one.core == core)
        assert all(before[1] <= after[0] for before, after in pairwise(mine))


def test_sixteen_cores_are_six_times_as_fast_as_two_at_least() -> None:
    two, sixteen = (length(plan_jobs(real_jobs(), Room(cores, 64 * GB))) for cores in (2, 16))
    assert sixteen <= two / 6
    told = show_plan(plan_jobs(real_jobs(), Room(16, 64 * GB)), Room(16, 64 * GB))
    assert told[-1].startswith("99 jobs, ")
    assert len(told) == 17


@pytest.mark.parametrize("full", ["", "full_"])
def test_a_plan_keeps_to_the_memory(full: str) -> None:
    assert most_memory(plan_jobs(real_jobs(full), Room(16, 16 * GB))) <= 16 * GB


def test_two_jobs_with_narrow_headers_need_at_most_four_gb() -> None:
    assert most_memory(plan_jobs(real_jobs(), Room(2, 24 * GB))) <= 4 * GB


def test_what_runs_already_counts_with_the_time_that_it_still_takes() -> None:
    running = {job("r", "cu"): 5.0}
    placed = plan_jobs([job("l", "link", ["r", "done before"])], Room(1, 24 * GB), running)
    assert length(placed) == pytest.approx(5.0 + SECONDS["link"])


def test_what_runs_already_has_processors_of_its_own() -> None:
    running = {job("r", "cu"): 5.0, job("s", "cpp"): 2.0}
    placed = plan_jobs([job("t", "cpp")], Room(2, 24 * GB), running)
    assert [(one.job.name, one.core, one.begin) for one in placed] == [
        ("r", 0, 0.0),
        ("s", 1, 0.0),
        ("t", 1, 2.0),
    ]
