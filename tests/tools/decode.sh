#!/bin/bash
# The zcrpc tool from outside: what it prints, where, and its exit code.
# Usage: decode.sh ZCRPC SET FOLDER; SET is decode.proto's FileDescriptorSet, FOLDER is for scratch files.
set -u
zcrpc=$1 set=$2 dir=$3
rm -rf "$dir" && mkdir -p "$dir" || exit 1
tests=0 failed=0

# expect NAME CODE STDOUT STDERR INPUT ARGS...: INPUT goes through printf %b. STDERR is a pattern of bash.
expect() {
  local name=$1 code=$2 out=$3 err=$4 input=$5
  shift 5
  printf '%b' "$input" | timeout 60 "$zcrpc" "$@" >"$dir/out" 2>"$dir/err"
  local got=${PIPESTATUS[1]}
  tests=$((tests + 1))
  local ok=1
  [ "$got" = "$code" ] || ok=0
  [ "$(cat "$dir/out")" = "$out" ] || ok=0
  # shellcheck disable=SC2053
  [[ "$(cat "$dir/err")" == $err ]] || ok=0
  [ -n "$err" ] && [ "$(wc -l <"$dir/err")" != 1 ] && ok=0
  [ $ok = 1 ] && return
  failed=$((failed + 1))
  echo "FAILED $name: exit $got, stdout '$(cat "$dir/out")', stderr '$(cat "$dir/err")'; want $code, '$out', '$err'"
}
decode=(decode --schema "$set" --type tools.test.Batch)
# records: {message: "hi", severity: INFO, source: {}}
record='\n\x08\n\x02hi\x10\x01\x1a\x00'

expect empty_input_is_the_empty_message 0 '{}' '' '' "${decode[@]}"
expect a_message_is_printed 0 '{"records":[{"message":"hi","severity":"INFO","source":{}}],"sentAt":"5"}' '' "$record\x10\x05" "${decode[@]}"
expect equals_signs_will_do 0 '{"sentAt":"5"}' '' '\x10\x05' decode "--schema=$set" --type=tools.test.Batch
expect names_as_in_the_file 0 '{"sent_at":"5"}' '' '\x10\x05' "${decode[@]}" --proto-names
expect enums_as_numbers 0 '{"records":[{"severity":1}]}' '' '\n\x02\x10\x01' "${decode[@]}" --enum-numbers
expect pretty 0 $'{\n  "sentAt": "5"\n}' '' '\x10\x05' "${decode[@]}" --pretty
expect unknown_fields_are_no_error 0 '{}' '' '\x78\x01' "${decode[@]}"
expect text_format 0 'sent_at: 5 1000: 1' '' '\x10\x05\xc0\x3e\x01' "${decode[@]}" --format text --unknown
expect a_strange_format 2 '' 'error: zcrpc decode: --format is json or text, not yaml' '' "${decode[@]}" --format yaml
expect a_leading_dot_is_not_needed 0 '{}' '' '' decode --schema "$set" --type tools.test.Source

bad='error: invalid_argument: byte '
expect a_truncated_varint 1 '' "${bad}1: sent_at: truncated varint" '\x10' "${decode[@]}"
expect a_truncated_tag_has_no_path 1 '' "${bad}2: truncated tag" '\x10\x05\x80' "${decode[@]}"
expect a_truncated_varint_in_the_fourth_record 1 '' "${bad}35: records\[3\].source.line: truncated varint" \
  "$record$record$record\n\x04\x1a\x02\x10\x80" "${decode[@]}"
expect a_length_past_the_end 1 '' "${bad}* records\[0\]: length past the end" '\n\x05\n' "${decode[@]}"
expect field_number_zero 1 '' "${bad}0: field number 0" '\x00\x01' "${decode[@]}"
expect text_that_is_not_utf8 1 '' "${bad}* records\[0\].message: *UTF-8" '\n\x03\n\x01\xff' "${decode[@]}"

