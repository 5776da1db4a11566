# Commit the folder of records to a branch that has nothing else.
git config user.name "github-actions[bot]"
git config user.email "github-actions[bot]@users.noreply.github.com"
GIT_INDEX_FILE=$(mktemp --dry-run)
export GIT_INDEX_FILE
git --work-tree=records add --all --force .
set -- "$(git write-tree)"
if parent=$(git rev-parse --quiet --verify refs/remotes/origin/records); then set -- "$@" -p "$parent"; fi
git push --quiet origin "$(git commit-tree "$@" -m "Records of run $GITHUB_RUN_ID"):refs/heads/records"
