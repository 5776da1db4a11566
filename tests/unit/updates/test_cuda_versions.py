"""CUDA versions come from the sources, and a new one is checked for each Python."""

from tests.unit.fake_indexes import TAGS, cell_states, outdated_by_name, recorded, simple_page, tags, upstream


def test_cuda_versions_come_from_the_toolkits_packages() -> None:
    found = outdated_by_name(*recorded())
    assert (found["cuda@12.8.1"].newest, found["cuda@13.1.1"].newest) == ("12.8.2", "13.1.2")
    new = found["cuda"]
    assert new.newest == "13.5.0"
    assert new.offers[0].goes_with == {"torch": "2.15.0", "torchvision": "0.29.2", "torchaudio": "2.11.0"}
    assert set(cell_states(new, "13.5.0").values()) == {"possible"}
    assert new.offers[0].facts[0] == "with the cu132 wheels"


def test_a_torch_that_is_built_for_the_very_minor_is_taken() -> None:
    """Where one index has the builds of all CUDA versions, torch 2.15.0 is built for 13.2."""
    context, indexes = recorded()
    indexes.put(simple_page({"cuda_toolkit-13.2.0-py3-none-any.whl": ""}), name="cuda-toolkit")
    offer = outdated_by_name(context, indexes)["cuda"].offers[0]
    assert (offer.version, offer.facts[0]) == ("13.2.0", "with the cu132 wheels")
    assert offer.goes_with["torch"] == "2.15.0"


def test_a_new_cuda_is_checked_for_each_python() -> None:
    found = outdated_by_name(*upstream())["cuda"]
    became = cell_states(found, "13.2.0")
    assert became["cu13.2.0-py3.13-devel"] == "impossible"
    assert became["cu13.2.0-py3.14-marimo-runtime"] == "possible"
    assert "13.3.0" not in found.note


def test_a_schedule_does_not_prevent_the_check_of_a_new_cuda() -> None:
    run = '{ weekday = "Monday", at = "02:00", phases = [1] }'
    found = outdated_by_name(*upstream(f"[schedule]\nruns = [{run}]\n"))["cuda"]
    assert cell_states(found, "13.2.0")["cu13.2.0-py3.14-runtime"] == "possible"


def test_a_cuda_without_wheels_of_its_minor_uses_those_of_an_older_one() -> None:
    for cuda, fact in (
        ("13.4.0", "with the cu132 wheels"),
        ("14.1.0", "there are no wheels of torch: cu141, cu140"),
    ):
        context, indexes = upstream()
        indexes.put(tags("12.8.1", "13.1.1", cuda), TAGS)
        assert outdated_by_name(context, indexes)["cuda"].offers[0].facts[0] == fact


def test_a_cuda_whose_image_is_gone_has_a_note() -> None:
    context, indexes = upstream()
    indexes.put(tags("13.1.1"), TAGS)
    found = outdated_by_name(context, indexes)["cuda@12.8.1"]
    assert (found.newest, found.note) == (None, "12.8.1 is no longer there")
