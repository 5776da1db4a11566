"""List the values that options accept, for checks, messages and the reference page."""

PLAN_FORMATS = ("text", "json", "github")
REPORT_FORMATS = ("terminal", "markdown", "json", "junit", "html")
SIZE_FORMATS = ("text", "json")
OUTDATED_FORMATS = ("text", "json")
BUMP_FORMATS = ("text", "diff", "toml")
COMPRESSIONS = ("zstd", "gzip")

# Which checks a sweep runs: each once where that is enough, each in every image, or none.
VERIFY_MODES = ("once", "all", "none")

MAX_JOBS = 1024  # compile jobs at once
MAX_CELLS = 64  # cells at once
MAX_DISK_FLOOR = 1_000_000  # GB
