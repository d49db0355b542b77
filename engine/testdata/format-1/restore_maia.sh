#!/bin/bash
# In a backup of a release, its restore_maia.sh lies here.
