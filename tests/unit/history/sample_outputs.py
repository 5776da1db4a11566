"""Outputs of real tools to classify, in `tests/unit/data/failures/KIND/NAME.EXIT.txt`.

Each is the output of a tool that met a loopback server, a broken source or a full disk, without the machine's paths.
"""

from pathlib import Path

from ci.history.failures import classify_failure
from ci.history.records import Failure

SAMPLES = Path(__file__).parents[1] / "data/failures"
FILES = sorted(SAMPLES.glob("*/*.txt"))


def classify_sample(path: Path) -> Failure:
    """Classify a sample by its output and exit code."""
    return classify_failure("torch", path.read_text("utf-8"), exit_code=int(path.name.split(".")[-2]))


def sample_name(path: Path) -> str:
    """Return a sample's kind and name: `network/uv-503`."""
    return f"{path.parent.name}/{path.name.split('.')[0]}"
