#!/bin/sh
# Makes the lake's bucket, its users and what each may do, on the MinIO that mc knows as `lake` (MC_HOST_lake).
# A user is named for its policy, <name>.json in the folder given (in the image: beside this script); its password is in
# the environment, <NAME>_PASSWORD. Once more brings everything to what the files and the environment say now.
set -eu
policies=${1:-$(dirname "$0")/policies}
mc --quiet ready lake
mc --quiet mb --ignore-existing lake/lake
for file in "$policies"/*.json; do
    name=${file##*/}
    name=${name%.json}
    mc --quiet admin policy create lake "$name" "$file"
    # by standard input: a command line can be read by whoever shares the machine
    eval "printf '%s\n%s\n' $name \"\$$(echo "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD\"" | mc --quiet admin user add lake
    case $(mc --quiet admin user info lake "$name") in # MinIO's image has no grep
        *"PolicyName: $name"*) ;;
        *) mc --quiet admin policy attach lake "$name" --user "$name" ;;
    esac
done