expect no_command 2 '' 'error: zcrpc needs a command*' ''
expect a_strange_command 2 '' 'error: zcrpc has no command encode; *' '' encode
expect a_strange_option 2 '' 'error: zcrpc decode: no option --shema; *' '' decode --shema x
expect a_stray_word 2 '' 'error: zcrpc decode: what is file.bin for? *' '' "${decode[@]}" file.bin
expect an_option_without_its_value 2 '' 'error: zcrpc decode: --type needs a value' '' decode --schema "$set" --type
expect an_empty_value 2 '' 'error: zcrpc decode: --type needs a value' '' decode --schema "$set" --type=
expect an_option_twice 2 '' 'error: zcrpc decode: --type comes twice' '' "${decode[@]}" --type x
expect a_value_where_none_goes 2 '' 'error: zcrpc decode: --pretty takes no value' '' "${decode[@]}" --pretty=1
expect no_schema 2 '' 'error: zcrpc decode: --schema FILE is needed; *' '' decode --type x
expect no_type 2 '' 'error: zcrpc decode: --type NAME is needed; *' '' decode --schema "$set"

expect a_schema_that_is_not_there 1 '' "error: not_found: $dir/none: No such file or directory" '' decode --schema "$dir/none" --type x
expect a_folder_for_a_schema 1 '' "error: unavailable: $dir: Is a directory" '' decode --schema "$dir" --type x
printf '\x0a\x05abc' >"$dir/broken"
expect a_broken_schema 1 '' "error: invalid_argument: $dir/broken: *" '' decode --schema "$dir/broken" --type x
: >"$dir/nothing"
expect a_schema_without_types 1 '' "error: not_found: $dir/nothing has no message type at all" '' decode --schema "$dir/nothing" --type x
expect a_type_with_another_package 1 '' 'error: not_found: * has no message type Batch; did you mean tools.test.Batch[?]' '' decode --schema "$set" --type Batch
expect a_type_misspelt 1 '' 'error: not_found: *; did you mean tools.test.Record[?]' '' decode --schema "$set" --type tools.test.Rekord
expect a_type_far_off 1 '' 'error: not_found: *; it has tools.test.Source, *' '' decode --schema "$set" --type com.example.SomethingElseAltogether
expect control_characters_stay_on_one_line 1 '' "error: not_found: $dir/a[?]b: No such file or directory" '' decode --schema "$dir/a"$'\n'b --type x

# Help and version.
"$zcrpc" --help >"$dir/out" 2>"$dir/err" || { echo "FAILED help"; failed=$((failed + 1)); }
grep -q -- '--schema FILE' "$dir/out" && [ ! -s "$dir/err" ] || { echo "FAILED help text"; failed=$((failed + 1)); }
"$zcrpc" --version | grep -Eqx 'zcrpc [0-9]+\.[0-9]+\.[0-9]+' || { echo "FAILED version"; failed=$((failed + 1)); }

# What cannot be written is told.
printf '\x10\x05' | "$zcrpc" "${decode[@]}" >/dev/full 2>"$dir/err"
[ ${PIPESTATUS[1]} = 1 ] && grep -qx 'error: unavailable: standard output: No space left on device' "$dir/err" || { echo "FAILED full disk"; failed=$((failed + 1)); }
tests=$((tests + 4))

# A large message, which no single read brings.
head -c 30000000 /dev/zero | tr '\0' 'x' >"$dir/long"
{ printf '\n\x85\x87\xa7\x0e\n\x80\x87\xa7\x0e'; cat "$dir/long"; } >"$dir/large"
"$zcrpc" "${decode[@]}" <"$dir/large" >"$dir/out" 2>"$dir/err"
code=$?
{ printf '{"records":[{"message":"'; cat "$dir/long"; printf '"}]}\n'; } >"$dir/want"
tests=$((tests + 1))
if [ $code != 0 ] || ! cmp -s "$dir/out" "$dir/want"; then
  echo "FAILED a large message: exit $code, $(head -c 200 "$dir/err")"
  failed=$((failed + 1))
fi

rm -rf "$dir"
echo "tools: $((tests - failed)) passed, $failed failed"
[ $failed = 0 ]
