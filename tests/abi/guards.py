#!/usr/bin/env python3
"""guards.py ROOT: every test that docs/decisions/0155 names, and every script, is there and runs."""
import glob
import os
import re
import sys

root = sys.argv[1]
with open(os.path.join(root, 'docs/decisions/0155-which-test-guards-which-line.md'), encoding='utf-8') as f:
    page = f.read()
tests, scripts = set(), set(os.listdir(os.path.join(root, 'tests/interop')))
for path in glob.glob(os.path.join(root, 'tests/**/*_test.c*'), recursive=True):
    with open(path, encoding='utf-8') as f:
        tests |= set(re.findall(r'cmocka_unit_test\w*\((\w+)', f.read()))
named = set(re.findall(r'`([a-z0-9]+(?:_[a-z0-9]+){2,})`', page))
wrong = sorted(named - tests) + sorted(set(re.findall(r'\b(\w+\.py)\b', page)) - scripts)
for name in wrong:
    print(f'docs/decisions/0155 names {name}, which no test is called')
print(f'{len(named)} tests named, {len(wrong)} not there')
sys.exit(1 if wrong or len(named) < 50 else 0)
