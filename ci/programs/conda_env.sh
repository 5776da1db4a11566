#!/bin/sh
# `conda-env create|install|list`, which needs no conda: the program that makes the environment, for people.
exec /opt/tools/bin/python /opt/tools/lib/make_env.py "$@"
