# Plan the base, in ../base, to compare with.
(cd ../base && ./daggerw call plan --format=json) >../before.json || {
  echo "the base cannot be planned: every cell counts as changed"
  echo '{"cells": []}' >../before.json
}
