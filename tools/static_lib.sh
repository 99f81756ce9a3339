#!/bin/sh
# static_lib.sh CC IN.a OUT.a: one object with all of IN, in which only the public API is visible, so that
# names of our own (buf_init, url_parse, …) cannot clash with those of a program that links it.
set -e
cc=$1 in=$2 out=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
$cc -r -nostdlib -o "$folder/weft.o" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
objcopy --localize-hidden "$folder/weft.o"
rm -f "$out"
ar rcsD "$out" "$folder/weft.o"
