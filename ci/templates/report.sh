# The records that jobs left in folders, put together, and what they say.
cat records/history.jsonl found/*/history.jsonl >all.jsonl
./daggerw call history --given=all.jsonl export --path=records/history.jsonl
for form in markdown:STATUS.md html:report.html junit:report.xml json:report.json; do
  ./daggerw call -o "records/${form#*:}" report "--format=${form%%:*}" --history=records/history.jsonl
done
