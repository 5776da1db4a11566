# Merge the records of all jobs, and write the reports.
cat records/history.jsonl found/*/history.jsonl >all.jsonl
./daggerw call history --history=all.jsonl export --path=records/history.jsonl
./daggerw call -o records/STATUS.md report --format=markdown --history=records/history.jsonl
./daggerw call -o records/report.html report --format=html --history=records/history.jsonl
